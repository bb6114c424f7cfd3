#include "conclave/session/turn_machine.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace conclave::session {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};
using Phase = TurnMachine::Phase;

class TurnMachineTest : public ::testing::Test {
 protected:
  void start(TurnConfig config = {}) {
    config.name = "n";
    config.kind = "lock";
    config.lease = 1;
    config.nonce = 2;
    machine_.emplace(std::move(config));
    machine_->start(now());
    collect();
  }
  Moment now() const { return {now_, valid_until_}; }
  void collect() {
    for (TurnAction& action : machine_->take_actions()) actions_.push_back(std::move(action));
  }
  // The last action of its kind since the last reset.
  template <class Action>
  std::optional<Action> last() {
    std::optional<Action> found;
    for (TurnAction& action : actions_) {
      if (auto* wanted = std::get_if<Action>(&action)) found = *wanted;
    }
    return found;
  }
  void reset() { actions_.clear(); }
  void answer(Result<TxnResult> result) {
    const auto send = last<SendTxn>();
    ASSERT_TRUE(send);
    reset();
    machine_->on_txn(now(), send->request, result);
    collect();
  }
  static GetResult page(std::vector<KeyValue> kvs, bool more = false) {
    GetResult result;
    result.kvs = std::move(kvs);
    result.more = more;
    return result;
  }
  static TxnResult entered(std::vector<KeyValue> ahead, bool more = false) {
    return {10, true, {page(std::move(ahead), more), PutResult{}}};
  }
  static TxnResult both(std::vector<KeyValue> own, std::vector<KeyValue> ahead) {
    return {30, true, {page(std::move(own)), page(std::move(ahead))}};
  }
  KeyValue own(std::int64_t create_revision = 10) const {
    return {.key = machine_->key(), .create_revision = create_revision};
  }
  void erased(WatchSlot slot) {
    WatchNotice notice;
    notice.events.push_back({Event::Type::erase, {.key = "gone", .mod_revision = 20}, {}});
    reset();
    machine_->on_watch(now(), slot, notice);
    collect();
  }
  void wait_behind(const std::string& key) {
    start();
    answer(entered({{.key = key, .create_revision = 5}}));
    ASSERT_EQ(machine_->phase(), Phase::waiting);
  }

  Instant now_ = kStart;
  Instant valid_until_ = kStart + 10s;
  std::optional<TurnMachine> machine_;
  std::vector<TurnAction> actions_;
};

TEST_F(TurnMachineTest, AFreeNameIsHeldAfterOneTransaction) {
  start();
  answer(entered({}));
  ASSERT_TRUE(last<Granted>());
  EXPECT_EQ(last<Granted>()->fence, Fence{10});
  EXPECT_EQ(last<StartWatch>()->watch.start_revision, 11) << "its own key stays watched";
}

TEST_F(TurnMachineTest, WatchesPredecessorAndOwnKeyFromTheRevisionAfter) {
  start();
  answer(entered({{.key = "n/9", .create_revision = 5}}));
  std::vector<std::string> watched;
  for (const TurnAction& action : actions_) {
    if (const auto* watch = std::get_if<StartWatch>(&action)) {
      watched.push_back(watch->watch.key);
      EXPECT_EQ(watch->watch.start_revision, 11);
    }
  }
  EXPECT_EQ(watched, (std::vector<std::string>{machine_->key(), "n/9"}));
}

TEST_F(TurnMachineTest, KeysOfDeeperNamesAreNotAhead) {
  start();
  answer(entered({{.key = "n/deeper/9", .create_revision = 5}}));
  EXPECT_TRUE(last<Granted>());
}

TEST_F(TurnMachineTest, ReadsOnPastKeysOfDeeperNames) {
  start();
  answer(entered({{.key = "n/x/9", .create_revision = 9}}, true));
  EXPECT_FALSE(last<Granted>());
  const auto read = last<SendTxn>();
  ASSERT_TRUE(read);
  const Get& get = std::get<Get>(read->txn.success.at(1));
  EXPECT_GT(get.limit, 4);
  EXPECT_EQ(get.max_create_revision, 9);
  answer(both({own()},
              {{.key = "n/x/9", .create_revision = 9}, {.key = "n/7", .create_revision = 3}}));
  EXPECT_EQ(last<Waiting>()->predecessor, "n/7");
}

