#pragma once

#include <cstdint>
#include <set>
#include <string_view>

#include "tests/sim/network.h"
#include "tests/support/sim_world.h"

namespace conclave::sim {

enum class Fault : std::uint8_t {
  loss,
  doubling,
  delay,
  reorder,
  one_way_partition,
  two_way_partition,
  kill,
  power_cut,  // tears what was being written, and may take back the store's last commit
  pause,
  clock_drift,
  clock_jump,
  slow_disk,
  failed_sync,
  full_disk,
  damaged_log,
  damaged_snapshot,
  membership_change,
  wiped_member,
  compaction,
  leadership_transfer,
  lease_burst,
  drain,         // a member ends as it should, and comes back
  little_space,  // the quota is reached, and an operator raises alarms, too
  defragmentation,
};
constexpr int kFaultKinds = 24;
std::string_view name_of(Fault fault);

// What a seed is about: each has its own few or many kinds of fault, since faults that are always
// all there hide each other.
struct Plan {
  int nodes = 3;
  std::set<Fault> faults;
  Weather weather;
  Duration pause_min{};  // between faults that strike at a moment
  Duration pause_max{};
  std::uint64_t kept_log_entries = 0;
  Duration batch_age{std::chrono::milliseconds(100)};  // short: power is cut between many batches
  std::uint64_t quota_bytes = std::uint64_t{2} << 30;

  bool has(Fault fault) const { return faults.contains(fault); }
};

// `nodes`: 0 leaves it to the seed.
Plan draw_plan(World& world, int nodes);

}  // namespace conclave::sim
