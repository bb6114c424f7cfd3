// The leader cut off in the kernel's own network, where nobody is told that packets are lost.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/faults/asker.h"
#include "tests/faults/cluster_rounds.h"
#include "tests/support/namespace_network.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;

constexpr ConclaveCluster::Timers kTimers{100, 1000};

TEST(ClusterNamespaces, ALeaderWhosePacketsAreLostIsReplaced) {
  const std::unique_ptr<NamespaceNetwork> network = NamespaceNetwork::make(3);
  if (!network) GTEST_SKIP() << "no network can be made here: it takes root, ip and nsenter";
  ConclaveCluster cluster(3, kTimers, network.get());
  ASSERT_TRUE(cluster.wait_until_ready()) << cluster.log(0);
  Load load({.endpoints = cluster.endpoints(), .timeout = 3s});
  ASSERT_TRUE(load.accepted_after(steady_now_ns(), 10s));
  Times silent;
  Times deaf;
  for (int i = 0; i < rounds(3, 30); ++i) {
    const std::size_t leader = cluster.wait_for_leader();
    const bool deaf_only = i % 3 == 2;
    for (std::size_t other = 0; other < cluster.size(); ++other) {
      if (other == leader) continue;
      // In turn: both ways, only what it sends, only what it hears.
      if (!deaf_only) network->cut(leader, other);
      if (i % 3 != 1) network->cut(other, leader);
    }
    const std::int64_t begin = steady_now_ns();
    {
      Asker asker(cluster, leader, 300ms);
      const std::int64_t served = expect_served_by_all_but(cluster, leader);
      const auto accepted = load.accepted_after(begin, 30s);
      ASSERT_TRUE(accepted) << load.summary();
      (deaf_only ? deaf : silent)
          .all_ms.push_back(static_cast<double>(std::min(served, *accepted) - begin) / 1e6);
      EXPECT_TRUE(wait_until([&] { return cluster.wait_for_leader() != leader; }));
      EXPECT_TRUE(asker.wait_for(10));
    }
    network->heal();
    ASSERT_TRUE(cluster.wait_until_ready()) << cluster.log(leader);
  }
  load.stop();
  silent.print("leader's packets lost", kTimers.election_ms);
  deaf.print("only packets to the leader lost", kTimers.election_ms);
  std::printf("%s\n", load.summary().c_str());
  for (const Times& times : {silent, deaf}) {
    EXPECT_LT(times.median_ms(), 5000 + 5 * kTimers.election_ms);
  }
  silent.expect_within(kSilentMedian, kSilentWorst, kTimers.election_ms);
  deaf.expect_within(kDeafMedian, kDeafWorst, kTimers.election_ms);
  EXPECT_EQ(load.findings(cluster.client()), "");
  EXPECT_TRUE(cluster.wait_until_equal());
}

}  // namespace
}  // namespace conclave::test
