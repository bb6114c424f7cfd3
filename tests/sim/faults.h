#pragma once

#include <functional>
#include <vector>

#include "tests/sim/cluster.h"
#include "tests/sim/drains.h"
#include "tests/sim/lease_clients.h"
#include "tests/sim/operator.h"

namespace conclave::sim {

// Does what the plan allows, again and again, until the cluster is to heal: several things may be
// broken at a time. Members may all be down together, but what they have on disk is taken from a
// minority alone.
class Faults {
 public:
  Faults(Cluster& cluster, ClientNetwork& network, Leases& leases, LeaseClient& lease_client,
         const Operator& keeper, Drains& drains);

  void start();

 private:
  void strike();
  void strike(Fault fault);
  void cut(bool both_ways);
  void stop_for_a_while(SimNode& node);
  void damage(SimNode& node, bool wipe);
  bool may_lose_data(const SimNode& node) const;
  void compact();
  void transfer();
  void defragment(SimNode& node);

  Cluster& cluster_;
  ClientNetwork& network_;
  Leases& leases_;
  LeaseClient& lease_client_;
  const Operator& keeper_;
  Drains& drains_;
  std::vector<Fault> at_moments_;
};

}  // namespace conclave::sim
