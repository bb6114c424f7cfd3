#include "conclave/session/planted_bugs.h"

#include <cstdint>

#include <gtest/gtest.h>

#include "tests/recipes_sim/lock_simulation.h"

// That the simulation is worth its time: each of these bugs, planted in a build of the same
// sources, is found, and without one there is nothing to find.
namespace conclave::sim {
namespace {

constexpr std::uint64_t kSeedsMax = 400;

// The first seed that finds a violation; 0: none.
std::uint64_t first_finding(const session::PlantedBugs& bugs) {
  session::planted_bugs = bugs;
  std::uint64_t found = 0;
  for (std::uint64_t seed = 1; seed <= kSeedsMax && found == 0; ++seed) {
    const Outcome outcome = run_lock_simulation(seed);
    if (outcome.violations.empty()) continue;
    found = seed;
    std::cout << "seed " << seed << ": " << outcome.violations.front() << "\n";
  }
  session::planted_bugs = {};
  return found;
}

TEST(PlantedBugs, NoneIsFoundWhereNoneIs) {
  EXPECT_EQ(first_finding({}), 0U);
}

TEST(PlantedBugs, WaitOnPredecessorOnly) {
  EXPECT_NE(first_finding({.wait_on_predecessor_only = true}), 0U);
}

TEST(PlantedBugs, ReleaseByName) {
  EXPECT_NE(first_finding({.release_by_name = true}), 0U);
}

TEST(PlantedBugs, IgnoreExpiry) {
  EXPECT_NE(first_finding({.ignore_expiry = true}), 0U);
}

TEST(PlantedBugs, ForgetCancelledKey) {
  EXPECT_NE(first_finding({.forget_cancelled_key = true}), 0U);
}

TEST(PlantedBugs, ForgetStrays) {
  EXPECT_NE(first_finding({.forget_strays = true}), 0U);
}

TEST(PlantedBugs, ValidityFromReceipt) {
  EXPECT_NE(first_finding({.validity_from_receipt = true}), 0U);
}

}  // namespace
}  // namespace conclave::sim
