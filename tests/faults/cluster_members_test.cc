// Members that are behind, come, go, and come back damaged, empty or from elsewhere.

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/faults/cluster_rounds.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;

constexpr ConclaveCluster::Timers kTimers{50, 500};

// One bit in the middle of what is written in a log's first segment is another. A log of few
// entries has the others prepared only.
void flip_a_bit(const std::filesystem::path& log) {
  std::fstream file(log / "0000000000000001.log", std::ios::in | std::ios::out | std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::size_t end = bytes.find_last_not_of('\0');
  CONCLAVE_CHECK(end != std::string::npos, "the log is empty");
  file.clear();
  file.seekp(static_cast<std::streamoff>(end / 2));
  file.put(static_cast<char>(bytes[end / 2] ^ 4));
  CONCLAVE_CHECK(file.good(), "the log cannot be damaged");
}

TEST(ClusterMembers, AFollowerFarBehindGetsASnapshot) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  ASSERT_TRUE(cluster.client().put("before", "x"));
  const std::size_t leader = cluster.wait_for_leader();
  const std::size_t behind = (leader + 1) % 3;
  cluster.kill(behind);
  const int count = rounds(24'000, 200'000);
  const std::int64_t begin = steady_now_ns();
  ASSERT_EQ(write_many({cluster.endpoint(leader)}, count), count);
  std::printf("%d writes in %.1f s\n", count, static_cast<double>(steady_now_ns() - begin) / 1e9);
  const auto got = cluster.client().get("before");
  ASSERT_TRUE(got) << got.error().message;
  const auto compacted = cluster.client().compact(got->revision - 100, /*physical=*/true);
  ASSERT_TRUE(compacted) << compacted.error().message;
  Load load({.endpoints = cluster.endpoints()});
  cluster.start(behind);
  EXPECT_TRUE(wait_until([&] { return cluster.says(behind, "snapshot of another member"); }))
      << cluster.log(behind);
  EXPECT_TRUE(cluster.wait_until_ready()) << cluster.log(behind);
  load.stop();
  EXPECT_TRUE(cluster.wait_until_equal());
  const auto told = cluster.status(behind);
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_GE(told->dbsize(), told->dbsizeinuse()) << "a quota is held against it";
  const auto defragmented = cluster.defragment(behind);
  EXPECT_TRUE(defragmented) << defragmented.error().message;
  cluster.kill(behind);
  cluster.start(behind);
  EXPECT_TRUE(cluster.wait_until_ready()) << cluster.log(behind);
  EXPECT_TRUE(cluster.wait_until_equal());
}

TEST(ClusterMembers, ALearnerTakesTheLeadersPlace) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  Load load({.endpoints = cluster.endpoints()});
  ASSERT_TRUE(load.accepted_after(steady_now_ns(), 10s));
  const Result<std::size_t> added = cluster.add(/*learner=*/true);
  ASSERT_TRUE(added) << added.error().message;
  std::string why;
  ASSERT_TRUE(wait_until([&] {
    const Result<void> promoted = cluster.promote(*added);
    if (!promoted) why = promoted.error().message;
    return promoted.has_value();
  })) << why
      << cluster.log(*added);
  ASSERT_TRUE(cluster.wait_until_ready()) << cluster.log(*added);

  const std::size_t leader = cluster.wait_for_leader();
  const auto told = cluster.status(leader);
  ASSERT_TRUE(told) << told.error().message;
  const Result<void> removed = cluster.remove(told->header().member_id());
  EXPECT_TRUE(removed) << removed.error().message;
  ASSERT_TRUE(load.accepted_after(steady_now_ns(), 20s)) << load.summary();
  EXPECT_TRUE(wait_until([&] { return cluster.says(leader, "removed"); })) << cluster.log(leader);
  cluster.kill(leader);
  cluster.start(leader);
  EXPECT_TRUE(wait_until([&] { return cluster.says(leader, "of no more use"); }))
      << cluster.log(leader);
  cluster.kill(leader);
  ASSERT_TRUE(load.accepted_after(steady_now_ns(), 20s)) << load.summary();
  load.stop();
  std::printf("%s\n", load.summary().c_str());
  Client others = *Client::connect({.endpoints = {cluster.endpoint(*added)}});
  EXPECT_EQ(load.findings(others), "");
  EXPECT_TRUE(cluster.wait_until_equal());
}

// All end, so that no leader has heard of the one that stays away.
TEST(ClusterMembers, NoneIsAddedWhileOneIsAway) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  cluster.start(0);
  cluster.start(1);
  ASSERT_TRUE(cluster.wait_until_ready()) << cluster.last_words();
  const Result<std::size_t> added = cluster.add(/*learner=*/false);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message, "etcdserver: unhealthy cluster");
}

