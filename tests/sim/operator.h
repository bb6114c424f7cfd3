#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/cluster.h"

namespace conclave::sim {

// Looks after the membership: replaces members that were wiped, brings the cluster back to its
// size, and, where the plan wants it, removes members that are well. Adds as learners, and
// promotes.
class Operator {
 public:
  Operator(Cluster& cluster, ClientNetwork& network) : cluster_(cluster), network_(network) {}

  void start();
  // Nothing that was asked for can still change the membership, and it is as it should be.
  bool is_quiet() const;

 private:
  void look();
  void look_again(Duration at_least);
  bool start_missing();
  bool replace_wiped();
  bool promote();
  bool grow();
  bool shrink();
  void add_learner();
  void remove(raft::NodeId id);
  template <class Request, class Response>
  void ask(Request request, std::string what);

  Cluster& cluster_;
  ClientNetwork& network_;
  int added_ = 0;
  Instant last_change_{};
};

}  // namespace conclave::sim
