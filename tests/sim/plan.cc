#include "tests/sim/plan.h"

#include "conclave/base/check.h"

namespace conclave::sim {

using namespace std::chrono_literals;

std::string_view name_of(Fault fault) {
  switch (fault) {
    case Fault::loss:
      return "loss";
    case Fault::doubling:
      return "doubling";
    case Fault::delay:
      return "delay";
    case Fault::reorder:
      return "reorder";
    case Fault::one_way_partition:
      return "one_way_partition";
    case Fault::two_way_partition:
      return "two_way_partition";
    case Fault::kill:
      return "kill";
    case Fault::power_cut:
      return "power_cut";
    case Fault::pause:
      return "pause";
    case Fault::clock_drift:
      return "clock_drift";
    case Fault::clock_jump:
      return "clock_jump";
    case Fault::slow_disk:
      return "slow_disk";
    case Fault::failed_sync:
      return "failed_sync";
    case Fault::full_disk:
      return "full_disk";
    case Fault::damaged_log:
      return "damaged_log";
    case Fault::damaged_snapshot:
      return "damaged_snapshot";
    case Fault::membership_change:
      return "membership_change";
    case Fault::wiped_member:
      return "wiped_member";
    case Fault::compaction:
      return "compaction";
    case Fault::leadership_transfer:
      return "leadership_transfer";
    case Fault::lease_burst:
      return "lease_burst";
    case Fault::drain:
      return "drain";
    case Fault::little_space:
      return "little_space";
    case Fault::defragmentation:
      return "defragmentation";
  }
  CONCLAVE_CHECK(false, "a fault without a name");
}

Plan draw_plan(World& world, int nodes) {
  Plan plan;
  plan.nodes = nodes != 0 ? nodes : world.chance(2, 3) ? 3 : 5;
  const std::uint64_t share = 1 + world.random().below(4);  // of five kinds
  for (int kind = 0; kind < kFaultKinds; ++kind) {
    if (world.chance(share, 5)) plan.faults.insert(static_cast<Fault>(kind));
  }
  const auto rate = [&](Fault fault, std::uint64_t most) {
    return plan.has(fault) ? 1 + world.random().below(most) : 0;
  };
  plan.weather.lost = rate(Fault::loss, 150);
  plan.weather.doubled = rate(Fault::doubling, 200);
  plan.weather.overtaken = rate(Fault::reorder, 300);
  plan.weather.delayed = rate(Fault::delay, 200);
  plan.weather.delay_max = world.between(5ms, 400ms);
  plan.weather.broken = 10;
  if (plan.has(Fault::damaged_snapshot)) plan.weather.damaged = 50;
  plan.pause_min = world.between(50ms, 500ms);
  plan.pause_max = plan.pause_min + world.between(200ms, 4s);
  plan.kept_log_entries = plan.has(Fault::compaction) ? 5 + world.random().below(100) : 20000;
  if (world.random().below(4) == 0) plan.batch_age = 1s;  // what follows the store waits long
  if (plan.has(Fault::little_space)) plan.quota_bytes = (20 + world.random().below(150)) << 10;
  return plan;
}

}  // namespace conclave::sim
