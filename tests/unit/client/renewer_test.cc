#include <gtest/gtest.h>

#include "conclave/api/rpc.pb.h"

#include "tests/unit/client/core_fixture.h"

namespace conclave::client {
namespace {

using etcdserverpb::LeaseKeepAliveRequest;
using etcdserverpb::LeaseKeepAliveResponse;
using std::chrono::milliseconds;

class RenewerTest : public CoreFixture {
 protected:
  using Answer = std::optional<Result<Renewal>>;

  void renew(LeaseId id, Answer& answer, Duration timeout = 5 * kSecond) {
    core_->renew(id, in(timeout), into(answer));
    executor_.run();
  }
  void expect_request(LeaseId id) {
    EXPECT_EQ(network_.stream().take<LeaseKeepAliveRequest>().id(), id);
  }
  void reply(LeaseId id, std::int64_t ttl_s) {
    LeaseKeepAliveResponse message;
    message.set_id(id);
    message.set_ttl(ttl_s);
    network_.stream().reply(message);
    executor_.run();
  }
};

TEST_F(RenewerTest, AllLeasesShareOneStream) {
  open({"a:1"});
  Answer first;
  Answer second;
  const Instant began = executor_.now();
  renew(1, first);
  executor_.advance(milliseconds(10));
  renew(2, second);
  ASSERT_EQ(network_.streams().size(), 1U);
  EXPECT_EQ(network_.stream().method, "/etcdserverpb.Lease/LeaseKeepAlive");
  expect_request(1);
  expect_request(2);
  executor_.advance(milliseconds(100));
  reply(2, 30);
  reply(1, 10);
  ASSERT_TRUE(first && *first && second && *second);
  EXPECT_EQ((*first)->sent_at, began);
  EXPECT_EQ((*first)->ttl, 10 * kSecond);
  EXPECT_EQ((*second)->sent_at, began + milliseconds(10));
  EXPECT_EQ((*second)->ttl, 30 * kSecond);
  EXPECT_EQ(executor_.timers(), 0U);
}

TEST_F(RenewerTest, TtlZeroMeansTheLeaseIsGone) {
  open({"a:1"});
  Answer answer;
  renew(1, answer);
  reply(1, 0);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, Errc::not_found);
}

TEST_F(RenewerTest, LostStreamIsReopenedElsewhereAndSentAtStaysTheFirst) {
  open({"a:1", "b:1"});
  Answer answer;
  const Instant began = executor_.now();
  renew(1, answer);
  executor_.advance(milliseconds(100));
  network_.stream().close(lost());
  executor_.run();
  ASSERT_EQ(network_.streams().size(), 2U);
  EXPECT_EQ(network_.stream().endpoint, "b:1");
  expect_request(1);
  reply(1, 10);
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->sent_at, began);
}

TEST_F(RenewerTest, ReplyToAGivenUpRenewalIsNotTakenForALaterOnes) {
  open({"a:1"});
  Answer given_up;
  Answer later;
  renew(1, given_up, milliseconds(200));
  executor_.advance(milliseconds(200));
  ASSERT_TRUE(given_up);
  EXPECT_EQ(given_up->error().code, Errc::timed_out);
  const Instant began_later = executor_.now();
  renew(1, later);
  reply(1, 10);
  EXPECT_FALSE(later) << "this reply is the first request's";
  reply(1, 10);
  ASSERT_TRUE(later && *later);
  EXPECT_EQ((*later)->sent_at, began_later);
}

TEST_F(RenewerTest, GivenUpRenewalIsNotSentAgain) {
  open({"a:1"});
  Answer given_up;
  Answer later;
  renew(1, given_up, milliseconds(200));
  executor_.advance(milliseconds(200));
  renew(2, later);
  network_.stream().close(lost());
  executor_.advance(kSecond);
  expect_request(2);
  EXPECT_TRUE(network_.stream().received.empty());
}

TEST_F(RenewerTest, SilentServerIsLeftWhileThereIsTime) {
  open({"a:1", "b:1"});
  Answer answer;
  renew(1, answer, 2 * kSecond);
  executor_.advance(kSecond);
  EXPECT_EQ(network_.stream().endpoint, "b:1");
  expect_request(1);
  reply(1, 10);
  ASSERT_TRUE(answer && *answer);
}

TEST_F(RenewerTest, WatchesLeaveASilentServerWithIt) {
  open({"a:1", "b:1"});
  const auto handle = core_->watch({.key = "x"}, [](const WatchNotice&) {});
  executor_.run();
  etcdserverpb::WatchResponse created;
  created.set_created(true);
  created.set_watch_id(1);
  network_.stream().reply(created);
  executor_.run();
  Answer answer;
  renew(1, answer, 2 * kSecond);
  executor_.advance(kSecond);
  ASSERT_EQ(network_.streams().size(), 4U);
  EXPECT_FALSE(network_.streams()[0]->alive());
  EXPECT_EQ(network_.streams()[2]->endpoint, "b:1");
  EXPECT_EQ(network_.streams()[3]->endpoint, "b:1");
}

TEST_F(RenewerTest, NewStreamHasItsOwnTimeToAnswer) {
  open({"a:1", "b:1"});
  Answer first;
  Answer second;
  renew(1, first, 4 * kSecond);
  executor_.advance(milliseconds(1900));
  renew(2, second, 4 * kSecond);
  executor_.advance(milliseconds(100));
  ASSERT_EQ(network_.streams().size(), 2U);
  // The second request's patience began with the old stream and does not end the new one.
  executor_.advance(milliseconds(1950));
  EXPECT_EQ(network_.streams().size(), 2U);
}

TEST_F(RenewerTest, UnreachableServersEndAtTheDeadline) {
  open({"a:1", "b:1"});
  Answer answer;
  renew(1, answer, 3 * kSecond);
  for (int i = 0; i < 400 && !answer; ++i) {
    if (network_.has_stream()) network_.stream().close(not_sent());
    executor_.advance(milliseconds(10));
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, Errc::timed_out);
  EXPECT_NE(answer->error().message.find("failed to connect"), std::string::npos);
  EXPECT_LT(network_.streams().size(), 40U) << "it pauses between rounds";
  executor_.advance(60 * kSecond);
  EXPECT_EQ(executor_.timers(), 0U);
}

TEST_F(RenewerTest, ServerThatDoesNotKnowTheMethodIsNotAskedAgain) {
  open({"a:1"});
  Answer answer;
  renew(1, answer);
  network_.stream().close({12, "unknown service"});
  executor_.run();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, Errc::refused);
}

TEST_F(RenewerTest, RejectedTokenIsRenewed) {
  open({"a:1"}, {.user = "ann", .password = "secret"});
  Answer answer;
  etcdserverpb::AuthenticateResponse token;
  renew(1, answer);
  token.set_token("t1");
  network_.take_call().answer(token);
  executor_.run();
  EXPECT_EQ(network_.stream().token, "t1");
  network_.stream().close({16, "etcdserver: invalid auth token"});
  executor_.advance(kSecond);
  token.set_token("t2");
  network_.take_call().answer(token);
  executor_.run();
  EXPECT_EQ(network_.stream().token, "t2");
  reply(1, 10);
  ASSERT_TRUE(answer && *answer);
}

}  // namespace
}  // namespace conclave::client
