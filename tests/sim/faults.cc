#include "tests/sim/faults.h"

#include <algorithm>

namespace conclave::sim {

using namespace std::chrono_literals;

Faults::Faults(Cluster& cluster, ClientNetwork& network, Leases& leases, LeaseClient& lease_client,
               const Operator& keeper, Drains& drains)
    : cluster_(cluster),
      network_(network),
      leases_(leases),
      lease_client_(lease_client),
      keeper_(keeper),
      drains_(drains) {
  for (const Fault fault : cluster.plan().faults) {
    switch (fault) {
      case Fault::loss:  // the weather, and what clocks, snapshots and the operator do all along
      case Fault::doubling:
      case Fault::delay:
      case Fault::reorder:
      case Fault::clock_drift:
      case Fault::damaged_snapshot:
      case Fault::membership_change:
      case Fault::little_space:
        break;
      default:
        at_moments_.push_back(fault);
    }
  }
}

void Faults::start() {
  if (at_moments_.empty()) return;
  const Plan& plan = cluster_.plan();
  cluster_.world().after(cluster_.world().between(plan.pause_min, plan.pause_max), [this] {
    if (cluster_.healthy()) return;
    strike();
    start();
  });
}

void Faults::strike() {
  strike(at_moments_[cluster_.world().random().below(at_moments_.size())]);
}

void Faults::strike(Fault fault) {
  World& world = cluster_.world();
  SimNode* leader = cluster_.leader();
  // Leaders are where most of it matters.
  SimNode& node = leader != nullptr && world.chance(1, 3) ? *leader : cluster_.any_node();
  cluster_.trace().note("fault: ", name_of(fault), " at ", node.id());
  drains_.disturbed();
  switch (fault) {
    case Fault::one_way_partition:
      return cut(false);
    case Fault::two_way_partition:
      return cut(true);
    case Fault::kill:
      node.kill();
      return stop_for_a_while(node);
    case Fault::power_cut:
      node.power_cut();
      return stop_for_a_while(node);
    case Fault::pause:
      node.pause(world.chance(1, 2));
      return world.after(world.between(10ms, 6s), [&node] { node.resume(); });
    case Fault::clock_jump:
      leases_.clock_jumped();
      return node.jump_clock(world.between(10ms, 5s));
    case Fault::slow_disk:
      node.set_disk_slowness(world.between(20ms, 1500ms));
      return world.after(world.between(500ms, 6s),
                         [&node] { node.set_disk_slowness(Duration(0)); });
    case Fault::failed_sync:
      return node.fail_next_sync();
    case Fault::full_disk:
      node.fill_disk();
      return world.after(world.between(500ms, 5s), [&node] { node.free_disk(); });
    case Fault::damaged_log:
      return damage(node, false);
    case Fault::wiped_member:
      return damage(node, true);
    case Fault::compaction:
      return compact();
    case Fault::leadership_transfer:
      return transfer();
    case Fault::lease_burst:
      return lease_client_.burst();
    case Fault::drain:
      return drains_.drain(node);
    case Fault::defragmentation:
      return defragment(node);
    default:
      return;
  }
}

void Faults::stop_for_a_while(SimNode& node) {
  World& world = cluster_.world();
  world.after(world.between(10ms, world.chance(1, 4) ? 10s : 1s), [&node] { node.start(); });
}

// Divides the members in two, or cuts single links.
void Faults::cut(bool both_ways) {
  World& world = cluster_.world();
  const std::vector<SimNode*> nodes = cluster_.nodes();
  std::vector<bool> side(nodes.size());
  for (std::size_t i = 0; i < side.size(); ++i) side[i] = world.chance(1, 2);
  const Duration length = world.between(100ms, 8s);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = 0; j < nodes.size(); ++j) {
      if (side[i] == side[j] || (!both_ways && !side[i])) continue;
      const raft::NodeId from = nodes[i]->id();
      const raft::NodeId to = nodes[j]->id();
      cluster_.network().cut(from, to);
      world.after(length, [this, from, to] { cluster_.network().join(from, to); });
    }
  }
}

// What a member has on disk may be lost as long as the others are more than half of the voters, and
// know by which data it was known.
bool Faults::may_lose_data(const SimNode& node) const {
  const replica::Membership& membership = cluster_.ledger().witness().membership();
  const std::size_t voters = membership.config().voters.size();
  std::size_t lost = 1;
  for (SimNode* each : cluster_.nodes()) {
    if (each->is_damaged()) ++lost;
    const bool knows = each->replica() != nullptr &&
                       each->replica()->state().membership().find(node.id()) != nullptr &&
                       each->replica()->state().membership().find(node.id())->data_incarnation ==
                           node.data_incarnation();
    if (!knows) return false;
  }
  return keeper_.is_quiet() && !node.is_damaged() && lost * 2 < voters;
}

void Faults::damage(SimNode& node, bool wipe) {
  if (!may_lose_data(node)) return;
  World& world = cluster_.world();
  if (world.chance(1, 2)) {
    node.kill();
  } else {
    node.power_cut();
  }
  if (wipe) {
    node.wipe();
  } else {
    node.damage_log();
  }
  stop_for_a_while(node);
}

void Faults::compact() {
  World& world = cluster_.world();
  etcdserverpb::CompactionRequest request;
  const auto behind = static_cast<std::int64_t>(world.random().below(50));
  request.set_revision(std::max<std::int64_t>(1, cluster_.ledger().revision() - behind));
  network_.call<etcdserverpb::CompactionRequest, etcdserverpb::CompactionResponse>(
      cluster_.any_node(), std::move(request), 5s, [](const auto&) {});
}

void Faults::defragment(SimNode& node) {
  network_.call<etcdserverpb::DefragmentRequest, etcdserverpb::DefragmentResponse>(
      node, {}, 5s, [](const auto&) {});
}

void Faults::transfer() {
  SimNode* leader = cluster_.leader();
  if (leader == nullptr) return;
  etcdserverpb::MoveLeaderRequest request;
  request.set_targetid(cluster_.any_node().id());
  network_.call<etcdserverpb::MoveLeaderRequest, etcdserverpb::MoveLeaderResponse>(
      *leader, std::move(request), 5s, [](const auto&) {});
}

}  // namespace conclave::sim
