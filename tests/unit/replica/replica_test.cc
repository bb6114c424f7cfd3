#include "conclave/replica/replica.h"

#include <gtest/gtest.h>

#include "tests/support/memory_storage.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/simulated_member.h"

namespace conclave::replica {
namespace {

using api::Refusal;
using etcdserverpb::CompactionRequest;
using etcdserverpb::CompactionResponse;
using etcdserverpb::HashKVRequest;
using etcdserverpb::HashKVResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::StatusRequest;
using etcdserverpb::StatusResponse;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A storage whose reads can be told to fail.
class FailingReads final : public mvcc::Storage {
 public:
  explicit FailingReads(mvcc::Storage& storage) : storage_(storage) {}
  void fail() { failing_ = true; }

  Result<void> commit(const mvcc::Batch& batch) override { return storage_.commit(batch); }
  Result<void> sync() override { return storage_.sync(); }
  Result<std::optional<std::string>> get(mvcc::Table table, std::string_view key) const override {
    if (failing_) return Error{Errc::corrupt, "a damaged value"};
    return storage_.get(table, key);
  }
  Result<void> scan(mvcc::Table table, std::string_view begin, std::string_view end,
                    const Visitor& visit) const override {
    if (failing_) return Error{Errc::corrupt, "a damaged value"};
    return storage_.scan(table, begin, end, visit);
  }
  std::uint64_t size_bytes() const override { return storage_.size_bytes(); }
  std::uint64_t size_in_use_bytes() const override { return storage_.size_in_use_bytes(); }

 private:
  mvcc::Storage& storage_;
  bool failing_ = false;
};

class ReplicaTest : public testing::Test {
 protected:
  void start(std::function<void(Options&)> adjust = nullptr) {
    test::SimulatedMember::Setup setup;
    setup.seed = ++starts_;
    setup.adjust = std::move(adjust);
    auto started = test::SimulatedMember::start(disk_, storage_, std::move(setup));
    ASSERT_TRUE(started) << started.error().message;
    member_ = *std::move(started);
  }
  void crash() { member_.reset(); }

  static PutRequest put_request(const std::string& key, const std::string& value) {
    PutRequest request;
    request.set_key(key);
    request.set_value(value);
    return request;
  }
  static RangeRequest range_request(const std::string& key, bool serializable = false) {
    RangeRequest request;
    request.set_key(key);
    request.set_serializable(serializable);
    return request;
  }

