// Bugs that systems of this kind have had, each as the schedule that showed it.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/client/core.h"
#include "conclave/session/session_core.h"
#include "conclave/session/turn_core.h"

#include "tests/sim/channel.h"
#include "tests/sim/drains.h"
#include "tests/sim/kv_clients.h"
#include "tests/sim/stage.h"
#include "tests/sim/watch_clients.h"

namespace conclave::sim {
namespace {

using namespace std::chrono_literals;
using namespace etcdserverpb;

struct Case {
  const char* name;
  void (*schedule)(Stage& stage);
  std::uint64_t kept_log_entries = 20000;
};

void fill(Stage& stage, int count, const std::string& prefix = "k") {
  for (int i = 0; i < count; ++i) {
    EXPECT_GT(stage.put(stage.leader(), prefix + std::to_string(i % 7), "v" + std::to_string(i)),
              0);
  }
}

// etcd 15247, 12528: a leader that was stalled wakes up and revokes leases that were renewed at
// its successor.
void stale_leader_revokes(Stage& stage) {
  SimNode& old = stage.leader();
  ASSERT_TRUE(stage.grant(old, 7, 2));
  ASSERT_GT(stage.put(old, "held", "by lease", 7), 0);
  old.pause();
  ASSERT_TRUE(stage.run_until([&] { return stage.ready_leader() != nullptr; }, 10s));
  // Elections may have taken most of the TTL; what counts is from the next renewal on.
  ASSERT_NE(stage.leader().id(), old.id());
  ASSERT_TRUE(stage.renew(stage.leader(), 7));
  for (int i = 0; i < 10; ++i) {
    stage.run_for(300ms);
    ASSERT_TRUE(stage.renew(stage.leader(), 7));
    if (i == 5) old.resume();
  }
  EXPECT_TRUE(stage.exists(7));
}

// etcd 9888, 9395, 13294: each election gives every lease its whole TTL again; also where nobody
// writes.
void elections_prolong_leases(Stage& stage) {
  ASSERT_TRUE(stage.grant(stage.leader(), 7, 4));
  const Instant granted = stage.world().now();
  for (int i = 0; i < 8 && stage.exists(7); ++i) {
    SimNode& leader = stage.leader();
    MoveLeaderRequest request;
    request.set_targetid(stage.follower().id());
    stage.call<MoveLeaderRequest, MoveLeaderResponse>(leader, request);
    stage.run_for(700ms);
  }
  ASSERT_TRUE(stage.run_until([&] { return !stage.exists(7); }));
  EXPECT_LT(stage.world().now() - granted, 5500ms);
}

// etcd 20418, and every leader that serves reads without asking: a leader that was replaced while
// it was paused answers with what it knew.
void deposed_leader_reads(Stage& stage) {
  SimNode& old = stage.leader();
  ASSERT_GT(stage.put(old, "k", "before"), 0);
  old.pause();
  ASSERT_TRUE(stage.run_until([&] { return stage.ready_leader() != nullptr; }, 10s));
  const std::int64_t written = stage.put(stage.leader(), "k", "after");
  ASSERT_GT(written, 0);
  old.resume();
  RangeRequest request;
  request.set_key("k");
  const auto reply = stage.call<RangeRequest, RangeResponse>(old, request);
  if (reply.ok) {
    EXPECT_GE(reply.response.header().revision(), written);
  }
}

// etcd 13514: what says how far the store has come reached the disk before the store's contents.
void applied_index_runs_ahead(Stage& stage) {
  for (int round = 0; round < 12; ++round) {
    fill(stage, 5);
    SimNode& victim = stage.cluster().any_node();
    stage.run_for(stage.world().between(0ms, 150ms));
    victim.power_cut();
    stage.run_for(50ms);
    victim.start();
    ASSERT_TRUE(stage.settles());
  }
}

// etcd 15271: after a snapshot took the place of a member's state, its watchers were told old
// events again. Also compaction and a member that is too far behind for the log.
void snapshot_replays_events(Stage& stage) {
  SimNode& behind = stage.follower();
  const std::int64_t first = stage.put(stage.leader(), "k", "first");
  ASSERT_TRUE(stage.settles());
  std::int64_t next = first;
  const auto stream = behind.open_stream({[&](const WatchResponse& response) {
                                            for (const mvccpb::Event& event : response.events()) {
                                              EXPECT_EQ(event.kv().mod_revision(), next);
                                              next = event.kv().mod_revision() + 1;
                                            }
                                          },
                                          [] {}});
  WatchCreateRequest request;
  request.set_key("k");
  request.set_start_revision(first);
  behind.create_watch(stream, request);
  stage.run_for(200ms);
  EXPECT_EQ(next, first + 1);
  stage.isolate(behind);
  stage.run_until([&] { return !behind.leads() && stage.ready_leader() != nullptr; });
  std::int64_t last = 0;
  for (int i = 0; i < 60; ++i) last = stage.put(stage.leader(), "k", std::to_string(i));
  stage.run_for(1s);
  stage.cluster().network().join_all();
  ASSERT_TRUE(stage.settles());
  stage.run_for(1s);
  EXPECT_EQ(next, last + 1);
}

// etcd 18089, 19179: a deletion at the very revision of a compaction was never told.
void deletion_at_compaction(Stage& stage) {
  fill(stage, 3);
  DeleteRangeRequest erase;
  erase.set_key("k1");
  const auto erased = stage.call<DeleteRangeRequest, DeleteRangeResponse>(stage.leader(), erase);
  const std::int64_t revision = erased.response.header().revision();
  fill(stage, 1);
  CompactionRequest compact;
  compact.set_revision(revision);
  compact.set_physical(true);
  ASSERT_TRUE((stage.call<CompactionRequest, CompactionResponse>(stage.leader(), compact).ok));
  ASSERT_TRUE(stage.settles());
  stage.run_for(1s);
  for (SimNode* node : stage.cluster().nodes()) {
    int told = 0;
    const auto stream = node->open_stream({[&](const WatchResponse& response) {
                                             for (const mvccpb::Event& event : response.events()) {
                                               told +=
                                                   event.kv().mod_revision() == revision ? 1 : 0;
                                             }
                                           },
                                           [] {}});
    WatchCreateRequest watch;
    watch.set_key("k1");
    watch.set_start_revision(revision);
    node->create_watch(stream, watch);
    stage.run_for(200ms);
    EXPECT_EQ(told, 1) << "at node " << node->id();
    node->close_stream(stream);
  }
}

// etcd 18667: whether a transaction could read an old revision depended on how far each member had
// removed what a compaction left over.
void members_compact_apart(Stage& stage) {
  fill(stage, 30);
  const std::int64_t old = stage.cluster().ledger().revision() - 10;
  CompactionRequest compact;
  compact.set_revision(old + 5);
  ASSERT_TRUE((stage.call<CompactionRequest, CompactionResponse>(stage.leader(), compact).ok));
  SimNode& restarted = stage.follower();
  restarted.power_cut();
  TxnRequest txn;
  txn.add_success()->mutable_request_put()->set_key("k1");
  RangeRequest& range = *txn.add_success()->mutable_request_range();
  range.set_key("k0");
  range.set_range_end("k9");
  range.set_revision(old);
  const auto refused = stage.call<TxnRequest, TxnResponse>(stage.leader(), txn);
  EXPECT_EQ(refused.refusal, api::Refusal::compacted);
  restarted.start();
  ASSERT_TRUE(stage.settles());
}

// NATS, and others: an acknowledgement that did not wait for the disks.
void acknowledged_before_synced(Stage& stage) {
  std::vector<std::pair<std::string, std::int64_t>> acknowledged;
  for (int round = 0; round < 10; ++round) {
    for (SimNode* node : stage.cluster().nodes()) node->set_disk_slowness(50ms);
    for (int i = 0; i < 3; ++i) {
      const std::string value = "u" + std::to_string(round) + "." + std::to_string(i);
      const std::int64_t revision = stage.put(stage.leader(), "k", value);
      if (revision != 0) acknowledged.emplace_back(value, revision);
    }
    for (SimNode* node : stage.cluster().nodes()) node->power_cut();
    for (SimNode* node : stage.cluster().nodes()) node->start();
    stage.leader();
  }
  ASSERT_TRUE(stage.settles());
  EXPECT_GT(acknowledged.size(), 10U);
  for (const auto& [value, revision] : acknowledged) {
    EXPECT_EQ(stage.cluster().ledger().revision_of_value(value), revision);
  }
}

// A restart of one member after the other, as for an upgrade: callers were left in doubt, and each
// leader's end cost an election.
void restarts_in_turn(Stage& stage) {
  ClientNetwork network(stage.cluster());
  const Operator keeper(stage.cluster(), network);
  Drains drains(stage.cluster(), keeper);
  Knowledge knowledge;
  std::vector<std::unique_ptr<KvClient>> clients;
  for (int i = 1; i <= 5; ++i) {
    clients.push_back(std::make_unique<KvClient>(stage.cluster(), network, knowledge, i));
    clients.back()->set_haste(5ms);
    clients.back()->start();
  }
  stage.run_for(1s);
  for (int i = 0; i < 6; ++i) {
    SimNode& node = i % 2 == 0 ? stage.leader() : stage.follower();
    const std::uint64_t lives = node.lives();
    drains.drain(node);
    ASSERT_TRUE(stage.run_until([&] { return node.is_running() && node.lives() == lives + 2; }));
    stage.run_for(500ms);
  }
  for (const auto& client : clients) client->stop();
  stage.run_for(8s);
  ASSERT_TRUE(stage.settles());
  EXPECT_GT(knowledge.history.size(), 1000U);
  EXPECT_TRUE(std::ranges::all_of(knowledge.history, [](const test::EtcdOperation& operation) {
    return operation.return_time_ns.has_value();
  }));
  EXPECT_TRUE(test::check_etcd_history(knowledge.history).linearizable());
}

// A process that wants one lock.
struct Contender {
  explicit Contender(Stage& stage)
      : executor(stage.world(), 0s, 0), channels(stage.cluster(), executor) {
    client::CoreOptions options;
    options.endpoints = {SimChannels::endpoint_of(1), SimChannels::endpoint_of(2)};
    store = *client::StoreCore::open(executor, channels, options);
    session = std::make_shared<session::SessionCore>(
        *store, session::SessionConfig{2s, 200ms, 5s, 2s}, stage.world().random().next());
    executor.post([this] {
      session->open([this](const Result<void>& opened) {
        ASSERT_TRUE(opened);
        session::TurnConfig config;
        config.name = "job";
        config.kind = "lock";
        turn = std::make_shared<session::TurnCore>(session, std::move(config));
        turn->start([this](const Result<void>& result) { granted = result.has_value(); }, nullptr);
      });
    });
  }