TEST_F(TurnMachineTest, ThePredecessorsEndIsFollowedByAReadAndNotByATurn) {
  wait_behind("n/9");
  erased(WatchSlot::predecessor);
  EXPECT_EQ(machine_->phase(), Phase::waiting);
  answer(both({own()}, {}));
  EXPECT_TRUE(last<Granted>());
}

TEST_F(TurnMachineTest, AnotherPredecessorIsWaitedForNext) {
  wait_behind("n/9");
  erased(WatchSlot::predecessor);
  answer(both({own()}, {{.key = "n/8", .create_revision = 4}}));
  EXPECT_EQ(last<Waiting>()->predecessor, "n/8");
  EXPECT_EQ(last<StartWatch>()->watch.start_revision, 31);
}

TEST_F(TurnMachineTest, AnOwnKeyThatIsGoneNeverHolds) {
  wait_behind("n/9");
  erased(WatchSlot::predecessor);
  answer(both({}, {}));
  EXPECT_EQ(last<Ended>()->error.code, Errc::not_held);
}

TEST_F(TurnMachineTest, AnOwnKeyThatIsGoneAfterThePauseIsALostSession) {
  wait_behind("n/9");
  now_ = valid_until_;
  erased(WatchSlot::own);
  EXPECT_EQ(last<Ended>()->error.code, Errc::session_lost);
}

TEST_F(TurnMachineTest, AnotherGenerationOfTheOwnKeyNeverHolds) {
  wait_behind("n/9");
  erased(WatchSlot::predecessor);
  answer(both({own(25)}, {}));
  EXPECT_EQ(last<Ended>()->error.code, Errc::not_held);
}

TEST_F(TurnMachineTest, AnExpiredSessionNeverHolds) {
  wait_behind("n/9");
  erased(WatchSlot::predecessor);
  now_ = valid_until_;
  answer(both({own()}, {}));
  EXPECT_EQ(last<Ended>()->error.code, Errc::session_lost);
}

TEST_F(TurnMachineTest, ALostSessionEndsTheWaitAtOnce) {
  wait_behind("n/9");
  machine_->on_session_lost({Errc::session_lost, "lost"});
  collect();
  EXPECT_EQ(last<Ended>()->error.code, Errc::session_lost);
}

TEST_F(TurnMachineTest, AnEntryWithALostAnswerIsMadeAgainUnderTheSameKey) {
  start();
  const std::string key = machine_->key();
  answer(Error{Errc::unknown_outcome, "no answer"});
  now_ = machine_->timer();
  machine_->on_timer(now());
  collect();
  answer(TxnResult{12, false, {page({own(10)})}});
  ASSERT_TRUE(last<SendTxn>()) << "where it stands in the queue is not known yet";
  answer(both({own(10)}, {}));
  EXPECT_EQ(last<Granted>()->fence, Fence{10});
  EXPECT_EQ(machine_->key(), key);
  reset();
  machine_->release();
  collect();
  EXPECT_TRUE(last<Bury>()->uncertain) << "the first request may still be under way";
}

TEST_F(TurnMachineTest, ACancelledWaitBuriesItsKey) {
  wait_behind("n/9");
  machine_->cancel();
  collect();
  EXPECT_EQ(last<Ended>()->error.code, Errc::cancelled);
  EXPECT_EQ(last<Bury>()->create_revision, 10);
  EXPECT_FALSE(last<Bury>()->uncertain);
}

TEST_F(TurnMachineTest, CancelledWhileEnteringItBuriesWhatTheAnswerTells) {
  start();
  machine_->cancel();
  EXPECT_EQ(machine_->phase(), Phase::abandoned);
  answer(entered({}));
  EXPECT_FALSE(last<Granted>());
  EXPECT_EQ(last<Bury>()->create_revision, 10);
  EXPECT_EQ(machine_->phase(), Phase::ended);
}

TEST_F(TurnMachineTest, CancelledWhileEnteringWithoutAnAnswerItBuriesUncertainly) {
  start();
  machine_->cancel();
  answer(Error{Errc::unknown_outcome, "no answer"});
  EXPECT_TRUE(last<Bury>()->uncertain);
}

