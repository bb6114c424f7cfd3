#include <gtest/gtest.h>

#include "conclave/replica/replica.h"

#include "tests/support/memory_storage.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/simulated_member.h"

namespace conclave::replica {
namespace {

using api::Refusal;
using etcdserverpb::LeaseGrantRequest;
using etcdserverpb::LeaseGrantResponse;
using etcdserverpb::LeaseKeepAliveRequest;
using etcdserverpb::LeaseKeepAliveResponse;
using etcdserverpb::LeaseTimeToLiveRequest;
using etcdserverpb::LeaseTimeToLiveResponse;
using std::chrono::milliseconds;
using std::chrono::seconds;

class LeaseTest : public testing::Test {
 protected:
  void SetUp() override { start(); }

  void start(std::function<void(Options&)> adjust = nullptr) {
    test::SimulatedMember::Setup setup;
    setup.seed = ++starts_;
    setup.adjust = std::move(adjust);
    auto started = test::SimulatedMember::start(disk_, storage_, std::move(setup));
    ASSERT_TRUE(started) << started.error().message;
    member_ = *std::move(started);
  }

  void grant(std::int64_t id, std::int64_t ttl_s) {
    LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl_s);
    ASSERT_TRUE((member_->call<LeaseGrantRequest, LeaseGrantResponse>(request)->acknowledged()));
  }
  // The TTL in the answer; 0 for an unknown lease.
  std::int64_t keep_alive(std::int64_t id) {
    LeaseKeepAliveRequest request;
    request.set_id(id);
    const auto ticket =
        member_->call<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(std::move(request));
    EXPECT_TRUE(ticket->acknowledged());
    return ticket->response.ttl();
  }
  std::int64_t remaining_s(std::int64_t id) {
    LeaseTimeToLiveRequest request;
    request.set_id(id);
    return member_->call<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>(request)->response.ttl();
  }

  test::SimulatedDisk disk_;
  test::MemoryStorage storage_;
  std::uint64_t starts_ = 0;
  std::unique_ptr<test::SimulatedMember> member_;
};

TEST_F(LeaseTest, KeysGoWithTheirLeaseInOneRevision) {
  grant(5, 2);
  ASSERT_TRUE(member_->put("b", "1", 5)->acknowledged());
  ASSERT_TRUE(member_->put("a", "1", 5)->acknowledged());
  ASSERT_TRUE(member_->put("other", "1")->acknowledged());
  ASSERT_TRUE(member_->advance(milliseconds(1900)));
  EXPECT_EQ(member_->get("a"), "1");
  ASSERT_TRUE(member_->advance(milliseconds(400)));
  EXPECT_EQ(member_->get("a"), "");
  EXPECT_EQ(member_->get("b"), "");
  EXPECT_EQ(member_->get("other"), "1");
  EXPECT_EQ(member_->state().store().current_revision(), 5);
  EXPECT_EQ(remaining_s(5), -1);
}

TEST_F(LeaseTest, KeptAliveItStays) {
  grant(5, 2);
  ASSERT_TRUE(member_->put("a", "1", 5)->acknowledged());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(member_->advance(milliseconds(1500)));
    EXPECT_EQ(keep_alive(5), 2);
  }
  EXPECT_EQ(member_->get("a"), "1");
}

TEST_F(LeaseTest, RenewalsThatWaitTogetherTravelInOneEntry) {
  for (int id = 1; id <= 50; ++id) grant(id, 10);
  const raft::Index before = member_->replica().raft().log().last_index();
  std::vector<std::shared_ptr<test::Ticket<LeaseKeepAliveRequest, LeaseKeepAliveResponse>>> tickets;
  for (int id = 1; id <= 51; ++id) {
    LeaseKeepAliveRequest request;
    request.set_id(id);
    tickets.push_back(member_->submit<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(request));
  }
  ASSERT_TRUE(member_->step());
  for (const auto& ticket : tickets) ASSERT_TRUE(ticket->acknowledged());
  EXPECT_EQ(tickets[49]->response.ttl(), 10);
  EXPECT_EQ(tickets[50]->response.ttl(), 0) << "an unknown lease is answered, with TTL 0";
  EXPECT_EQ(member_->replica().raft().log().last_index(), before + 1);
}

TEST_F(LeaseTest, ARenewalIsAcknowledgedOnlyWhenItsEntryIsSynced) {
  grant(5, 10);
  member_->hold_log(true);
  LeaseKeepAliveRequest request;
  request.set_id(5);
  const auto ticket = member_->submit<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(request);
  ASSERT_TRUE(member_->step());
  EXPECT_FALSE(ticket->answered);
  member_->hold_log(false);
  ASSERT_TRUE(member_->step());
  EXPECT_TRUE(ticket->acknowledged());
}