  test::SimulatedDisk disk_;
  test::MemoryStorage storage_;
  std::uint64_t starts_ = 0;
  std::unique_ptr<test::SimulatedMember> member_;
};

TEST_F(ReplicaTest, AGroupOfOneLeadsAtOnceAndServes) {
  start();
  EXPECT_TRUE(member_->replica().is_ready());
  const auto ticket = member_->put("a", "1");
  ASSERT_TRUE(ticket->acknowledged());
  EXPECT_EQ(ticket->response.header().revision(), 2);
  EXPECT_EQ(ticket->response.header().cluster_id(), 11U);
  EXPECT_EQ(ticket->response.header().member_id(), 7U);
  EXPECT_EQ(ticket->response.header().raft_term(), 1U);
  EXPECT_EQ(member_->get("a"), "1");
}

TEST_F(ReplicaTest, NothingIsAcknowledgedOrReadBeforeTheLogIsSynced) {
  start();
  member_->hold_log(true);
  const auto put = member_->submit<PutRequest, PutResponse>(put_request("a", "1"));
  ASSERT_TRUE(member_->step());
  EXPECT_FALSE(put->answered);
  const auto stale =
      member_->submit<RangeRequest, RangeResponse>(range_request("a", /*serializable=*/true));
  ASSERT_TRUE(member_->step());
  ASSERT_TRUE(stale->acknowledged());
  EXPECT_EQ(stale->response.count(), 0);
  member_->hold_log(false);
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(put->acknowledged());
}

TEST_F(ReplicaTest, ReadsGoOnWhileASyncRuns) {
  start();
  ASSERT_TRUE(member_->put("a", "1")->acknowledged());
  member_->hold_log(true);
  const auto put = member_->submit<PutRequest, PutResponse>(put_request("a", "2"));
  const auto read = member_->submit<RangeRequest, RangeResponse>(range_request("a"));
  ASSERT_TRUE(member_->step());
  EXPECT_FALSE(put->answered);
  ASSERT_TRUE(read->acknowledged());
  EXPECT_EQ(read->response.kvs(0).value(), "1");
}

TEST_F(ReplicaTest, ACrashLosesNothingAcknowledged) {
  start();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(member_->put("key" + std::to_string(i), "v")->acknowledged());
  }
  const std::uint64_t term = member_->replica().raft().term();
  crash();
  disk_.power_cut_dropping_all_unsynced();
  start();
  EXPECT_GT(member_->replica().raft().term(), term);
  EXPECT_EQ(member_->state().store().current_revision(), 21);
  EXPECT_EQ(member_->get("key19"), "v");
}

TEST_F(ReplicaTest, ARequestThatWaitsTooLongIsToldSo) {
  start();
  member_->hold_log(true);
  const auto put = member_->submit<PutRequest, PutResponse>(put_request("a", "1"));
  ASSERT_TRUE(member_->advance(seconds(6)));
  EXPECT_FALSE(put->answered);
  ASSERT_TRUE(member_->advance(seconds(2)));
  ASSERT_TRUE(put->answered);
  EXPECT_EQ(put->refusal, Refusal::timeout);
  // It was under way, and may still be carried out: the answer said no more than that.
  member_->hold_log(false);
  ASSERT_TRUE(member_->step());
  EXPECT_EQ(member_->get("a"), "1");
}

TEST_F(ReplicaTest, BadRequestsAreRefusedBeforeTheLog) {
  start();
  const raft::Index before = member_->replica().raft().log().last_index();
  EXPECT_EQ(member_->put("", "x")->refusal, Refusal::empty_key);
  PutRequest both = put_request("a", "1");
  both.set_ignore_value(true);
  EXPECT_EQ((member_->call<PutRequest, PutResponse>(both)->refusal), Refusal::value_provided);
  EXPECT_EQ(member_->put("a", std::string(2 << 20, 'x'))->refusal, Refusal::request_too_large);
  TxnRequest large;
  for (int i = 0; i < 129; ++i) {
    *large.add_success()->mutable_request_put() = put_request("k" + std::to_string(i), "");
  }
  EXPECT_EQ((member_->call<TxnRequest, TxnResponse>(large)->refusal), Refusal::too_many_operations);
  EXPECT_EQ(member_->replica().raft().log().last_index(), before);
}

TEST_F(ReplicaTest, AReadOnlyTransactionLeavesNoEntry) {
  start();
  ASSERT_TRUE(member_->put("a", "1")->acknowledged());
  const raft::Index before = member_->replica().raft().log().last_index();
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = range_request("a");
  const auto ticket = member_->call<TxnRequest, TxnResponse>(txn);
  ASSERT_TRUE(ticket->acknowledged());
  EXPECT_EQ(ticket->response.responses(0).response_range().kvs(0).value(), "1");
  EXPECT_EQ(ticket->response.header().member_id(), 7U);
  EXPECT_EQ(member_->replica().raft().log().last_index(), before);
}

TEST_F(ReplicaTest, TheStoreLearnsOfEntriesWithinABatchAge) {
  start();
  ASSERT_TRUE(member_->advance(seconds(1)));
  const int batches = member_->batches_committed();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(member_->put("a", "1")->acknowledged());
  EXPECT_EQ(member_->batches_committed(), batches);
  ASSERT_TRUE(member_->advance(milliseconds(200)));
  EXPECT_EQ(member_->batches_committed(), batches + 1);
  EXPECT_EQ(*StateMachine::stored_index(storage_), member_->state().applied_index());
}

TEST_F(ReplicaTest, TheLogIsKeptUntilTheStoreCannotTakeACommitBack) {
  start();
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(member_->put("a", std::to_string(round))->acknowledged());
    ASSERT_TRUE(member_->advance(seconds(1)));
    const raft::Index stored = *StateMachine::stored_index(storage_);
    EXPECT_LT(member_->replica().raft().log().compacted().index, stored);
  }
  crash();
  storage_.power_cut_dropping_all_unsynced();
  start();
  EXPECT_EQ(member_->get("a"), "4");
}

