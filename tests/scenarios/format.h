#pragma once

#include <string>

#include "conclave/raft/node.h"

namespace conclave::scenarios {

// Text forms of the room's values, as the scenario files have them. Several lines end without a
// newline.
std::string format(const raft::Entry& entry);
std::string format(const raft::Message& message);
std::string format(const raft::SnapshotMetadata& snapshot);
// `messages` are those that count as part of it.
std::string format(const raft::Ready& ready, const std::vector<raft::Message>& messages);
std::string format(raft::NodeId id, const raft::ProgressView& view, std::size_t window);
std::string format(raft::Role role);

}  // namespace conclave::scenarios
