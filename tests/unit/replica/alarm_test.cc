#include <gtest/gtest.h>

#include "conclave/replica/alarms.h"
#include "conclave/replica/replica.h"

#include "tests/support/memory_storage.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/simulated_member.h"

namespace conclave::replica {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of tests of this package's messages
using api::Refusal;
using std::chrono::seconds;

constexpr std::uint64_t kSelf = 7;
constexpr std::uint64_t kQuota = 100'000;

class AlarmTest : public testing::Test {
 protected:
  void SetUp() override { start(); }
  void start() {
    test::SimulatedMember::Setup setup;
    setup.seed = ++starts_;
    setup.adjust = [](Options& options) { options.quota_bytes = kQuota; };
    auto started = test::SimulatedMember::start(disk_, storage_, std::move(setup));
    ASSERT_TRUE(started) << started.error().message;
    member_ = *std::move(started);
  }

  // The alarms that the answer names, as Status writes them.
  std::string alarm(AlarmRequest::AlarmAction action, std::uint64_t member, AlarmType type) {
    AlarmRequest request;
    request.set_action(action);
    request.set_memberid(member);
    request.set_alarm(type);
    const auto ticket = member_->call<AlarmRequest, AlarmResponse>(request);
    EXPECT_TRUE(ticket->acknowledged());
    std::string text;
    for (const AlarmMember& each : ticket->response.alarms()) text += text_of(each);
    return text;
  }
  std::string raised() { return alarm(AlarmRequest::GET, 0, NONE); }
  std::vector<std::string> errors() {
    const auto ticket = member_->call<StatusRequest, StatusResponse>({});
    return {ticket->response.errors().begin(), ticket->response.errors().end()};
  }

  std::optional<Refusal> put(const std::string& key, const std::string& value = "1") {
    return member_->put(key, value)->refusal;
  }
  std::optional<Refusal> put_in_txn(int nesting) {
    TxnRequest request;
    TxnRequest* innermost = &request;
    for (int i = 0; i < nesting; ++i) {
      innermost = innermost->add_failure()->mutable_request_txn();
    }
    innermost->add_failure()->mutable_request_put()->set_key("t");
    return member_->call<TxnRequest, TxnResponse>(request)->refusal;
  }
  std::optional<Refusal> erase(const std::string& key) {
    DeleteRangeRequest request;
    request.set_key(key);
    return member_->call<DeleteRangeRequest, DeleteRangeResponse>(request)->refusal;
  }
  std::optional<Refusal> grant(std::int64_t id, std::int64_t ttl_s = 100) {
    LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl_s);
    return member_->call<LeaseGrantRequest, LeaseGrantResponse>(request)->refusal;
  }
  std::optional<Refusal> revoke(std::int64_t id) {
    LeaseRevokeRequest request;
    request.set_id(id);
    return member_->call<LeaseRevokeRequest, LeaseRevokeResponse>(request)->refusal;
  }
  std::optional<Refusal> compact(std::int64_t revision) {
    CompactionRequest request;
    request.set_revision(revision);
    request.set_physical(true);
    return member_->call<CompactionRequest, CompactionResponse>(request)->refusal;
  }
  // Puts until one is refused; how many went in.
  int fill() {
    int keys = 0;
    while (keys < 1000 && !put("key" + std::to_string(keys), std::string(5000, 'x'))) ++keys;
    EXPECT_LT(keys, 1000);
    return keys;
  }

  test::SimulatedDisk disk_;
  test::MemoryStorage storage_;
  std::uint64_t starts_ = 0;
  std::unique_ptr<test::SimulatedMember> member_;
};

TEST_F(AlarmTest, IsRaisedListedAndTakenBack) {
  EXPECT_EQ(raised(), "");
  EXPECT_EQ(alarm(AlarmRequest::ACTIVATE, 9, NOSPACE), "memberID:9 alarm:NOSPACE ");
  EXPECT_EQ(alarm(AlarmRequest::ACTIVATE, 9, NOSPACE), "memberID:9 alarm:NOSPACE ");
  EXPECT_EQ(alarm(AlarmRequest::ACTIVATE, 0, CORRUPT), "alarm:CORRUPT ");
  EXPECT_EQ(raised(), "memberID:9 alarm:NOSPACE alarm:CORRUPT ");
  EXPECT_EQ(alarm(AlarmRequest::GET, 0, CORRUPT), "alarm:CORRUPT ");
  EXPECT_EQ(errors(), (std::vector<std::string>{"memberID:9 alarm:NOSPACE ", "alarm:CORRUPT "}));
  EXPECT_EQ(alarm(AlarmRequest::DEACTIVATE, 8, NOSPACE), "");
  EXPECT_EQ(alarm(AlarmRequest::DEACTIVATE, 9, NOSPACE), "memberID:9 alarm:NOSPACE ");
  EXPECT_EQ(raised(), "alarm:CORRUPT ");
}