TEST_F(LeaseTest, ARenewalThatCameBeforeTheExpiryWins) {
  grant(5, 2);
  ASSERT_TRUE(member_->put("a", "1", 5)->acknowledged());
  ASSERT_TRUE(member_->advance(milliseconds(1800)));
  // Both entries wait in the log, the renewal ahead of the expiry that the leader then thinks is
  // due.
  member_->hold_log(true);
  LeaseKeepAliveRequest request;
  request.set_id(5);
  const auto ticket = member_->submit<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(request);
  ASSERT_TRUE(member_->advance(milliseconds(600)));
  member_->hold_log(false);
  ASSERT_TRUE(member_->step());
  EXPECT_EQ(ticket->response.ttl(), 2);
  EXPECT_EQ(member_->get("a"), "1");
}

TEST_F(LeaseTest, RemainingTimeSurvivesARestart) {
  grant(5, 10);
  ASSERT_TRUE(member_->put("a", "1", 5)->acknowledged());
  // Nobody writes meanwhile: the leader itself sees to it that the log knows the time.
  ASSERT_TRUE(member_->advance(seconds(7)));
  member_.reset();
  start();
  const std::int64_t left = remaining_s(5);
  EXPECT_GE(left, 2);
  EXPECT_LE(left, 3);
  ASSERT_TRUE(member_->advance(milliseconds(2800)));
  EXPECT_EQ(member_->get("a"), "1") << "expired early";
  ASSERT_TRUE(member_->advance(milliseconds(1000)));
  EXPECT_EQ(member_->get("a"), "");
}

TEST_F(LeaseTest, RefusalsAreThoseOfTheWire) {
  grant(5, 10);
  LeaseGrantRequest again;
  again.set_id(5);
  again.set_ttl(10);
  EXPECT_EQ((member_->call<LeaseGrantRequest, LeaseGrantResponse>(again)->refusal),
            Refusal::lease_exists);
  EXPECT_EQ(member_->put("a", "1", 77)->refusal, Refusal::lease_not_found);
  etcdserverpb::LeaseRevokeRequest revoke;
  revoke.set_id(77);
  EXPECT_EQ(
      (member_->call<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse>(revoke)
           ->refusal),
      Refusal::lease_not_found);
}

TEST_F(LeaseTest, AnUnnamedLeaseGetsAPositiveId) {
  LeaseGrantRequest request;
  request.set_ttl(10);
  const auto ticket = member_->call<LeaseGrantRequest, LeaseGrantResponse>(request);
  ASSERT_TRUE(ticket->acknowledged());
  EXPECT_GT(ticket->response.id(), 0);
  EXPECT_EQ(ticket->response.ttl(), 10);
}

TEST_F(LeaseTest, ThousandsExpireInAFewEntries) {
  for (int id = 1; id <= 3000; ++id) {
    grant(id, 2);
    ASSERT_TRUE(member_->put("key" + std::to_string(id), "", id)->acknowledged());
  }
  const raft::Index before = member_->replica().raft().log().last_index();
  ASSERT_TRUE(member_->advance(seconds(3)));
  EXPECT_EQ(member_->state().lessor().size(), 0U);
  EXPECT_EQ(member_->state().store().current_revision(), 1 + 3000 + 3000);
  constexpr raft::Index kStamps = 6;  // in three seconds
  EXPECT_LE(member_->replica().raft().log().last_index(), before + 5 + kStamps);
}

TEST_F(LeaseTest, ASmallLimitOfRequestsKeepsNoLeaseFromBeingRenewedOrEnding) {
  member_.reset();
  start([](Options& options) { options.max_request_bytes = 200; });
  constexpr std::int64_t kLeases = 100;
  for (std::int64_t id = 1; id <= kLeases; ++id) grant((std::int64_t{1} << 60) + id, 5);
  std::vector<std::shared_ptr<test::Ticket<LeaseKeepAliveRequest, LeaseKeepAliveResponse>>> all;
  for (std::int64_t id = 1; id <= kLeases; ++id) {
    LeaseKeepAliveRequest request;
    request.set_id((std::int64_t{1} << 60) + id);
    all.push_back(member_->submit<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(request));
  }
  ASSERT_TRUE(member_->step());
  for (const auto& ticket : all) EXPECT_TRUE(ticket->acknowledged());
  ASSERT_TRUE(member_->advance(seconds(6)));
  EXPECT_EQ(member_->state().lessor().size(), 0U);
}

}  // namespace
}  // namespace conclave::replica
