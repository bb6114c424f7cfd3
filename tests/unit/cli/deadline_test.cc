#include "conclave/cli/guardian/deadline.h"

#include <gtest/gtest.h>

namespace conclave::cli {
namespace {

using namespace std::chrono_literals;
using Action = KillSchedule::Action;

constexpr Instant kStart{1'000s};

TEST(KillMargins, GrowWithTheTtlAndStayBounded) {
  EXPECT_EQ(margins_for(2s).kill, 400ms);
  EXPECT_EQ(margins_for(10s).kill, 2s);
  EXPECT_EQ(margins_for(1h).kill, 3s);
  EXPECT_EQ(margins_for(10s).terminate, 3s);
}

TEST(KillMargins, LeaveRoomForSeveralRenewals) {
  for (const Duration ttl : {Duration(1s), Duration(2s), Duration(10s), Duration(60s)}) {
    // Renewed when a third has passed, and trusted for a tenth less than the TTL.
    const Duration left_at_renewal = ttl - ttl / 10 - ttl / 3;
    EXPECT_GT(left_at_renewal, margins_for(ttl).terminate + ttl / 5);
  }
}

TEST(KillSchedule, KillsWhatIsLostBeforeItBegins) {
  KillSchedule begun_too_late(10s, Instant::min());
  EXPECT_EQ(begun_too_late.decide(kStart).action, Action::kill);
  KillSchedule lost_meanwhile(10s, kStart + 10s);
  lost_meanwhile.extend(Instant::min());
  EXPECT_EQ(lost_meanwhile.decide(kStart).action, Action::kill);
}

TEST(KillSchedule, WaitsThenTerminatesOnceThenKillsAgainAndAgain) {
  KillSchedule schedule(10s, kStart + 10s);
  EXPECT_EQ(schedule.decide(kStart).action, Action::wait);
  EXPECT_EQ(schedule.decide(kStart).again_at, kStart + 7s);
  EXPECT_EQ(schedule.cause(), EndCause::none);
  EXPECT_EQ(schedule.decide(kStart + 7s).action, Action::terminate);
  EXPECT_EQ(schedule.cause(), EndCause::deadline);
  EXPECT_EQ(schedule.decide(kStart + 7s).action, Action::wait);
  EXPECT_EQ(schedule.decide(kStart + 7s).again_at, kStart + 8s);
  EXPECT_EQ(schedule.decide(kStart + 8s).action, Action::kill);
  EXPECT_EQ(schedule.decide(kStart + 8s + 5ms).action, Action::kill);
}

TEST(KillSchedule, ExtensionMovesTheEnd) {
  KillSchedule schedule(10s, kStart + 10s);
  schedule.extend(kStart + 20s);
  EXPECT_EQ(schedule.decide(kStart + 10s).action, Action::wait);
  EXPECT_EQ(schedule.decide(kStart + 10s).again_at, kStart + 17s);
}

TEST(KillSchedule, AnEndingIsFinal) {
  KillSchedule schedule(10s, kStart + 10s);
  EXPECT_EQ(schedule.decide(kStart + 7s).action, Action::terminate);
  schedule.extend(kStart + 100s);
  EXPECT_EQ(schedule.decide(kStart + 8s).action, Action::kill);
}

TEST(KillSchedule, ALostLockKillsWithoutGrace) {
  KillSchedule schedule(10s, kStart + 10s);
  schedule.end(EndCause::lost, kStart + 1s);
  EXPECT_EQ(schedule.decide(kStart + 1s).action, Action::kill);
  EXPECT_EQ(schedule.cause(), EndCause::lost);
}

TEST(KillSchedule, AnAbandonedCommandHasItsGrace) {
  KillSchedule schedule(10s, kStart + 10s);
  schedule.end(EndCause::abandoned, kStart);
  EXPECT_EQ(schedule.decide(kStart).action, Action::terminate);
  EXPECT_EQ(schedule.decide(kStart + 1s).action, Action::wait);
  EXPECT_EQ(schedule.decide(kStart + KillSchedule::kGrace).action, Action::kill);
}

TEST(KillSchedule, GraceNeverOutlivesTheValidity) {
  KillSchedule schedule(10s, kStart + 10s);
  schedule.end(EndCause::abandoned, kStart + 6900ms);
  EXPECT_EQ(schedule.decide(kStart + 6900ms).action, Action::terminate);
  EXPECT_EQ(schedule.decide(kStart + 8s).action, Action::kill);
}

TEST(KillSchedule, LeftoversMayFirstEndByThemselves) {
  KillSchedule schedule(10s, kStart + 10s);
  schedule.end(EndCause::leftovers, kStart);
  EXPECT_EQ(schedule.decide(kStart).action, Action::wait);
  EXPECT_EQ(schedule.decide(kStart + KillSchedule::kLinger).action, Action::terminate);
  EXPECT_EQ(schedule.decide(kStart + KillSchedule::kLinger + KillSchedule::kGrace).action,
            Action::kill);
}

TEST(KillSchedule, LossHurriesAnEndingThatWasGentle) {
  KillSchedule schedule(10s, kStart + 10s);
  schedule.end(EndCause::leftovers, kStart);
  schedule.end(EndCause::lost, kStart + 10ms);
  EXPECT_EQ(schedule.decide(kStart + 10ms).action, Action::kill);
  EXPECT_EQ(schedule.cause(), EndCause::leftovers);
}

}  // namespace
}  // namespace conclave::cli
