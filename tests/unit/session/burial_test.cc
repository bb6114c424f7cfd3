#include "conclave/session/burial.h"

#include <optional>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

namespace conclave::session {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

template <class Action>
std::optional<Action> take(Burial& burial) {
  std::optional<Action> found;
  for (BurialAction& action : burial.take_actions()) {
    if (auto* wanted = std::get_if<Action>(&action)) found = std::move(*wanted);
  }
  return found;
}

TxnResult answered(std::int64_t revision, bool succeeded) {
  return {revision, succeeded, {}};
}

TEST(Burial, ComparesTheCreateRevisionAndIsDone) {
  Burial burial({"n/1+lock-2", 17, false});
  burial.start(kStart);
  const auto send = take<SendTxn>(burial);
  ASSERT_TRUE(send);
  ASSERT_EQ(send->txn.compares.size(), 1U);
  EXPECT_EQ(send->txn.compares[0].number, 17);
  EXPECT_EQ(send->txn.compares[0].relation, Compare::Relation::equal);
  burial.on_txn(kStart + 1ms, send->request, answered(20, true));
  EXPECT_TRUE(take<Removed>(burial)->found);
  EXPECT_TRUE(burial.done());
}

TEST(Burial, TellsThatTheKeyHadGone) {
  Burial burial({"n/1+lock-2", 17, false});
  burial.start(kStart);
  burial.on_txn(kStart, take<SendTxn>(burial)->request, answered(20, false));
  EXPECT_FALSE(take<Removed>(burial)->found);
}

TEST(Burial, TriesUntilItIsAcknowledged) {
  Burial burial({"n/1+lock-2", 17, false});
  burial.start(kStart);
  Instant now = kStart;
  for (int attempt = 0; attempt < 10; ++attempt) {
    burial.on_txn(now, take<SendTxn>(burial)->request, Error{Errc::unknown_outcome, ""});
    ASSERT_NE(burial.timer(), Instant::max());
    now = burial.timer();
    burial.on_timer(now);
  }
  burial.on_txn(now, take<SendTxn>(burial)->request, answered(20, false));
  EXPECT_TRUE(take<Removed>(burial)->found) << "one of the unanswered ones may have done it";
  EXPECT_TRUE(burial.done());
}

TEST(Burial, WatchesForARequestThatIsStillUnderWay) {
  Burial burial({"n/1+lock-2", 0, true});
  burial.start(kStart);
  burial.on_txn(kStart, take<SendTxn>(burial)->request, answered(20, false));
  EXPECT_FALSE(burial.done());
  Burial again = burial;
  const auto watch = take<StartWatch>(burial);
  ASSERT_TRUE(watch);
  EXPECT_EQ(watch->watch.start_revision, 21);

  WatchNotice notice;
  notice.events.push_back({Event::Type::put, {.key = "n/1+lock-2", .create_revision = 25}, {}});
  burial.on_watch(kStart + 1s, notice);
  const auto removal = take<SendTxn>(burial);
  ASSERT_TRUE(removal);
  EXPECT_EQ(removal->txn.compares.at(0).relation, Compare::Relation::greater);

  notice = {};
  notice.kind = WatchNotice::Kind::compacted;
  again.on_watch(kStart + 1s, notice);
  EXPECT_TRUE(take<SendTxn>(again)) << "what the watch missed is removed unseen";
}

}  // namespace
}  // namespace conclave::session
