#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/raft/simulated_group.h"

namespace conclave::raft {
namespace {

struct Totals {
  std::uint64_t terms = 0;
  std::uint64_t entries = 0;
  int reads = 0;
  int snapshots = 0;
  int config_changes = 0;
};

// CONCLAVE_SEED=n in the environment runs that seed alone, CONCLAVE_SEEDS=n as many as that.
Totals run_seeds(SimulatedGroup::Setup setup, std::uint64_t seeds, int steps) {
  const char* only = std::getenv("CONCLAVE_SEED");  // NOLINT(concurrency-mt-unsafe)
  const std::uint64_t first = only != nullptr ? std::stoull(only) : 1;
  if (const char* many = std::getenv("CONCLAVE_SEEDS")) seeds = std::stoull(many);  // NOLINT
  const std::uint64_t last = only != nullptr ? first : seeds;
  Totals totals;
  for (setup.seed = first; setup.seed <= last; ++setup.seed) {
    SCOPED_TRACE("CONCLAVE_SEED=" + std::to_string(setup.seed));
    SimulatedGroup group(setup);
    for (int i = 0; i < steps; ++i) group.step();
    EXPECT_EQ(group.failure(), "");
    EXPECT_TRUE(group.recovers()) << "no progress after everything is well again\n"
                                  << group.picture();
    EXPECT_EQ(group.failure(), "");
    if (::testing::Test::HasFailure()) break;
    totals.terms += group.terms_led();
    totals.entries += group.applied_anywhere();
    totals.reads += group.reads_answered();
    totals.snapshots += group.snapshots_installed();
    totals.config_changes += group.config_changes();
  }
  std::printf("%llu terms led, %llu entries applied, %d reads, %d snapshots, %d configurations\n",
              static_cast<unsigned long long>(totals.terms),
              static_cast<unsigned long long>(totals.entries), totals.reads, totals.snapshots,
              totals.config_changes);
  return totals;
}

TEST(RaftSimulation, ThreeNodes) {
  const Totals totals = run_seeds({.nodes = 3, .voters = 3}, 400, 5000);
  EXPECT_GT(totals.terms, 100U);
  EXPECT_GT(totals.entries, 1000U);
  EXPECT_GT(totals.reads, 100);
  EXPECT_GT(totals.snapshots, 10);
}

TEST(RaftSimulation, FiveNodes) {
  run_seeds({.nodes = 5, .voters = 5}, 400, 8000);
}

TEST(RaftSimulation, FiveNodesWithManyElections) {
  run_seeds({.nodes = 5, .voters = 5, .turbulent = true}, 400, 8000);
}

TEST(RaftSimulation, OneNode) {
  run_seeds({.nodes = 1, .voters = 1}, 100, 2000);
}

TEST(RaftSimulation, FourNodesNoCrashes) {
  run_seeds({.nodes = 4, .voters = 4, .crashes = false}, 200, 5000);
}

TEST(RaftSimulation, MembersComeAndGo) {
  const Totals totals = run_seeds({.nodes = 5, .voters = 3, .change_members = true}, 600, 8000);
  EXPECT_GT(totals.config_changes, 100);
}

}  // namespace
}  // namespace conclave::raft