TEST(ClusterMembers, OneWithoutItsDataDoesNotCount) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  ASSERT_TRUE(cluster.client().put("a", "1"));
  const std::size_t leader = cluster.wait_for_leader();
  const std::size_t wiped = (leader + 1) % 3;
  const std::size_t other = (leader + 2) % 3;
  const auto told = cluster.status(wiped);
  ASSERT_TRUE(told) << told.error().message;
  cluster.kill(wiped);
  cluster.wipe(wiped);
  // The first time it may be told by a heartbeat that it has lost something.
  for (int time = 0; time < 2; ++time) {
    cluster.start(wiped);
    ASSERT_TRUE(wait_until([&] { return cluster.ended(wiped).has_value(); })) << cluster.log(wiped);
  }
  EXPECT_TRUE(cluster.says(wiped, "without its data")) << cluster.log(wiped);
  EXPECT_TRUE(cluster.client().put("a", "2"));
  EXPECT_FALSE(cluster.read(wiped, /*serializable=*/false, 1s));
  cluster.kill(other);
  Client survivor = *Client::connect({.endpoints = {cluster.endpoint(leader)}});
  EXPECT_FALSE(survivor.put("a", "3", {.timeout = 3s}));
  cluster.start(other);
  ASSERT_TRUE(wait_until([&] { return survivor.put("a", "4").has_value(); }));

  const Result<void> removed = cluster.remove(told->header().member_id());
  ASSERT_TRUE(removed) << removed.error().message;
  cluster.start(wiped);
  ASSERT_TRUE(wait_until([&] { return cluster.ended(wiped).has_value(); })) << cluster.log(wiped);
  EXPECT_TRUE(cluster.says(wiped, "was removed from the cluster")) << cluster.log(wiped);
  cluster.wipe(wiped);
  const Result<void> entered = cluster.enter(wiped, /*learner=*/false);
  ASSERT_TRUE(entered) << entered.error().message;
  cluster.start(wiped);
  EXPECT_TRUE(cluster.wait_until_ready()) << cluster.log(wiped);
  EXPECT_TRUE(cluster.wait_until_equal());
  cluster.kill(other);
  EXPECT_TRUE(wait_until([&] { return survivor.put("a", "5").has_value(); }));
}

TEST(ClusterMembers, ADamagedLogIsRepairedFromTheOthers) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  ASSERT_EQ(write_many(cluster.endpoints(), 500), 500);
  const std::size_t damaged = cluster.wait_for_follower();
  cluster.kill(damaged);
  flip_a_bit(cluster.data_dir(damaged) / "log");
  Load load({.endpoints = cluster.endpoints()});
  cluster.start(damaged);
  EXPECT_TRUE(wait_until([&] { return cluster.says(damaged, "damaged"); })) << cluster.log(damaged);
  EXPECT_TRUE(wait_until([&] { return cluster.says(damaged, "has everything again, and counts"); }))
      << cluster.log(damaged);
  EXPECT_TRUE(cluster.wait_until_ready()) << cluster.log(damaged);
  load.stop();
  EXPECT_EQ(load.findings(cluster.client()), "");
  EXPECT_TRUE(cluster.wait_until_equal());
}

// As if somebody had put back an old copy of its disk.
TEST(ClusterMembers, AMemberThatForgotWhatItAcknowledgedGetsItAnew) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  const std::size_t forgetful = cluster.wait_for_follower();
  cluster.kill(forgetful);
  const std::filesystem::path data = cluster.data_dir(forgetful);
  const std::filesystem::path copy = data.string() + ".copy";
  std::filesystem::copy(data, copy, std::filesystem::copy_options::recursive);
  cluster.start(forgetful);
  ASSERT_TRUE(cluster.wait_until_ready());
  ASSERT_EQ(write_many(cluster.endpoints(), 500), 500);
  ASSERT_TRUE(cluster.wait_until_equal());
  cluster.kill(forgetful);
  std::filesystem::remove_all(data);
  std::filesystem::rename(copy, data);

  cluster.start(forgetful);
  EXPECT_TRUE(wait_until([&] { return !cluster.runs(forgetful); })) << cluster.log(forgetful);
  EXPECT_TRUE(cluster.says(forgetful, "acknowledged log entries")) << cluster.log(forgetful);
  cluster.start(forgetful);
  EXPECT_TRUE(wait_until([&] {
    return cluster.says(forgetful, "has everything again, and counts");
  })) << cluster.log(forgetful);
  EXPECT_TRUE(cluster.wait_until_ready()) << cluster.log(forgetful);
  EXPECT_TRUE(cluster.wait_until_equal());
}

TEST(ClusterMembers, OneOfAnotherClusterIsRefused) {
  ConclaveCluster cluster(3, kTimers);
  ASSERT_TRUE(cluster.wait_until_ready());
  const std::size_t stranger = cluster.wait_for_follower();
  cluster.kill(stranger);
  cluster.wipe(stranger);
  cluster.start(stranger, "another-cluster");
  EXPECT_TRUE(wait_until([&] { return cluster.says(stranger, "this member is of the cluster"); }))
      << cluster.log(stranger);
  // Not through the stranger, which would keep the call until there is a leader.
  auto client = Client::connect({.endpoints = {cluster.endpoint((stranger + 1) % 3)}});
  ASSERT_TRUE(client);
  EXPECT_TRUE(client->put("a", "1"));
  EXPECT_FALSE(cluster.read(stranger, /*serializable=*/false, 1s));
}

}  // namespace
}  // namespace conclave::test
