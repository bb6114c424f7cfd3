// Members that are cut off from others while callers go on at all of them: both ways and one way,
// with connections that stall and with connections that break.

#include <algorithm>
#include <chrono>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <thread>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "conclave/api/rpc.grpc.pb.h"
#include "conclave/base/random.h"

#include "tests/faults/asker.h"
#include "tests/faults/cluster_rounds.h"
#include "tests/support/peer_network.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;
using Wire = PeerNetwork::Wire;

// Where an election that nobody is to blame for would be a failure, even on a busy machine.
constexpr ConclaveCluster::Timers kTimers{100, 1000};
constexpr ConclaveCluster::Timers kQuick{50, 500};
// Of a question to a member that is cut off. Ten of them take three election timeouts.
constexpr auto kPatience = 300ms;

// What is cut around a member.
struct Cut {
  std::string name;
  bool can_send = false;
  bool can_hear = false;
  Wire wire = Wire::stalled;
  bool from_leader_only = false;
};

void PrintTo(const Cut& cut, std::ostream* out) {
  *out << cut.name;
}

std::string name_of_cut(const ::testing::TestParamInfo<Cut>& info) {
  return info.param.name;
}

// A stream of watches at one member, of a client that would rather ask another one than wait for a
// leader.
class WantingWatch {
 public:
  explicit WantingWatch(const std::string& endpoint)
      : stub_(grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials())) {
    context_.set_deadline(std::chrono::system_clock::now() + 30s);
    context_.AddMetadata("hasleader", "true");
    stream_ = stub_.Watch(&context_);
    etcdserverpb::WatchRequest request;
    request.mutable_create_request()->set_key("watched by nobody else");
    stream_->Write(request);
  }
  ~WantingWatch() { context_.TryCancel(); }
  WantingWatch(const WantingWatch&) = delete;
  WantingWatch& operator=(const WantingWatch&) = delete;

  bool next() {
    etcdserverpb::WatchResponse response;
    return stream_->Read(&response);
  }
  std::string end() {
    while (next()) {
    }
    return stream_->Finish().error_message();
  }

 private:
  etcdserverpb::Watch::Stub stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream_;
};

class CutOff : public ::testing::TestWithParam<Cut> {
 protected:
  struct View {
    std::uint64_t term = 0;
    bool leads = false;
    bool knows_leader = false;
  };
  // Of a member that answers.
  View view(std::size_t member) {
    const auto told = cluster_.status(member);
    EXPECT_TRUE(told) << told.error().message;
    if (!told) return {};
    return {told->raftterm(), told->leader() == told->header().member_id(), told->leader() != 0};
  }
  void cut(std::size_t member, std::size_t leader) {
    const Cut& cut = GetParam();
    for (std::size_t other = 0; other < cluster_.size(); ++other) {
      if (other == member || (cut.from_leader_only && other != leader)) continue;
      if (!cut.can_send) network_.set(member, other, cut.wire);
      if (!cut.can_hear) network_.set(other, member, cut.wire);
    }
  }
  // The members agree, and nothing can be said against what the callers saw.
  void expect_sound(Load& load) {
    load.stop();
    std::printf("%s\n", load.summary().c_str());
    EXPECT_EQ(load.findings(cluster_.client()), "");
    EXPECT_TRUE(cluster_.wait_until_equal());
  }

  PeerNetwork network_;
  ConclaveCluster cluster_{3, kTimers, &network_};
};

class CutOffLeader : public CutOff {};
INSTANTIATE_TEST_SUITE_P(Faults, CutOffLeader,
                         ::testing::Values(Cut{.name = "BothWays"},
                                           Cut{.name = "CannotSend", .can_hear = true},
                                           Cut{.name = "CannotHear", .can_send = true},
                                           Cut{.name = "Broken", .wire = Wire::broken}),
                         name_of_cut);

TEST_P(CutOffLeader, IsReplacedAndSaysNothing) {
  ASSERT_TRUE(cluster_.wait_until_ready());
  Load load({.endpoints = cluster_.endpoints(), .timeout = 3s});
  ASSERT_TRUE(load.accepted_after(steady_now_ns(), 10s));
  Times times;
  for (int i = 0; i < rounds(1, 20); ++i) {
    const std::size_t old_leader = cluster_.wait_for_leader();
    const std::uint64_t old_term = view(old_leader).term;
    cut(old_leader, old_leader);
    const std::int64_t begin = steady_now_ns();
    std::size_t leader = old_leader;
    {
      Asker asker(cluster_, old_leader, kPatience);
      const std::int64_t served = expect_served_by_all_but(cluster_, old_leader);
      const auto accepted = load.accepted_after(begin, 30s);
      ASSERT_TRUE(accepted) << load.summary();
      times.all_ms.push_back(static_cast<double>(std::min(served, *accepted) - begin) / 1e6);
      EXPECT_TRUE(wait_until([&] { return !view(old_leader).leads; }));
      leader = cluster_.wait_for_leader();
      EXPECT_NE(leader, old_leader);
      EXPECT_GT(view(leader).term, old_term);
      EXPECT_TRUE(cluster_.read(old_leader, /*serializable=*/true, 2s));
      EXPECT_TRUE(asker.wait_for(10));
    }
    const std::uint64_t term = view(leader).term;
    network_.heal();
    ASSERT_TRUE(cluster_.wait_until_ready()) << cluster_.log(old_leader);
    EXPECT_EQ(view(leader).term, term) << "the old leader has brought an election about";
    EXPECT_TRUE(view(leader).leads);
  }
  times.print("leader cut off, " + GetParam().name, kTimers.election_ms);
  EXPECT_LT(times.median_ms(), 5000 + 5 * kTimers.election_ms);
  if (GetParam().can_send) {
    times.expect_within(kDeafMedian, kDeafWorst, kTimers.election_ms);
  } else {
    times.expect_within(kSilentMedian, kSilentWorst, kTimers.election_ms);
  }
  expect_sound(load);
}