TEST_F(AlarmTest, OfNoTypeOrAnUnknownOneIsNone) {
  EXPECT_EQ(alarm(AlarmRequest::ACTIVATE, 9, NONE), "");
  EXPECT_EQ(alarm(AlarmRequest::ACTIVATE, 9, static_cast<AlarmType>(77)), "");
  EXPECT_EQ(alarm(AlarmRequest::DEACTIVATE, 9, NONE), "");
  EXPECT_EQ(raised(), "");
  EXPECT_EQ(put("a"), std::nullopt);
}

TEST_F(AlarmTest, NoSpaceRefusesWhatAddsAndNothingElse) {
  ASSERT_EQ(put("a"), std::nullopt);
  ASSERT_EQ(grant(1), std::nullopt);
  alarm(AlarmRequest::ACTIVATE, 9, NOSPACE);
  EXPECT_EQ(put("b"), Refusal::no_space);
  EXPECT_EQ(put_in_txn(0), Refusal::no_space);
  EXPECT_EQ(put_in_txn(2), Refusal::no_space);
  EXPECT_EQ(grant(2), Refusal::no_space);
  EXPECT_EQ(member_->get("a"), "1");
  EXPECT_EQ(erase("a"), std::nullopt);
  EXPECT_EQ(revoke(1), std::nullopt);
  EXPECT_EQ(compact(2), std::nullopt);
  ASSERT_TRUE(member_->advance(seconds(60)));
  EXPECT_EQ(put("b"), Refusal::no_space) << "an operator's alarm does not go by itself";
}

TEST_F(AlarmTest, CorruptRefusesEveryChangeAndEndsNoLease) {
  ASSERT_EQ(grant(1, 2), std::nullopt);
  ASSERT_TRUE(member_->put("a", "1", 1)->acknowledged());
  alarm(AlarmRequest::ACTIVATE, 9, NOSPACE);
  alarm(AlarmRequest::ACTIVATE, 9, CORRUPT);
  EXPECT_EQ(put("b"), Refusal::corrupt);
  EXPECT_EQ(put_in_txn(1), Refusal::corrupt);
  EXPECT_EQ(erase("a"), Refusal::corrupt);
  EXPECT_EQ(grant(2), Refusal::corrupt);
  EXPECT_EQ(revoke(1), Refusal::corrupt);
  EXPECT_EQ(compact(2), Refusal::corrupt);
  ASSERT_TRUE(member_->advance(seconds(60)));
  EXPECT_EQ(member_->get("a"), "1");
  alarm(AlarmRequest::DEACTIVATE, 9, CORRUPT);
  ASSERT_TRUE(member_->advance(seconds(60)));
  EXPECT_EQ(member_->get("a"), "");
  EXPECT_EQ(put("b"), Refusal::no_space);
}

TEST_F(AlarmTest, IsThereAgainAfterACrashFromTheLogAndFromTheStore) {
  alarm(AlarmRequest::ACTIVATE, 9, NOSPACE);
  alarm(AlarmRequest::ACTIVATE, 3, CORRUPT);
  member_.reset();
  start();
  EXPECT_EQ(raised(), "memberID:9 alarm:NOSPACE memberID:3 alarm:CORRUPT ");
  alarm(AlarmRequest::DEACTIVATE, 3, CORRUPT);
  ASSERT_TRUE(member_->advance(seconds(1)));
  ASSERT_TRUE(storage_.sync());
  ASSERT_TRUE(*storage_.get(mvcc::Table::meta, "alarms"));
  member_.reset();
  start();
  EXPECT_EQ(raised(), "memberID:9 alarm:NOSPACE ");
  EXPECT_EQ(put("a"), Refusal::no_space);
}

TEST_F(AlarmTest, ARequestThatTheQuotaRefusesRaisesIt) {
  const int keys = fill();
  ASSERT_GT(keys, 5);
  EXPECT_EQ(raised(), "memberID:7 alarm:NOSPACE ");
  EXPECT_EQ(put("more"), Refusal::no_space);
  EXPECT_EQ(member_->get("key0").size(), 5000U);
  EXPECT_EQ(member_->get("key" + std::to_string(keys)), "");
}

// Taken back by an operator while the store is full, the next request raises it again.
TEST_F(AlarmTest, AFullStoreRaisesItAgain) {
  fill();
  EXPECT_EQ(alarm(AlarmRequest::DEACTIVATE, kSelf, NOSPACE), "memberID:7 alarm:NOSPACE ");
  EXPECT_EQ(raised(), "");
  EXPECT_EQ(put("more", std::string(5000, 'x')), Refusal::no_space);
  EXPECT_EQ(raised(), "memberID:7 alarm:NOSPACE ");
}