TEST_F(ReplicaTest, AFullQuotaRefusesWhatAddsAndAllowsWhatRemoves) {
  start([](Options& options) { options.quota_bytes = 0; });
  EXPECT_EQ(member_->put("a", "1")->refusal, Refusal::no_space);
  etcdserverpb::DeleteRangeRequest erase;
  erase.set_key("a");
  const auto deleted =
      member_->call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>(erase);
  EXPECT_TRUE(deleted->acknowledged());
}

TEST_F(ReplicaTest, ADrainingMemberAnswersWhatItHasAndRefusesTheRest) {
  start();
  member_->hold_log(true);
  const auto before = member_->submit<PutRequest, PutResponse>(put_request("a", "1"));
  ASSERT_TRUE(member_->step());
  member_->replica().drain();
  const auto after = member_->submit<PutRequest, PutResponse>(put_request("b", "1"));
  ASSERT_TRUE(member_->step());
  EXPECT_EQ(after->refusal, Refusal::stopped);
  EXPECT_FALSE(member_->replica().idle());
  member_->hold_log(false);
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(before->acknowledged());
  member_->replica().flush();
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(member_->replica().idle());
  EXPECT_TRUE(member_->replica().settled());
}

TEST_F(ReplicaTest, HistoryGoesByItself) {
  start([](Options& options) { options.retention.age = seconds(10); });
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(member_->put("a", std::to_string(i))->acknowledged());
    ASSERT_TRUE(member_->advance(seconds(1)));
  }
  const mvcc::Store& store = member_->state().store();
  EXPECT_GT(store.compact_revision(), 20);
  EXPECT_LE(store.compact_revision(), store.current_revision() - 10);
  EXPECT_FALSE(store.compaction_pending());
}

TEST_F(ReplicaTest, StatusTellsWhereTheMemberStands) {
  start();
  ASSERT_TRUE(member_->put("a", "1")->acknowledged());
  const auto status = member_->call<StatusRequest, StatusResponse>({});
  ASSERT_TRUE(status->acknowledged());
  EXPECT_EQ(status->response.leader(), 7U);
  EXPECT_EQ(status->response.raftterm(), 1U);
  EXPECT_EQ(status->response.raftappliedindex(), status->response.raftindex());
  EXPECT_EQ(status->response.header().revision(), 2);
}

TEST_F(ReplicaTest, AHashIsOfTheMembersOwnStateAndWithinItsHistory) {
  start();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(member_->put("a", std::to_string(i))->acknowledged());
  const auto hash = [this](std::int64_t revision) {
    HashKVRequest request;
    request.set_revision(revision);
    return member_->call<HashKVRequest, HashKVResponse>(request);
  };
  const auto early = hash(4);
  ASSERT_TRUE(early->acknowledged());
  EXPECT_EQ(early->response.header().member_id(), 7U);
  EXPECT_EQ(early->response.header().revision(), 6);
  EXPECT_EQ(early->response.hash_revision(), 4);
  EXPECT_EQ(early->response.compact_revision(), -1);
  const auto current = hash(0);
  EXPECT_EQ(current->response.hash_revision(), 6);
  EXPECT_NE(current->response.hash(), early->response.hash());
  EXPECT_EQ(hash(7)->refusal, Refusal::future_revision);
  CompactionRequest compact;
  compact.set_revision(5);
  ASSERT_TRUE((member_->call<CompactionRequest, CompactionResponse>(compact)->acknowledged()));
  EXPECT_EQ(hash(4)->refusal, Refusal::compacted);
  EXPECT_EQ(hash(6)->response.compact_revision(), 5);
}

TEST_F(ReplicaTest, ACompactedRevisionStaysCompactedAfterARestart) {
  start();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(member_->put("a", "1")->acknowledged());
  CompactionRequest compact;
  compact.set_revision(8);
  ASSERT_TRUE((member_->call<CompactionRequest, CompactionResponse>(compact)->acknowledged()));
  ASSERT_TRUE(member_->advance(seconds(2)));
  crash();
  start();
  RangeRequest old = range_request("a");
  old.set_revision(7);
  EXPECT_EQ((member_->call<RangeRequest, RangeResponse>(old)->refusal), Refusal::compacted);
  EXPECT_EQ(member_->state().store().current_revision(), 11);
}

