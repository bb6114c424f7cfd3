#include "conclave/session/session_machine.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

namespace conclave::session {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};
using Phase = SessionMachine::Phase;

class SessionMachineTest : public ::testing::Test {
 protected:
  template <class Action>
  std::optional<Action> take() {
    std::optional<Action> found;
    for (SessionAction& action : machine_.take_actions()) {
      if (auto* wanted = std::get_if<Action>(&action)) found = std::move(*wanted);
    }
    return found;
  }
  // A session open since kStart.
  void open() {
    machine_.open(kStart);
    const auto grant = take<SendGrant>();
    ASSERT_TRUE(grant);
    machine_.on_grant(kStart + 5ms, Grant{grant->id, 10s, kStart});
    ASSERT_TRUE(take<Opened>());
  }

  SessionMachine machine_{{10s, 1s, 5s, 2s}, Random(7)};
};

TEST_F(SessionMachineTest, CountsValidityFromTheSendingOfTheGrant) {
  open();
  EXPECT_EQ(machine_.valid_until(), kStart + 9s);
  EXPECT_EQ(machine_.jeopardy_at(), kStart + 5s);
  EXPECT_EQ(machine_.timer(), kStart + Duration(10s) / 3);
}

TEST_F(SessionMachineTest, CountsValidityFromTheSendingOfARenewal) {
  open();
  machine_.on_timer(kStart + Duration(10s) / 3);
  ASSERT_TRUE(take<SendRenew>());
  machine_.on_renew(kStart + 8s, Renewal{kStart + 4s, 10s});
  EXPECT_EQ(machine_.valid_until(), kStart + 13s);
}

TEST_F(SessionMachineTest, AnOlderAnswerTakesNothingAway) {
  open();
  machine_.on_renew(kStart + 6s, Renewal{kStart + 5s, 10s});
  machine_.on_renew(kStart + 7s, Renewal{kStart + 4s, 10s});
  EXPECT_EQ(machine_.valid_until(), kStart + 14s);
}

TEST_F(SessionMachineTest, RenewsMoreOftenWithoutAnswers) {
  open();
  int sent = 0;
  while (machine_.timer() < machine_.valid_until()) {
    machine_.on_timer(machine_.timer());
    if (take<SendRenew>()) ++sent;
  }
  EXPECT_GE(sent, 6);
}

TEST_F(SessionMachineTest, LostIsFinalAndComesBeforeALateAnswer) {
  open();
  machine_.on_renew(kStart + 9s, Renewal{kStart + 8s, 10s});
  EXPECT_EQ(machine_.phase(), Phase::lost);
  EXPECT_TRUE(take<Lost>());
  machine_.on_renew(kStart + 9s, Renewal{kStart + 9s, 10s});
  EXPECT_EQ(machine_.phase(), Phase::lost);
  EXPECT_LE(machine_.valid_until(), kStart + 9s);
}

TEST_F(SessionMachineTest, IsLostAtItsDeadline) {
  open();
  machine_.on_timer(kStart + 9s - 1ns);
  EXPECT_EQ(machine_.phase(), Phase::open);
  static_cast<void>(machine_.take_actions());
  machine_.on_timer(kStart + 9s);
  EXPECT_TRUE(take<Lost>());
  EXPECT_EQ(machine_.timer(), Instant::max());
}

TEST_F(SessionMachineTest, ALeaseThatIsGoneIsALostSession) {
  open();
  machine_.on_renew(kStart + 4s, Error{Errc::not_found, "requested lease not found"});
  const auto lost = take<Lost>();
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->reason.code, Errc::session_lost);
}