TEST_F(AlarmTest, TheQuotasOwnIsTakenBackOnceThereIsRoom) {
  const int keys = fill();
  ASSERT_TRUE(member_->advance(seconds(1)));
  EXPECT_EQ(erase("key0"), std::nullopt);
  ASSERT_TRUE(member_->advance(seconds(1)));
  EXPECT_EQ(raised(), "memberID:7 alarm:NOSPACE ") << "what is deleted is history yet";
  for (int i = 1; i < keys / 2; ++i) erase("key" + std::to_string(i));
  EXPECT_EQ(compact(member_->state().store().current_revision()), std::nullopt);
  ASSERT_TRUE(member_->advance(seconds(1)));
  EXPECT_EQ(raised(), "");
  EXPECT_EQ(put("more"), std::nullopt);
  EXPECT_EQ(errors(), std::vector<std::string>{});
}

TEST_F(AlarmTest, AnOperatorMayMakeTheQuotasAlarmHisOwn) {
  const int keys = fill();
  EXPECT_EQ(alarm(AlarmRequest::ACTIVATE, kSelf, NOSPACE), "memberID:7 alarm:NOSPACE ");
  for (int i = 0; i < keys; ++i) erase("key" + std::to_string(i));
  EXPECT_EQ(compact(member_->state().store().current_revision()), std::nullopt);
  ASSERT_TRUE(member_->advance(seconds(5)));
  EXPECT_EQ(put("more"), Refusal::no_space);
  alarm(AlarmRequest::DEACTIVATE, kSelf, NOSPACE);
  EXPECT_EQ(put("more"), std::nullopt);
}

// Many that are refused at once: one entry.
TEST_F(AlarmTest, IsRaisedByOneEntryHoweverManyAreRefused) {
  fill();
  alarm(AlarmRequest::DEACTIVATE, kSelf, NOSPACE);
  ASSERT_TRUE(member_->advance(seconds(1)));
  const raft::Index before = member_->state().applied_index();
  std::vector<std::shared_ptr<test::Ticket<PutRequest, PutResponse>>> tickets;
  for (int i = 0; i < 10; ++i) {
    PutRequest request;
    request.set_key("more");
    request.set_value(std::string(5000, 'x'));
    tickets.push_back(member_->submit<PutRequest, PutResponse>(request));
  }
  ASSERT_TRUE(member_->step());
  for (const auto& ticket : tickets) EXPECT_EQ(ticket->refusal, Refusal::no_space);
  EXPECT_EQ(member_->state().applied_index(), before + 1);
}

// NOSPACE of member 7 by its quota, and of member 8 by an operator.
Alarms of_a_quota_and_an_operator() {
  Alarms alarms;
  for (const std::uint64_t member : {7, 8}) {
    AlarmChange change;
    change.mutable_request()->set_action(AlarmRequest::ACTIVATE);
    change.mutable_request()->set_alarm(NOSPACE);
    change.mutable_request()->set_memberid(member);
    change.set_by_quota(member == 7);
    alarms.apply(change, nullptr);
  }
  return alarms;
}

TEST(Alarms, OfARemovedMemberStayOnlyWhereAnOperatorRaisedThem) {
  Alarms alarms = of_a_quota_and_an_operator();
  ASSERT_TRUE(alarms.take_write());
  alarms.forget(7);
  alarms.forget(8);
  EXPECT_FALSE(alarms.raised(NOSPACE, 7));
  EXPECT_TRUE(alarms.raised(NOSPACE, 8));
  EXPECT_TRUE(alarms.take_write());
}

TEST(Alarms, OfMembersThatAreReplacedStayOnlyWhereAnOperatorRaisedThem) {
  Alarms alarms = of_a_quota_and_an_operator();
  ASSERT_TRUE(alarms.take_write());
  alarms.forget_quotas();
  EXPECT_FALSE(alarms.raised(NOSPACE, 7));
  EXPECT_TRUE(alarms.raised(NOSPACE, 8));
  EXPECT_TRUE(alarms.take_write());
}

TEST(Alarms, RefuseToReadWhatTheyDidNotWrite) {
  EXPECT_EQ(Alarms().restore("").error().code, Errc::corrupt);
  EXPECT_EQ(Alarms().restore(std::string("\1\1\0", 3)).error().code, Errc::corrupt);
  EXPECT_EQ(Alarms().restore("\2").error().code, Errc::refused) << "of a later version";
}

}  // namespace
}  // namespace conclave::replica
