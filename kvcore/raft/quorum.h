#pragma once

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "conclave/raft/config.h"
#include "conclave/raft/types.h"

namespace conclave::raft {

enum class VoteResult { pending, lost, won };

// Votes cast so far: true for a granted vote. Whoever is absent has not answered.
using Votes = std::map<NodeId, bool>;
// What a voter is known to have; 0 for nothing known.
using IndexOf = std::function<Index(NodeId)>;

inline constexpr Index kEverything = std::numeric_limits<Index>::max();

// The highest index that a majority of `voters` has. An empty set has kEverything, so that it never
// holds up a joint configuration.
Index majority_index(const std::set<NodeId>& voters, const IndexOf& index_of);
VoteResult majority_vote(const std::set<NodeId>& voters, const Votes& votes);

// The same for a configuration, joint or not: both halves must agree.
Index quorum_index(const ConfigState& config, const IndexOf& index_of);
VoteResult quorum_vote(const ConfigState& config, const Votes& votes);

}  // namespace conclave::raft