TEST_F(SessionMachineTest, AGrantWithALostAnswerIsRetriedAndRecognized) {
  machine_.open(kStart);
  const LeaseId id = take<SendGrant>()->id;
  EXPECT_GT(id, 0);
  machine_.on_grant(kStart + 1s, Error{Errc::unknown_outcome, "no answer"});
  machine_.on_timer(machine_.timer());
  EXPECT_EQ(take<SendGrant>()->id, id);
  machine_.on_grant(kStart + 2s, Error{Errc::refused, "etcdserver: lease already exists"});
  EXPECT_EQ(take<SendRenew>()->id, id);
  machine_.on_renew(kStart + 3s, Renewal{kStart + 2s, 10s});
  EXPECT_TRUE(take<Opened>());
  EXPECT_EQ(machine_.valid_until(), kStart + 11s);
}

TEST_F(SessionMachineTest, SomebodyElsesLeaseIsNotTaken) {
  machine_.open(kStart);
  const LeaseId id = take<SendGrant>()->id;
  machine_.on_grant(kStart + 1ms, Error{Errc::refused, "etcdserver: lease already exists"});
  const auto again = take<SendGrant>();
  ASSERT_TRUE(again);
  EXPECT_NE(again->id, id);
}

TEST_F(SessionMachineTest, AGrantThatExpiredUnseenBeginsAnew) {
  machine_.open(kStart);
  const LeaseId id = take<SendGrant>()->id;
  machine_.on_grant(kStart + 1s, Error{Errc::unknown_outcome, "no answer"});
  machine_.on_timer(machine_.timer());
  machine_.on_grant(kStart + 2s, Error{Errc::refused, "lease already exists"});
  static_cast<void>(machine_.take_actions());
  machine_.on_renew(kStart + 3s, Error{Errc::not_found, "gone"});
  const auto again = take<SendGrant>();
  ASSERT_TRUE(again);
  EXPECT_NE(again->id, id);
}

TEST_F(SessionMachineTest, AStoreThatStaysAwayIsGivenUp) {
  machine_.open(kStart);
  machine_.on_grant(kStart + 1s, Error{Errc::unavailable, "connection refused"});
  machine_.on_timer(kStart + 5s);
  const auto failed = take<FailedToOpen>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Errc::unavailable);
}

TEST_F(SessionMachineTest, ARefusalEndsTheOpeningAtOnce) {
  machine_.open(kStart);
  machine_.on_grant(kStart + 1s, Error{Errc::permission_denied, "permission denied"});
  const auto failed = take<FailedToOpen>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Errc::permission_denied);
}

TEST_F(SessionMachineTest, AGrantThatFoundNoSpaceIsTakenBack) {
  machine_.open(kStart);
  const LeaseId id = take<SendGrant>()->id;
  machine_.on_grant(kStart + 1s, Error{Errc::resource_exhausted, "database space exceeded"});
  const auto revoke = take<SendRevoke>();
  ASSERT_TRUE(revoke) << "etcd may have carried it out";
  EXPECT_EQ(revoke->id, id);
}

TEST_F(SessionMachineTest, ClosingIsLostFirstAndThenRevokes) {
  open();
  machine_.close(kStart + 1s, {Errc::session_lost, "closed"});
  const std::vector<SessionAction> actions = machine_.take_actions();
  ASSERT_EQ(actions.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Lost>(actions[0]));
  EXPECT_TRUE(std::holds_alternative<SendRevoke>(actions[1]));
  EXPECT_LE(machine_.valid_until(), kStart + 1s);
  machine_.on_revoke(kStart + 2s, Error{Errc::not_found, "gone"});
  const auto closed = take<Closed>();
  ASSERT_TRUE(closed);
  EXPECT_TRUE(closed->result);
}

TEST_F(SessionMachineTest, AnUnknownRevocationIsReported) {
  open();
  machine_.close(kStart + 1s, {Errc::session_lost, "closed"});
  static_cast<void>(machine_.take_actions());
  machine_.on_revoke(kStart + 3s, Error{Errc::unknown_outcome, "no answer"});
  EXPECT_EQ(take<Closed>()->result.error().code, Errc::unknown_outcome);
}

}  // namespace
}  // namespace conclave::session
