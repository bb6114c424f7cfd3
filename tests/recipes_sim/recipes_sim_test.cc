#include <cstdint>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "tests/recipes_sim/lock_simulation.h"

// A simulated crash leaves the objects of a process as they were, holding on to each other; what a
// real crash gives back to the system is no leak.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "detect_leaks=0";
}

namespace conclave::sim {
namespace {

// CONCLAVE_SIM_SEED=n runs that seed alone; CONCLAVE_SIM_SEEDS=n runs the seeds 1 to n.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  return value == nullptr ? otherwise : std::stoull(value);
}

std::string replay_line(std::uint64_t seed) {
  return "replay: CONCLAVE_SIM_SEED=" + std::to_string(seed) +
         " build/tests/recipes_sim_test --gtest_filter=LockSimulation.HoldsUnderFaults";
}

TEST(LockSimulation, HoldsUnderFaults) {
  const std::uint64_t only = from_environment("CONCLAVE_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t last = only != 0 ? only : from_environment("CONCLAVE_SIM_SEEDS", 2000);
  Tally sum;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = run_lock_simulation(seed);
    for (const std::string& violation : outcome.violations) {
      ADD_FAILURE() << "seed " << seed << ": " << violation << "\n" << replay_line(seed);
    }
    if (HasFailure()) return;
    sum.granted += outcome.tally.granted;
    sum.would_block += outcome.tally.would_block;
    sum.timed_out += outcome.tally.timed_out;
    sum.cancelled += outcome.tally.cancelled;
    sum.taken += outcome.tally.taken;
    sum.failed += outcome.tally.failed;
    sum.writes += outcome.tally.writes;
    sum.writes_refused += outcome.tally.writes_refused;
    sum.sessions_lost += outcome.tally.sessions_lost;
  }
  std::cout << "granted " << sum.granted << ", would_block " << sum.would_block << ", timed_out "
            << sum.timed_out << ", cancelled " << sum.cancelled << ", taken " << sum.taken
            << ", failed " << sum.failed << ", writes " << sum.writes << ", refused by guard "
            << sum.writes_refused << ", sessions lost " << sum.sessions_lost << "\n";
  if (last - first < 100) return;
  // A run in which nothing happens proves nothing.
  for (const int count : {sum.granted, sum.would_block, sum.timed_out, sum.cancelled, sum.taken,
                          sum.failed, sum.writes, sum.writes_refused, sum.sessions_lost}) {
    EXPECT_GT(count, 0);
  }
}

TEST(LockSimulation, LosesNothingInCalm) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Outcome outcome = run_lock_simulation(seed, true);
    EXPECT_TRUE(outcome.violations.empty()) << "seed " << seed << ": " << outcome.violations[0];
    EXPECT_GT(outcome.tally.granted, 20) << "seed " << seed;
    EXPECT_EQ(outcome.tally.sessions_lost, 0) << "seed " << seed;
    EXPECT_EQ(outcome.tally.writes_refused, 0) << "seed " << seed;
    EXPECT_EQ(outcome.tally.taken, 0) << "seed " << seed;
    EXPECT_EQ(outcome.tally.failed, 0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace conclave::sim