TEST_F(TurnMachineTest, CancelledWithAnEntryThatSurelyFailedThereIsNothingToBury) {
  start();
  machine_->cancel();
  answer(Error{Errc::unavailable, "connection refused"});
  EXPECT_FALSE(last<Bury>());
}

TEST_F(TurnMachineTest, TimesOutAndBuries) {
  TurnConfig config;
  config.deadline = kStart + 2s;
  start(config);
  answer(entered({{.key = "n/9", .create_revision = 5}}));
  EXPECT_EQ(machine_->timer(), kStart + 2s);
  now_ = kStart + 2s;
  machine_->on_timer(now());
  collect();
  EXPECT_EQ(last<Ended>()->error.code, Errc::timed_out);
  EXPECT_TRUE(last<Bury>());
}

TEST_F(TurnMachineTest, ADeadlineWithoutAnAnswerIsTheStoresFault) {
  TurnConfig config;
  config.deadline = kStart + 2s;
  start(config);
  now_ = kStart + 2s;
  machine_->on_timer(now());
  collect();
  EXPECT_EQ(last<Ended>()->error.code, Errc::unavailable);
}

TEST_F(TurnMachineTest, ATryThatFindsItTakenMakesNoKey) {
  TurnConfig config;
  config.only_if_free = true;
  start(config);
  const auto send = last<SendTxn>();
  ASSERT_TRUE(send);
  EXPECT_EQ(send->txn.compares.at(0).range_end, "n0");
  answer(TxnResult{10, false, {page({}), page({{.key = "n/9", .create_revision = 5}})}});
  EXPECT_EQ(last<Ended>()->error.code, Errc::would_block);
  EXPECT_FALSE(last<Bury>());
}

TEST_F(TurnMachineTest, ATryIsNotPutOffByDeeperNames) {
  TurnConfig config;
  config.only_if_free = true;
  start(config);
  answer(TxnResult{10, false, {page({}), page({{.key = "n/x/9", .create_revision = 5}})}});
  answer(entered({{.key = "n/x/9", .create_revision = 5}}));
  EXPECT_TRUE(last<Granted>());
}

TEST_F(TurnMachineTest, ATurnIsTakenWhenTheKeyIsDeleted) {
  start();
  answer(entered({}));
  erased(WatchSlot::own);
  EXPECT_EQ(last<Taken>()->reason.code, Errc::not_held);
  EXPECT_EQ(machine_->phase(), Phase::ended);
}

TEST_F(TurnMachineTest, CompactionIsFollowedByARead) {
  start();
  answer(entered({}));
  WatchNotice notice;
  notice.kind = WatchNotice::Kind::compacted;
  reset();
  machine_->on_watch(now(), WatchSlot::own, notice);
  collect();
  answer(both({own()}, {}));
  EXPECT_EQ(machine_->phase(), Phase::holding);
  EXPECT_EQ(last<StartWatch>()->watch.start_revision, 31);
}

// etcd may have carried out what it refuses for want of space.
TEST_F(TurnMachineTest, AnEntryThatFoundNoSpaceIsRemovedAllTheSame) {
  start();
  answer(Error{Errc::resource_exhausted, "database space exceeded"});
  EXPECT_EQ(last<Ended>()->error.code, Errc::resource_exhausted);
  ASSERT_TRUE(last<Bury>());
  EXPECT_EQ(last<Bury>()->create_revision, 0);
  reset();
  start();
  machine_->cancel();
  collect();
  answer(Error{Errc::resource_exhausted, "database space exceeded"});
  EXPECT_TRUE(last<Bury>());
}

TEST_F(TurnMachineTest, ARefusalIsPassedOnAndALostLeaseIsALostSession) {
  start();
  answer(Error{Errc::permission_denied, "permission denied"});
  EXPECT_EQ(last<Ended>()->error.code, Errc::permission_denied);
  reset();
  start();
  answer(Error{Errc::not_found, "requested lease not found"});
  EXPECT_EQ(last<Ended>()->error.code, Errc::session_lost);
}

TEST_F(TurnMachineTest, ANameIsNeeded) {
  TurnConfig config;
  config.kind = "lock";
  TurnMachine machine(config);
  machine.start(now());
  const std::vector<TurnAction> actions = machine.take_actions();
  EXPECT_EQ(std::get<Ended>(actions.back()).error.code, Errc::invalid_argument);
}

}  // namespace
}  // namespace conclave::session
