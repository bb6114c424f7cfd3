#include <gtest/gtest.h>

#include "conclave/api/rpc.pb.h"

#include "tests/unit/client/core_fixture.h"

namespace conclave::client {
namespace {

using std::chrono::milliseconds;

class CallerTest : public CoreFixture {
 protected:
  void get(Duration timeout = 5 * kSecond) {
    core_->get({.key = "k"}, in(timeout), into(got_));
    executor_.run();
  }
  void put(Duration timeout = 5 * kSecond) {
    core_->put({.key = "k", .value = "v"}, in(timeout), into(put_));
    executor_.run();
  }
  template <class Answer>
  void answer(const Answer& reply) {
    network_.take_call().answer(reply);
    executor_.run();
  }

  std::optional<Result<GetResult>> got_;
  std::optional<Result<PutResult>> put_;
};

etcdserverpb::RangeResponse range_reply() {
  etcdserverpb::RangeResponse reply;
  reply.mutable_header()->set_revision(9);
  reply.set_count(1);
  mvccpb::KeyValue& kv = *reply.add_kvs();
  kv.set_key("k");
  kv.set_value("v");
  kv.set_mod_revision(8);
  return reply;
}

etcdserverpb::PutResponse put_reply() {
  etcdserverpb::PutResponse reply;
  reply.mutable_header()->set_revision(10);
  return reply;
}

TEST_F(CallerTest, AnswersWithTheReply) {
  open({"a:1"});
  get();
  answer(range_reply());
  ASSERT_TRUE(got_ && *got_);
  EXPECT_EQ((*got_)->revision, 9);
  ASSERT_EQ((*got_)->kvs.size(), 1U);
  EXPECT_EQ((*got_)->kvs[0].mod_revision, 8);
  EXPECT_EQ(executor_.timers(), 0U) << "a finished call leaves no timer behind";
}

TEST_F(CallerTest, MalformedEndpointIsRefusedByName) {
  const auto opened = StoreCore::open(executor_, network_, {.endpoints = {"a:1", "nonsense"}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::invalid_argument);
  EXPECT_NE(opened.error().message.find("nonsense"), std::string::npos);
}

TEST_F(CallerTest, AStatusWithoutATextSaysWhatItIs) {
  open({"a:1"});
  get();
  network_.take_call().answer(CallStatus{.code = 12, .message = {}, .sent = true});
  executor_.run();
  ASSERT_TRUE(got_ && !*got_);
  EXPECT_EQ(got_->error().code, Errc::refused);
  EXPECT_EQ(got_->error().message, "a:1: the server does not implement /etcdserverpb.KV/Range");
}

TEST_F(CallerTest, ReadGoesToTheNextEndpointAtOnceAndStaysThere) {
  open({"a:1", "b:1", "c:1"});
  get();
  answer(lost());
  auto second = network_.take_call();
  EXPECT_EQ(second.endpoint, "b:1");
  second.answer(range_reply());
  executor_.run();
  ASSERT_TRUE(got_ && *got_);
  got_.reset();
  get();
  EXPECT_EQ(network_.take_call().endpoint, "b:1");
}

TEST_F(CallerTest, ReadPausesAfterEachRoundAndTriesUntilTheDeadline) {
  open({"a:1", "b:1"});
  get(5 * kSecond);
  int attempts = 0;
  for (Duration waited{}; !got_ && waited < 6 * kSecond; waited += milliseconds(10)) {
    while (network_.has_call()) {
      ++attempts;
      answer(not_sent());
    }
    executor_.advance(milliseconds(10));
  }
  ASSERT_TRUE(got_);
  EXPECT_EQ(got_->error().code, Errc::unavailable);
  EXPECT_NE(got_->error().message.find("failed to connect"), std::string::npos);
  EXPECT_GT(attempts, 8);
  EXPECT_LT(attempts, 60);
}

TEST_F(CallerTest, ReadLeavesASilentEndpointInTime) {
  open({"a:1", "b:1"});
  get(4 * kSecond);
  auto silent = network_.take_call();
  EXPECT_EQ(silent.deadline, in(2 * kSecond));
  executor_.advance(2 * kSecond);
  silent.answer({kDeadlineExceeded, "Deadline Exceeded", true});
  executor_.run();
  EXPECT_EQ(network_.take_call().endpoint, "b:1");
}

TEST_F(CallerTest, MutationThatWasNotSentIsTriedElsewhere) {
  open({"a:1", "b:1"});
  put();
  answer(not_sent());
  EXPECT_FALSE(put_);
  auto second = network_.take_call();
  EXPECT_EQ(second.endpoint, "b:1");
  second.answer(put_reply());
  executor_.run();
  ASSERT_TRUE(put_ && *put_);
  EXPECT_EQ((*put_)->revision, 10);
}

class LostMutationTest : public CallerTest, public ::testing::WithParamInterface<CallStatus> {};

TEST_P(LostMutationTest, IsNeverSentAgain) {
  open({"a:1", "b:1"});
  put();
  answer(GetParam());
  ASSERT_TRUE(put_);
  EXPECT_EQ(put_->error().code, Errc::unknown_outcome);
  EXPECT_NE(put_->error().message.find(GetParam().message), std::string::npos);
  executor_.advance(60 * kSecond);
  EXPECT_FALSE(network_.has_call());
  // The next call does not wait for the endpoint that has failed.
  get();
  EXPECT_EQ(network_.take_call().endpoint, "b:1");
}

INSTANTIATE_TEST_SUITE_P(
    Answers, LostMutationTest,
    ::testing::Values(CallStatus{14, "Socket closed"}, CallStatus{4, "Deadline Exceeded"},
                      CallStatus{1, "CANCELLED"}, CallStatus{13, "stream reset"},
                      CallStatus{14, "etcdserver: request timed out"},
                      CallStatus{14, "etcdserver: leader changed"},
                      CallStatus{14, "etcdserver: server stopped"}, CallStatus{2, "what is this"},
                      CallStatus{2, "context deadline exceeded"},
                      CallStatus{14,
                                 "etcdserver: request timed out, possibly due to previous "
                                 "leader failure"}));

TEST_F(CallerTest, MutationRefusedBeforeProposingIsTriedElsewhere) {
  for (const CallStatus& status :
       {CallStatus{8, "etcdserver: too many requests"}, CallStatus{14, "etcdserver: no leader"},
        CallStatus{9, "etcdserver: rpc not supported for learner"}}) {
    put_.reset();
    open({"a:1", "b:1"});
    put();
    answer(status);
    EXPECT_FALSE(put_) << status.message;
    EXPECT_EQ(network_.take_call().endpoint, "b:1");
  }
}

TEST_F(CallerTest, MutationThatNeverLeftIsUnavailableAtTheDeadline) {
  open({"a:1"});
  put(kSecond);
  for (int i = 0; i < 100 && !put_; ++i) {
    if (network_.has_call()) answer(not_sent());
    executor_.advance(milliseconds(20));
  }
  ASSERT_TRUE(put_);
  EXPECT_EQ(put_->error().code, Errc::unavailable);
}

TEST_F(CallerTest, EveryCallEndsAtItsDeadlineEvenIfTheTransportSaysNothing) {
  open({"a:1"});
  get(kSecond);
  put(kSecond);
  executor_.advance(kSecond + Caller::kDeadlineGrace);
  ASSERT_TRUE(got_ && put_);
  EXPECT_EQ(got_->error().code, Errc::timed_out);
  EXPECT_EQ(put_->error().code, Errc::unknown_outcome);
  // A late answer changes nothing.
  answer(range_reply());
  answer(put_reply());
}

TEST_F(CallerTest, RefusalsCarryTheStoresOwnText) {
  open({"a:1", "b:1"});
  put();
  answer(CallStatus{8, "etcdserver: mvcc: database space exceeded"});
  ASSERT_TRUE(put_);
  EXPECT_EQ(put_->error(),
            (Error{Errc::resource_exhausted, "etcdserver: mvcc: database space exceeded"}));
  EXPECT_FALSE(network_.has_call());
}

TEST_F(CallerTest, ReadOnlyTransactionIsARead) {
  open({"a:1", "b:1"});
  std::optional<Result<TxnResult>> done;
  Txn txn;
  txn.success.push_back(Get{.key = "k"});
  txn.failure.push_back(Txn{.success = {Get{.key = "l"}}});
  core_->txn(txn, in(kSecond), into(done));
  answer(lost());
  EXPECT_TRUE(network_.has_call());

  std::get<Txn>(txn.failure[0]).success.push_back(Delete{.key = "l"});
  core_->txn(txn, in(kSecond), into(done));
  network_.take_call();
  answer(lost());
  ASSERT_TRUE(done);
  EXPECT_EQ(done->error().code, Errc::unknown_outcome);
}

TEST_F(CallerTest, DestroyedWithCallsUnderWay) {
  open({"a:1"}, {.user = "u", .password = "p"});
  get();
  auto call = network_.take_call();
  core_.reset();
  call.answer(lost());
  executor_.advance(10 * kSecond);
  EXPECT_FALSE(got_);
}

class AuthenticationTest : public CallerTest {
 protected:
  void expect_authentication_and_answer(const std::string& token) {
    auto call = network_.take_call();
    ASSERT_EQ(call.method, "/etcdserverpb.Auth/Authenticate");
    EXPECT_EQ(call.token, "");
    etcdserverpb::AuthenticateRequest request;
    ASSERT_TRUE(request.ParseFromString(call.request));
    EXPECT_EQ(request.name(), "ann");
    EXPECT_EQ(request.password(), "secret");
    etcdserverpb::AuthenticateResponse reply;
    reply.set_token(token);
    call.answer(reply);
    executor_.run();
  }
};

TEST_F(AuthenticationTest, ComesFirstAndOnceForAll) {
  open({"a:1"}, {.user = "ann", .password = "secret"});
  get();
  put();
  EXPECT_EQ(network_.calls(), 1U);
  expect_authentication_and_answer("t1");
  EXPECT_EQ(network_.take_call().token, "t1");
  EXPECT_EQ(network_.take_call().token, "t1");
}

TEST_F(AuthenticationTest, IsRepeatedOnceForATokenThatExpired) {
  open({"a:1"}, {.user = "ann", .password = "secret"});
  put();
  expect_authentication_and_answer("t1");
  answer(CallStatus{16, "etcdserver: invalid auth token"});
  expect_authentication_and_answer("t2");
  auto again = network_.take_call();
  EXPECT_EQ(again.token, "t2");
  again.answer(CallStatus{16, "etcdserver: invalid auth token"});
  executor_.run();
  ASSERT_TRUE(put_);
  EXPECT_EQ(put_->error().code, Errc::permission_denied);
}

TEST_F(AuthenticationTest, WrongPasswordIsSaidToEveryWaiter) {
  open({"a:1", "b:1"}, {.user = "ann", .password = "secret"});
  get();
  put();
  answer(CallStatus{3, "etcdserver: authentication failed, invalid user ID or password"});
  ASSERT_TRUE(got_ && put_);
  EXPECT_EQ(got_->error().code, Errc::permission_denied);
  EXPECT_EQ(put_->error().code, Errc::permission_denied);
}

TEST_F(AuthenticationTest, ClusterThatAsksForNoUserIsServedWithoutToken) {
  open({"a:1"}, {.user = "ann", .password = "secret"});
  get();
  answer(CallStatus{9, "etcdserver: authentication is not enabled"});
  EXPECT_EQ(network_.take_call().token, "");
}

TEST_F(AuthenticationTest, FailsOverLikeARead) {
  open({"a:1", "b:1"}, {.user = "ann", .password = "secret"});
  put();
  answer(lost());
  expect_authentication_and_answer("t1");
  EXPECT_EQ(network_.take_call().endpoint, "b:1");
}

}  // namespace
}  // namespace conclave::client