  SimExecutor executor;
  SimChannels channels;
  std::unique_ptr<client::StoreCore> store;
  std::shared_ptr<session::SessionCore> session;
  std::shared_ptr<session::TurnCore> turn;
  std::optional<bool> granted;
};

// etcd 11456: a lock was returned to a waiter whose lease had expired while it waited.
void lock_after_lease(Stage& stage) {
  Contender holder(stage);
  ASSERT_TRUE(stage.run_until([&] { return holder.granted.has_value(); }));
  ASSERT_TRUE(*holder.granted);
  Contender waiter(stage);
  stage.run_for(1s);
  waiter.executor.pause();
  stage.run_for(4s);
  holder.executor.post(
      [&] { holder.turn->release(holder.executor.now() + 2s, [](const Result<void>&) {}); });
  stage.run_for(1s);
  waiter.executor.resume();
  ASSERT_TRUE(stage.run_until([&] { return waiter.granted.has_value(); }));
  EXPECT_FALSE(*waiter.granted);
  EXPECT_FALSE(waiter.turn->valid());
  for (Contender* each : {&holder, &waiter}) each->executor.crash();
  stage.run_for(1s);  // until nothing of theirs is under way
}

// Two members who know at once that the leader's process is gone: one wins, the other deposes it,
// and nobody asks again before the election timeout.
void rivals_after_a_leaders_end(Stage& stage) {
  for (int i = 0; i < 10; ++i) {
    SimNode& old = stage.leader();
    ASSERT_GT(stage.put(old, "k", std::to_string(i)), 0);
    const raft::NodeId gone = old.id();
    old.kill();
    stage.run_for(1ms);  // until what it sent has arrived
    for (SimNode* node : stage.cluster().nodes()) {
      if (node->id() != gone) node->peer_gone(gone);
    }
    const Instant begin = stage.world().now();
    ASSERT_TRUE(stage.run_until([&] { return stage.ready_leader() != nullptr; }));
    EXPECT_LT(stage.world().now() - begin, SimNode::kTick * SimNode::kElectionTicks / 2);
    old.start();
    ASSERT_TRUE(stage.settles());
  }
}

class KnownBugs : public testing::TestWithParam<Case> {};

TEST_P(KnownBugs, AreNotHere) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Plan plan;
    plan.kept_log_entries = GetParam().kept_log_entries;
    Stage stage(seed, plan);
    GetParam().schedule(stage);
    EXPECT_EQ(stage.violations(), "");
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, KnownBugs,
    testing::Values(Case{"stale_leader_revokes", stale_leader_revokes},
                    Case{"elections_prolong_leases", elections_prolong_leases},
                    Case{"deposed_leader_reads", deposed_leader_reads},
                    Case{"applied_index_runs_ahead", applied_index_runs_ahead},
                    Case{"snapshot_replays_events", snapshot_replays_events, 5},
                    Case{"deletion_at_compaction", deletion_at_compaction},
                    Case{"members_compact_apart", members_compact_apart},
                    Case{"restarts_in_turn", restarts_in_turn},
                    Case{"lock_after_lease", lock_after_lease},
                    Case{"rivals_after_a_leaders_end", rivals_after_a_leaders_end},
                    Case{"acknowledged_before_synced", acknowledged_before_synced}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace conclave::sim
