#pragma once

#include <cstdint>

#include "tests/sim/cluster.h"
#include "tests/sim/operator.h"

namespace conclave::sim {

// Tells members to stop, as an operator does who restarts them, and looks at what comes of it.
//
// Checked:
// - A member that ends in time owes nobody an answer.
// - Where all else is well, each ends in time, and none of its callers is left in doubt.
// - There, too, a leader has its successor long before an election would have made one.
class Drains {
 public:
  Drains(Cluster& cluster, const Operator& keeper);

  void drain(SimNode& node);
  // Something else befalls the cluster.
  void disturbed() { ++disturbances_; }
  std::uint64_t count() const { return count_; }
  // Of those, how many had all else well from beginning to end.
  std::uint64_t calm_count() const { return calm_count_; }

  static constexpr Duration kLongestGap = std::chrono::milliseconds(100);

 private:
  bool all_well() const;
  void ended(const DrainEnd& end);
  void look_for_successor(raft::NodeId old, Instant began, std::uint64_t disturbances);

  Cluster& cluster_;
  const Operator& keeper_;
  std::uint64_t disturbances_ = 0;
  raft::NodeId watched_ = 0;         // drains while all else is well, as far as is known
  std::uint64_t watched_since_ = 0;  // the number of disturbances then
  std::uint64_t count_ = 0;
  std::uint64_t calm_count_ = 0;
};

}  // namespace conclave::sim
