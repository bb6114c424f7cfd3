#pragma once

#include <cstdint>
#include <string>

namespace conclave::raft {

using NodeId = std::uint64_t;  // 0: nobody
using Term = std::uint64_t;
using Index = std::uint64_t;

enum class EntryKind : std::uint8_t {
  normal = 0,         // the payload is the state machine's; empty for a new leader's first entry
  config_change = 1,  // the payload is a ConfigChange
};

struct Entry {
  Term term = 0;
  Index index = 0;
  EntryKind kind = EntryKind::normal;
  std::string payload;

  friend bool operator==(const Entry&, const Entry&) = default;
};

// What a node must have on disk before it answers for it (Raft paper, figure 2: "persistent
// state").
struct HardState {
  Term term = 0;
  NodeId vote = 0;
  Index commit = 0;  // may lag; it only saves work after a restart

  friend bool operator==(const HardState&, const HardState&) = default;
};

}  // namespace conclave::raft