class CutOffFollower : public CutOff {};
INSTANTIATE_TEST_SUITE_P(Faults, CutOffFollower,
                         ::testing::Values(Cut{.name = "BothWays"},
                                           Cut{.name = "CannotSend", .can_hear = true},
                                           Cut{.name = "CannotHear", .can_send = true},
                                           Cut{.name = "FromTheLeader", .from_leader_only = true},
                                           Cut{.name = "Broken", .wire = Wire::broken}),
                         name_of_cut);

TEST_P(CutOffFollower, DeposesNobody) {
  ASSERT_TRUE(cluster_.wait_until_ready());
  Load load({.endpoints = cluster_.endpoints(), .timeout = 3s});
  ASSERT_TRUE(load.accepted_after(steady_now_ns(), 10s));
  for (int i = 0; i < rounds(1, 4); ++i) {
    const std::size_t leader = cluster_.wait_for_leader();
    const std::size_t follower = (leader + 1) % cluster_.size();
    const std::uint64_t term = view(leader).term;
    WantingWatch watch(cluster_.endpoint(follower));
    ASSERT_TRUE(watch.next());
    cut(follower, leader);
    {
      Asker asker(cluster_, follower, kPatience);
      EXPECT_TRUE(asker.wait_for(rounds(10, 30)));
      EXPECT_TRUE(GetParam().can_hear || wait_until([&] { return !view(follower).knows_leader; }));
      EXPECT_TRUE(GetParam().can_hear || watch.end() == "etcdserver: no leader");
      EXPECT_TRUE(cluster_.read(follower, /*serializable=*/true, 2s));
      EXPECT_TRUE(load.accepted_after(steady_now_ns(), 10s)) << load.summary();
    }
    network_.heal();
    ASSERT_TRUE(cluster_.wait_until_ready()) << cluster_.log(follower);
    EXPECT_EQ(view(leader).term, term) << "the follower has brought an election about";
    EXPECT_TRUE(view(leader).leads);
  }
  expect_sound(load);
}

// To the others it looks as if its process were gone, but it still talks to them.
TEST(ClusterCuts, ALeaderWhoRefusesConnectionsIsReplaced) {
  PeerNetwork network;
  ConclaveCluster cluster(3, kQuick, &network);
  ASSERT_TRUE(cluster.wait_until_ready());
  Load load({.endpoints = cluster.endpoints(), .timeout = 3s});
  ASSERT_TRUE(load.accepted_after(steady_now_ns(), 10s));
  Times times;
  for (int i = 0; i < rounds(2, 10); ++i) {
    const std::size_t old_leader = cluster.wait_for_leader();
    network.refuse(old_leader);
    const std::int64_t begin = steady_now_ns();
    {
      Asker asker(cluster, old_leader, kPatience);
      const auto accepted = load.accepted_after(begin, 30s);
      ASSERT_TRUE(accepted) << load.summary();
      times.all_ms.push_back(static_cast<double>(*accepted - begin) / 1e6);
      EXPECT_TRUE(wait_until([&] { return cluster.wait_for_leader() != old_leader; }));
      EXPECT_TRUE(asker.wait_for(4));
    }
    network.heal();
    ASSERT_TRUE(cluster.wait_until_ready()) << cluster.log(old_leader);
  }
  load.stop();
  times.print("leader refuses connections", kQuick.election_ms);
  std::printf("%s\n", load.summary().c_str());
  EXPECT_EQ(load.findings(cluster.client()), "");
  EXPECT_TRUE(cluster.wait_until_equal());
}

// Any wires at any time, whether or not a majority is left that can talk; sometimes a member is
// killed, too.
TEST(ClusterCuts, WiresComeAndGo) {
  constexpr std::size_t kMembers = 5;
  PeerNetwork network;
  ConclaveCluster cluster(kMembers, kQuick, &network);
  ASSERT_TRUE(cluster.wait_until_ready());
  Load load({.endpoints = cluster.endpoints(), .callers = 5, .timeout = 2s, .pause = 5ms});
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  for (int i = 0; i < rounds(8, 80); ++i) {
    for (std::size_t from = 0; from < kMembers; ++from) {
      for (std::size_t to = 0; to < kMembers; ++to) {
        if (from == to) continue;
        const std::uint64_t choice = random.below(10);
        network.set(from, to,
                    choice == 0   ? Wire::broken
                    : choice <= 2 ? Wire::stalled
                                  : Wire::whole);
      }
    }
    const std::size_t victim = random.below(kMembers);
    const bool kills = random.chance(1, 4);
    if (kills) cluster.kill(victim);
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random.below(1500)));
    if (kills) cluster.start(victim);
    if (random.chance(1, 2)) continue;
    network.heal();
    ASSERT_TRUE(load.accepted_after(steady_now_ns(), 30s)) << load.summary();
  }
  network.heal();
  EXPECT_TRUE(cluster.wait_until_ready());
  load.stop();
  std::printf("%s\n", load.summary().c_str());
  EXPECT_EQ(load.findings(cluster.client()), "");
  EXPECT_TRUE(cluster.wait_until_equal());
}

}  // namespace
}  // namespace conclave::test
