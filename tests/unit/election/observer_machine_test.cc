#include "conclave/election/observer_machine.h"

#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace conclave::election {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

class ObserverMachineTest : public ::testing::Test {
 protected:
  void collect() {
    for (ObserverAction& action : machine_.take_actions()) {
      if (auto* get = std::get_if<SendGet>(&action)) get_ = *get;
      if (auto* watch = std::get_if<StartObserving>(&action)) watch_ = watch->watch;
      if (auto* changed = std::get_if<Changed>(&action)) changes_.push_back(changed->change);
      if (std::get_if<ObserverFailed>(&action) != nullptr) failed_ = true;
    }
  }
  void read(std::int64_t revision, std::vector<KeyValue> kvs) {
    GetResult result;
    result.revision = revision;
    result.kvs = std::move(kvs);
    machine_.on_get(kStart, get_.request, result);
    collect();
  }
  void events(std::vector<Event> events) {
    WatchNotice notice;
    notice.events = std::move(events);
    machine_.on_watch(kStart, notice);
    collect();
  }
  static KeyValue candidate(std::string key, std::int64_t created, std::int64_t modified = 0) {
    return {.key = key,
            .value = "value of " + key,
            .create_revision = created,
            .mod_revision = modified == 0 ? created : modified};
  }
  static Event put(KeyValue kv) { return {Event::Type::put, std::move(kv), {}}; }
  static Event erase(std::string key, std::int64_t revision) {
    return {Event::Type::erase, {.key = std::move(key), .mod_revision = revision}, {}};
  }
  void start(std::int64_t after = 0) {
    machine_ = ObserverMachine("e", after);
    machine_.start(kStart);
    collect();
  }

  ObserverMachine machine_{"e", 0};
  SendGet get_;
  Watch watch_;
  std::vector<LeaderChange> changes_;
  bool failed_ = false;
};

TEST_F(ObserverMachineTest, BeginsWithTheStateOfAffairs) {
  start();
  read(9, {candidate("e/x/1", 2), candidate("e/1", 3), candidate("e/2", 5)});
  ASSERT_EQ(changes_.size(), 1U);
  EXPECT_EQ(changes_[0].leader->key, "e/1");
  EXPECT_EQ(changes_[0].revision, 9);
  EXPECT_EQ(watch_.start_revision, 10);
}

TEST_F(ObserverMachineTest, TellsThatNobodyLeads) {
  start();
  read(9, {});
  ASSERT_EQ(changes_.size(), 1U);
  EXPECT_FALSE(changes_[0].leader);
}

TEST_F(ObserverMachineTest, MissesNoLeaderOfANoticeWithManyRevisions) {
  start();
  read(9, {candidate("e/1", 3)});
  events({put(candidate("e/2", 10)), erase("e/1", 11), put(candidate("e/2", 10, 12)),
          erase("e/2", 13), put(candidate("e/3", 14))});
  ASSERT_EQ(changes_.size(), 5U);
  EXPECT_EQ(changes_[1].leader->fence, Fence{10});
  EXPECT_EQ(changes_[2].leader->mod_revision, 12) << "a proclamation";
  EXPECT_FALSE(changes_[3].leader);
  EXPECT_EQ(changes_[4].leader->key, "e/3");
  EXPECT_EQ(changes_[4].revision, 14);
}

TEST_F(ObserverMachineTest, ARevisionCountsAsAWhole) {
  start();
  read(9, {candidate("e/1", 3)});
  events({erase("e/1", 10), put(candidate("e/2", 10))});
  ASSERT_EQ(changes_.size(), 2U);
  EXPECT_EQ(changes_[1].leader->key, "e/2");
}

TEST_F(ObserverMachineTest, GoesOnFromARevision) {
  start(7);
  EXPECT_EQ(get_.get.revision, 7);
  read(20, {candidate("e/1", 3)});
  EXPECT_TRUE(changes_.empty()) << "seen before";
  EXPECT_EQ(watch_.start_revision, 8);
  events({erase("e/1", 8)});
  EXPECT_EQ(changes_.size(), 1U);
}

TEST_F(ObserverMachineTest, SaysWhereCompactionMadeAGap) {
  start(7);
  machine_.on_get(kStart, get_.request, Error{Errc::compacted, "compacted"});
  collect();
  EXPECT_EQ(get_.get.revision, 0);
  read(20, {candidate("e/1", 3)});
  ASSERT_EQ(changes_.size(), 1U);
  EXPECT_TRUE(changes_[0].gap);

  WatchNotice notice;
  notice.kind = WatchNotice::Kind::compacted;
  machine_.on_watch(kStart, notice);
  collect();
  read(30, {candidate("e/1", 3)});
  ASSERT_EQ(changes_.size(), 2U);
  EXPECT_TRUE(changes_[1].gap);
  events({erase("e/1", 31)});
  EXPECT_FALSE(changes_.back().gap);
}

TEST_F(ObserverMachineTest, ComesBackAfterAnInterruption) {
  start();
  read(9, {candidate("e/1", 3)});
  events({erase("e/1", 12)});
  WatchNotice notice;
  notice.kind = WatchNotice::Kind::failed;
  notice.error = {Errc::unavailable, "gone"};
  machine_.on_watch(kStart, notice);
  machine_.on_timer(machine_.timer());
  collect();
  EXPECT_EQ(watch_.start_revision, 13);
  EXPECT_FALSE(failed_);
  notice.error = {Errc::permission_denied, "no"};
  machine_.on_watch(kStart, notice);
  collect();
  EXPECT_TRUE(failed_);
}

TEST_F(ObserverMachineTest, PausesAndGoesOnWhereItWas) {
  start();
  read(9, {candidate("e/1", 3)});
  machine_.pause();
  events({erase("e/1", 10)});
  EXPECT_EQ(changes_.size(), 1U);
  machine_.resume();
  collect();
  EXPECT_EQ(watch_.start_revision, 10);
}

}  // namespace
}  // namespace conclave::election
