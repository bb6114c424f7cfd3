#include "conclave/session/session.h"

#include <optional>
#include <stop_token>
#include <utility>

#include <gtest/gtest.h>

#include "conclave/base/clock.h"
#include "conclave/session/await.h"

#include "tests/support/local_store.h"

namespace conclave {
namespace {

using namespace std::chrono_literals;

TEST(Session, OpensIsValidAndCloses) {
  test::LocalStore store;
  Result<Session> session = Session::open(store, {.ttl = 5s});
  ASSERT_TRUE(session);
  EXPECT_NE(session->lease(), 0);
  EXPECT_TRUE(session->valid());
  EXPECT_EQ(session->state(), SessionState::safe);
  EXPECT_GT(session->valid_until(), BootClock::now());
  EXPECT_FALSE(session->lost().stop_requested());
  EXPECT_TRUE(session->close());
  EXPECT_FALSE(session->valid());
  EXPECT_TRUE(session->lost().stop_requested());
  EXPECT_TRUE(session->close()) << "a second time does nothing";
}

TEST(Session, RefusesSenselessOptions) {
  test::LocalStore store;
  EXPECT_EQ(Session::open(store, {.ttl = 0s}).error().code, Errc::invalid_argument);
  EXPECT_EQ(Session::open(store, {.ttl = 2s, .margin = 1500ms}).error().code,
            Errc::invalid_argument);
}

TEST(Session, GivesUpOpeningWithoutAStore) {
  test::LocalStore store;
  store.set_away(true);
  EXPECT_EQ(Session::open(store, {.open_timeout = 100ms}).error().code, Errc::unavailable);
}

TEST(Session, OpeningCanBeCancelled) {
  test::LocalStore store;
  store.set_away(true);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(Session::open(store, {}, stop.get_token()).error().code, Errc::cancelled);
}

TEST(Session, IsLostByItsOwnClockWhenTheStoreIsAway) {
  test::LocalStore store;
  Result<Session> session = Session::open(store, {.ttl = 1s, .close_timeout = 100ms});
  ASSERT_TRUE(session);
  session::Completion<bool> lost;
  const std::stop_callback on_lost(session->lost(), [&lost] { lost.set(true); });
  store.set_away(true);
  EXPECT_TRUE(lost.wait());
  EXPECT_FALSE(session->valid());
  EXPECT_EQ(session->state(), SessionState::lost);
}

TEST(Session, MovesWithItsLease) {
  test::LocalStore store;
  std::optional<Session> other;
  {
    Result<Session> session = Session::open(store);
    ASSERT_TRUE(session);
    other.emplace(*std::move(session));
  }
  EXPECT_TRUE(other->valid());
}

}  // namespace
}  // namespace conclave
