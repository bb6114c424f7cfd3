#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/cluster.h"

namespace conclave::sim {

// The operator of a cluster that has little space: raises alarms, takes them back, and makes room.
//
// Checked:
// - A list of alarms shows those of some moment between the call and its answer.
// - In the end alarms that the quota raised go by themselves, once there is room: the operator sees
//   to the room, and to his own alarms (else no write gets through, which others look at).
class SpaceKeeper {
 public:
  SpaceKeeper(Cluster& cluster, ClientNetwork& network) : cluster_(cluster), network_(network) {}

  // Nothing happens where the plan has no want of space.
  void start();
  std::uint64_t list_count() const { return list_count_; }

 private:
  void look();
  void look_again();
  void strike();
  void set_right();
  void make_room();
  void change(etcdserverpb::AlarmRequest::AlarmAction action, raft::NodeId member);
  void list();
  std::vector<raft::NodeId> alarmed() const;

  Cluster& cluster_;
  ClientNetwork& network_;
  std::uint64_t list_count_ = 0;
};

}  // namespace conclave::sim