class PhysicalCompactionTest : public ReplicaTest {
 protected:
  using CompactTicket = std::shared_ptr<test::Ticket<CompactionRequest, CompactionResponse>>;

  // Far more history than one step removes.
  void start_with_history() {
    start([](Options& options) { options.batch_age = seconds(1000); });
    for (int i = 0; i < 3000; ++i) {
      puts_.push_back(member_->submit<PutRequest, PutResponse>(
          put_request("key" + std::to_string(i % 7), std::to_string(i))));
    }
    ASSERT_TRUE(member_->step());
    member_->replica().flush();
    ASSERT_TRUE(member_->step());
    ASSERT_EQ(stored_records(), 3000U);
  }
  CompactTicket compact() {
    CompactionRequest request;
    request.set_revision(member_->state().store().current_revision());
    request.set_physical(true);
    return member_->submit<CompactionRequest, CompactionResponse>(request);
  }
  std::size_t stored_records() const {
    std::size_t count = 0;
    EXPECT_TRUE(storage_.scan(mvcc::Table::records, {}, {}, [&](auto, auto) {
      ++count;
      return true;
    }));
    return count;
  }

  std::vector<std::shared_ptr<test::Ticket<PutRequest, PutResponse>>> puts_;
};

TEST_F(PhysicalCompactionTest, IsAnsweredOnceTheStoreHasCommittedTheRemoval) {
  start_with_history();
  member_->hold_store(true);
  const CompactTicket ticket = compact();
  ASSERT_TRUE(member_->step());
  EXPECT_FALSE(ticket->answered) << "nothing is removed yet";
  EXPECT_EQ(member_->put("more", "1")->refusal, std::nullopt) << "requests go on";
  EXPECT_FALSE(member_->replica().idle());
  member_->hold_store(false);
  // Neither time nor a tick: removal goes on as long as there is nothing else to do.
  ASSERT_TRUE(member_->step());
  ASSERT_TRUE(ticket->acknowledged());
  EXPECT_EQ(ticket->response.header().revision(), 3001);
  EXPECT_EQ(stored_records(), 7U);
  EXPECT_TRUE(member_->replica().idle());
}

TEST_F(PhysicalCompactionTest, WithNothingToRemoveIsAnsweredToo) {
  start();
  ASSERT_TRUE(member_->put("a", "1")->acknowledged());
  const CompactTicket ticket = compact();
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(ticket->acknowledged());
  const CompactTicket again = compact();
  ASSERT_TRUE(member_->step());
  EXPECT_EQ(again->refusal, Refusal::compacted);
}

TEST_F(PhysicalCompactionTest, IsAnsweredWhileLaterCompactionsAreStillBeingRemoved) {
  start_with_history();
  member_->hold_store(true);
  const CompactTicket first = compact();
  ASSERT_TRUE(member_->step());
  ASSERT_TRUE(member_->put("key1", "later")->acknowledged());
  const CompactTicket second = compact();
  ASSERT_TRUE(member_->step());
  member_->hold_store(false);
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(first->acknowledged());
  EXPECT_TRUE(second->acknowledged());
  EXPECT_EQ(stored_records(), 7U);
}

TEST_F(PhysicalCompactionTest, TimesOutAndIsAbandonedLikeOtherCalls) {
  start_with_history();
  member_->hold_store(true);
  const CompactTicket slow = compact();
  ASSERT_TRUE(member_->advance(seconds(8)));
  ASSERT_TRUE(slow->answered);
  EXPECT_EQ(slow->refusal, Refusal::timeout);
  ASSERT_TRUE(member_->put("key1", "later")->acknowledged());
  const CompactTicket dropped = compact();
  ASSERT_TRUE(member_->step());
  member_->replica().drain();
  ASSERT_TRUE(member_->step());
  EXPECT_FALSE(dropped->answered);
  member_->replica().abandon(Refusal::timeout);
  ASSERT_TRUE(member_->step());
  EXPECT_EQ(dropped->refusal, Refusal::timeout);
}

using DefragmentTicket = std::shared_ptr<
    test::Ticket<etcdserverpb::DefragmentRequest, etcdserverpb::DefragmentResponse>>;

