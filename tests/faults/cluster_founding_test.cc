// The first moments of a cluster: members that are killed before they have anything, or before
// their stores have.

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/faults/cluster_rounds.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;

constexpr ConclaveCluster::Timers kTimers{50, 500};

// All serve and are equal, and none took itself for damaged or for one that lost its data.
void expect_as_if_nothing_had_been(ConclaveCluster& cluster, std::size_t killed) {
  ASSERT_TRUE(cluster.wait_until_ready()) << cluster.log(killed);
  ASSERT_EQ(write_many(cluster.endpoints(), 100), 100);
  EXPECT_TRUE(cluster.wait_until_equal()) << cluster.log(killed);
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    EXPECT_FALSE(cluster.says(i, "damaged")) << cluster.log(i);
    EXPECT_FALSE(cluster.says(i, "without its data")) << cluster.log(i);
    EXPECT_FALSE(cluster.says(i, "snapshot of another member")) << cluster.log(i);
  }
}

TEST(ClusterFounding, AMemberKilledAtAnyMomentOfItsFirstStartGoesOn) {
  const int count = rounds(8, 80);
  for (int i = 0; i < count; ++i) {
    ConclaveCluster cluster(3, kTimers);
    const std::size_t victim = static_cast<std::size_t>(i) % cluster.size();
    // The first files are there after a few milliseconds, the store's first commit 100 ms later.
    const std::chrono::milliseconds moment{i * 240 / count};
    std::this_thread::sleep_for(moment);
    cluster.kill(victim);
    cluster.start(victim);
    SCOPED_TRACE("killed after " + std::to_string(moment.count()) + " ms");
    ASSERT_NO_FATAL_FAILURE(expect_as_if_nothing_had_been(cluster, victim));
  }
}

// A vote or an entry may be on the disk of a founder whose store has committed nothing yet.
TEST(ClusterFounding, AFounderWithoutItsFirstCommitHasItsLog) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  ASSERT_EQ(write_many(cluster.endpoints(), 100), 100);
  for (std::size_t victim = 0; victim < cluster.size(); ++victim) {
    cluster.kill(victim);
    std::filesystem::remove_all(cluster.data_dir(victim) / "store");
    cluster.start(victim);
    ASSERT_NO_FATAL_FAILURE(expect_as_if_nothing_had_been(cluster, victim));
  }
}

// All of them at once: what was acknowledged is in their logs alone.
TEST(ClusterFounding, FoundersWithoutTheirFirstCommitsLoseNothing) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  ASSERT_EQ(write_many(cluster.endpoints(), 100), 100);
  for (std::size_t i = 0; i < cluster.size(); ++i) cluster.kill(i);
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    std::filesystem::remove_all(cluster.data_dir(i) / "store");
    cluster.start(i);
  }
  ASSERT_TRUE(cluster.wait_until_ready());
  const auto got = cluster.client().get(Get{.key = "many/", .range_end = "many0"});
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->count, 100);
  expect_as_if_nothing_had_been(cluster, 0);
}

}  // namespace
}  // namespace conclave::test
