#include "conclave/lock/mutex.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/session/await.h"

#include "tests/support/local_store.h"

namespace conclave {
namespace {

using namespace std::chrono_literals;

Session open(Store& store) {
  return Session::open(store).value();
}

TEST(Mutex, IsHeldUntilItIsReleased) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n", {.label = "test"});
  Result<Lock> lock = mutex.acquire();
  ASSERT_TRUE(lock);
  EXPECT_TRUE(lock->valid());
  EXPECT_GT(lock->fence().revision, 0);
  EXPECT_TRUE(lock->key().starts_with("n/"));
  EXPECT_EQ(mutex.try_acquire().error().code, Errc::would_block);
  EXPECT_TRUE(lock->release());
  EXPECT_FALSE(lock->valid());
  EXPECT_TRUE(lock->release()) << "a second time does nothing";
  const Result<Lock> next = mutex.try_acquire();
  ASSERT_TRUE(next);
  EXPECT_GT(next->fence(), lock->fence());
}

TEST(Mutex, GoesToWhoAskedFirst) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n");
  std::optional<Lock> first = mutex.acquire().value();
  std::vector<int> order;
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 3; ++i) {
    session::Completion<bool> waiting;
    waiters.emplace_back([&, i] {
      AcquireOptions options;
      options.on_wait = [&waiting](const WaitStatus&) { waiting.set(true); };
      options.status_interval = std::chrono::hours(1);
      const Lock lock = mutex.acquire(options).value();
      order.push_back(i);
    });
    waiting.wait();
  }
  first.reset();
  waiters.clear();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(Mutex, ExcludesAsStdMutexDoes) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n");
  int count = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < 25; ++turn) {
          const std::lock_guard guard(mutex);
          ++count;
        }
      });
    }
  }
  EXPECT_EQ(count, 100);
}

TEST(Mutex, IsStdTimedLockable) {
  test::LocalStore store;
  Session session = open(store);
  Mutex a(session, "a");
  Mutex b(session, "a/b");
  const std::scoped_lock both(a, b);
  std::jthread([&a] {
    EXPECT_FALSE(a.try_lock());
    EXPECT_FALSE(a.try_lock_for(20ms));
    EXPECT_FALSE(a.try_lock_until(std::chrono::system_clock::now() + 20ms));
    const std::unique_lock timed(a, 20ms);
    EXPECT_FALSE(timed.owns_lock());
  }).join();
  EXPECT_TRUE(a.valid());
  EXPECT_GT(b.fence(), a.fence());
}

TEST(Mutex, LeavesNothingBehindAFailedWait) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n");
  const Lock lock = mutex.acquire().value();
  EXPECT_EQ(mutex.try_acquire_for(20ms).error().code, Errc::timed_out);
  EXPECT_EQ(Mutex::list(store, "n")->contenders.size(), 1U);

  std::stop_source stop;
  session::Completion<bool> waiting;
  std::jthread waiter([&] {
    AcquireOptions options;
    options.stop = stop.get_token();
    options.on_wait = [&waiting](const WaitStatus&) { waiting.set(true); };
    EXPECT_EQ(mutex.acquire(options).error().code, Errc::cancelled);
  });
  waiting.wait();
  stop.request_stop();
  waiter.join();
  EXPECT_EQ(Mutex::list(store, "n")->contenders.size(), 1U);
}

TEST(Mutex, TellsWhoWaitsForWhom) {
  test::LocalStore store;
  Session session = open(store);
  Mutex holder(session, "n", {.label = "rollout"});
  const Lock lock = holder.acquire().value();
  AcquireOptions options;
  options.deadline = BootClock::now() + 500ms;
  std::optional<WaitStatus> seen;
  const std::thread::id caller = std::this_thread::get_id();
  options.on_wait = [&](const WaitStatus& status) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    seen = status;
  };
  EXPECT_EQ(Mutex(session, "n").acquire(options).error().code, Errc::timed_out);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->position, 2);
  EXPECT_EQ(seen->holder->info->label, "rollout");
  EXPECT_EQ(seen->holder->key, lock.key());
}

TEST(Mutex, AnOperatorTakesItFromThatHolderOnly) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n");
  Lock lock = mutex.acquire().value();
  EXPECT_EQ(Mutex::break_holder(store, "n", {lock.revision() + 1}).error().code, Errc::not_held);
  EXPECT_TRUE(lock.valid());
  session::Completion<bool> lost;
  const std::stop_callback on_lost(lock.lost(), [&lost] { lost.set(true); });
  EXPECT_TRUE(Mutex::break_holder(store, "n", lock.fence()));
  lost.wait();
  EXPECT_FALSE(lock.valid());
  EXPECT_EQ(lock.release().error().code, Errc::not_held);
  const Result<TxnResult> late = lock.txn().then(Put{.key = "x", .value = "1"}).commit();
  EXPECT_EQ(late.error().code, Errc::not_held);
}

TEST(Mutex, ALostSessionEndsLocksAndWaits) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n");
  Lock lock = mutex.acquire().value();
  session::Completion<bool> waiting;
  std::jthread waiter([&] {
    AcquireOptions options;
    options.on_wait = [&waiting](const WaitStatus&) { waiting.set(true); };
    EXPECT_EQ(mutex.acquire(options).error().code, Errc::session_lost);
  });
  waiting.wait();
  EXPECT_TRUE(session.close());
  waiter.join();
  EXPECT_TRUE(lock.lost().stop_requested());
  EXPECT_EQ(lock.release().error().code, Errc::session_lost);
  EXPECT_EQ(mutex.acquire().error().code, Errc::session_lost);
  EXPECT_THROW(mutex.lock(), Failure);
}

TEST(Mutex, GuardedTransactionsTellTheGuardFromTheirConditions) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n");
  Lock lock = mutex.acquire().value();
  const Put write{.key = "x", .value = "1"};
  EXPECT_EQ(lock.txn().when(created_at("x", 99)).then(write).commit().error().code, Errc::mismatch);
  const Result<TxnResult> otherwise =
      lock.txn().when(created_at("x", 99)).otherwise(write).commit();
  ASSERT_TRUE(otherwise);
  EXPECT_FALSE(otherwise->succeeded);
  const Result<TxnResult> written = lock.txn().then(write).commit();
  ASSERT_TRUE(written);
  EXPECT_TRUE(written->succeeded);
  EXPECT_GT(written->revision, otherwise->revision);
  EXPECT_TRUE(lock.release());
  EXPECT_EQ(lock.txn().otherwise(write).commit().error().code, Errc::not_held);
}

TEST(Mutex, AReleaseWithoutAnAnswerIsUnknownAndNotHeld) {
  test::LocalStore store;
  Session session = open(store);
  Mutex mutex(session, "n");
  Lock lock = mutex.acquire().value();
  store.set_away(true);
  EXPECT_EQ(lock.release(50ms).error().code, Errc::unknown_outcome);
  EXPECT_FALSE(lock.valid());
  store.set_away(false);
  EXPECT_TRUE(mutex.try_acquire_for(30s)) << "the session goes on removing the key";
}

TEST(Mutex, NeedsAName) {
  test::LocalStore store;
  Session session = open(store);
  EXPECT_EQ(Mutex(session, "").acquire().error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace conclave