TEST_F(ReplicaTest, DefragmentsOnceForAllWhoAskMeanwhile) {
  start();
  const auto ask = [this]() -> DefragmentTicket {
    return member_->submit<etcdserverpb::DefragmentRequest, etcdserverpb::DefragmentResponse>({});
  };
  Replica& replica = member_->replica();
  const DefragmentTicket first = ask();
  const DefragmentTicket second = ask();
  EXPECT_FALSE(replica.idle());
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(first->acknowledged());
  EXPECT_TRUE(second->acknowledged());
  EXPECT_FALSE(first->response.has_header()) << "as etcd's";
  EXPECT_TRUE(replica.idle());
  const DefragmentTicket third = ask();
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(third->acknowledged());
}

TEST_F(ReplicaTest, WhatChangesNothingIsBoundedTooWhileTheStoreHangs) {
  constexpr std::uint64_t kBound = 1 << 20;
  start([](Options& options) { options.max_uncommitted_bytes = kBound; });
  member_->hold_store(true);
  int taken = 0;
  std::optional<Refusal> refusal;
  while (!refusal && taken < 1000) {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key("absent" + std::string(100 << 10, 'x'));
    const auto ticket =
        member_->call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>(request);
    refusal = ticket->refusal;
    if (!refusal) ++taken;
  }
  EXPECT_EQ(refusal, Refusal::too_many_requests);
  EXPECT_GT(taken, 10);
  EXPECT_LT(taken, 30);
  member_->hold_store(false);
  // It takes two commits, since the log is kept as long as a power cut may take the first back; and
  // no request brings about the second.
  ASSERT_TRUE(member_->advance(milliseconds(200)));
  EXPECT_TRUE(member_->put("a", "1")->acknowledged());
}

// Two levels of the message for each of the transaction: beyond what protobuf's readers take.
TEST_F(ReplicaTest, ARequestNestedAsDeepAsItsLimitAllowsIsAppliedAndAppliedAgain) {
  TxnRequest request;
  *request.add_success()->mutable_request_put() = put_request("deep", "1");
  TxnRequest* innermost = &request;
  for (int depth = 0; depth < 125; ++depth) {
    innermost = innermost->add_success()->mutable_request_txn();
  }
  start();
  const auto ticket = member_->call<TxnRequest, TxnResponse>(request);
  EXPECT_TRUE(ticket->acknowledged());
  crash();
  start();
  EXPECT_EQ(member_->get("deep"), "1");
}

TEST_F(ReplicaTest, WritesOfEveryKindStopWhileTheStoreDoesNotKeepUp) {
  start([](Options& options) { options.max_uncommitted_bytes = 10'000; });
  member_->hold_store(true);
  for (int i = 0; i < 30; ++i) (void)member_->put("key" + std::to_string(i), std::string(500, 'x'));
  etcdserverpb::DeleteRangeRequest one;
  one.set_key("key1");
  const auto ticket =
      member_->call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>(one);
  ASSERT_TRUE(ticket->answered);
  EXPECT_EQ(ticket->refusal, Refusal::too_many_requests);
  EXPECT_NE(member_->get("key1"), "") << "reads go on";
  member_->hold_store(false);
  ASSERT_TRUE(member_->advance(seconds(1)));
  EXPECT_TRUE(
      (member_->call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>(one)
           ->acknowledged()));
}

TEST_F(ReplicaTest, ADamagedStoreThatAWatcherMeetsStopsTheMemberInOrder) {
  FailingReads storage(storage_);
  auto started = test::SimulatedMember::start(disk_, storage, {});
  ASSERT_TRUE(started) << started.error().message;
  test::SimulatedMember& member = **started;
  ASSERT_TRUE(member.put("a", "1")->acknowledged());
  ASSERT_TRUE(member.advance(seconds(1)));
  ASSERT_TRUE(member.put("b", "1")->acknowledged());
  storage.fail();
  WatchStreams& watches = member.replica().watches();
  watches.open(1);
  etcdserverpb::WatchCreateRequest request;
  request.set_key("a");
  request.set_start_revision(2);
  watches.create(1, request);
  member.replica().flush();
  Result<void> stopped = member.step();
  ASSERT_FALSE(stopped) << "a batch was due while the read failed";
  EXPECT_EQ(stopped.error().code, Errc::corrupt);
}

}  // namespace
}  // namespace conclave::replica
