#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace master_slave {

// One line of the resource's journal: a write that reached it.
struct Attempt {
  std::string master;
  std::int64_t fence = 0;
  std::int64_t number = 0;  // the master's own count of its writes
  bool accepted = false;
};

struct Verdict {
  int accepted = 0;
  int refused = 0;
  std::vector<std::string> violations;  // a sentence each; empty: all is well

  bool safe() const { return violations.empty(); }
};

// Whether the journal, in the order in which the resource wrote it, is one that a single leader at
// a time explains: accepted fences never go back, every fence belongs to one master, and what was
// refused was older than what had been accepted. It does not trust the resource's own check.
Verdict judge(std::span<const Attempt> journal);

}  // namespace master_slave
