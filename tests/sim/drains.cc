#include "tests/sim/drains.h"

#include <algorithm>

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr raft::Index kFewEntries = 5;  // that a member may be behind, and well

}  // namespace

Drains::Drains(Cluster& cluster, const Operator& keeper) : cluster_(cluster), keeper_(keeper) {
  cluster.on_drained = [this](const DrainEnd& end) { ended(end); };
}

bool Drains::all_well() const {
  const SimNode* leader = cluster_.leader();
  return cluster_.network().is_calm() && keeper_.is_quiet() && leader != nullptr &&
         leader->replica()->is_ready() && leader->replica()->raft().transferring_to() == 0 &&
         std::ranges::all_of(cluster_.nodes(), [&](const SimNode* node) {
           return node->is_well() && node->replica()->raft().leader() == leader->id() &&
                  node->replica()->state().applied_index() + kFewEntries >=
                      cluster_.ledger().last_index();
         });
}

void Drains::drain(SimNode& node) {
  if (!node.is_running() || node.drains()) return;
  const bool watch = all_well();
  disturbed();
  ++count_;
  watched_ = watch ? node.id() : 0;
  watched_since_ = disturbances_;
  node.drain();
  if (watch && node.leads()) {
    look_for_successor(node.id(), cluster_.world().now(), disturbances_);
  }
}

void Drains::look_for_successor(raft::NodeId old, Instant began, std::uint64_t disturbances) {
  cluster_.world().after(1ms, [=, this] {
    if (disturbances != disturbances_ || cluster_.healthy()) return;
    const SimNode* leader = cluster_.leader();
    if (leader != nullptr && leader->id() != old && leader->replica()->is_ready()) return;
    if (cluster_.world().now() - began > kLongestGap) {
      return cluster_.trace().violation("node ", old,
                                        " was told to stop, and nobody else leads in time");
    }
    look_for_successor(old, began, disturbances);
  });
}

void Drains::ended(const DrainEnd& end) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(end.took).count();
  cluster_.trace().note("node ", end.node, " ends after ", ms, " ms, in time: ", end.in_time,
                        ", in doubt: ", end.unknown);
  if (end.in_time && end.unanswered != 0) {
    cluster_.trace().violation("node ", end.node, " ends, and owes ", end.unanswered, " answers");
  }
  if (end.node != watched_ || disturbances_ != watched_since_) return;
  ++calm_count_;
  if (!end.in_time || end.unknown != 0) {
    cluster_.trace().violation("node ", end.node, " ends after ", ms, " ms, in time: ", end.in_time,
                               ", callers in doubt: ", end.unknown);
  }
}

}  // namespace conclave::sim
