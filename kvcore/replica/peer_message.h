#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "conclave/api/errors.h"
#include "conclave/raft/config.h"
#include "conclave/raft/message.h"
#include "conclave/replica/peer.pb.h"

namespace conclave::replica {

// A request that a member hands to the leader of `term`, and to no other: so that, once an entry of
// a later term is applied, a request of which nothing was seen is surely lost.
struct Forward {
  raft::Term term = 0;
  std::uint64_t incarnation = 0;
  std::uint64_t sequence = 0;
  std::string proposal;  // without the leader's stamp

  friend bool operator==(const Forward&, const Forward&) = default;
};

// The leader, or who was taken for it, has not appended the request and will not.
struct ForwardRefused {
  std::uint64_t incarnation = 0;
  std::uint64_t sequence = 0;
  api::Refusal refusal{};

  friend bool operator==(const ForwardRefused&, const ForwardRefused&) = default;
};

// What the sender acknowledged is not in its log any more, and not in its store.
struct LogLost {
  friend bool operator==(const LogLost&, const LogLost&) = default;
};

using PeerContent = std::variant<raft::Message, Forward, ForwardRefused, LogLost>;

// What can be large, or comes in large numbers, and must not hold up votes and heartbeats.
bool is_bulk(const PeerContent& content);

std::string encode(const PeerContent& content);
// Nothing for what encode() did not write, or that of another version.
std::optional<PeerContent> decode_peer_content(std::string_view packet);

void encode(const raft::ConfigState& config, GroupConfig& encoded);
raft::ConfigState decode(const GroupConfig& encoded);

}  // namespace conclave::replica
