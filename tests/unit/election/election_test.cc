#include "conclave/election/election.h"

#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "conclave/lock/mutex.h"

#include "tests/support/local_store.h"

namespace conclave {
namespace {

using namespace std::chrono_literals;

Session open(Store& store) {
  return Session::open(store).value();
}

TEST(Election, TheLeadersValueIsTheKeysValue) {
  test::LocalStore store;
  Session session = open(store);
  Election election(session, "e");
  EXPECT_FALSE(*Election::leader(store, "e"));
  Leadership term = election.campaign("10.0.0.1:80").value();
  EXPECT_TRUE(term.valid());
  const std::optional<Leader> leader = Election::leader(store, "e").value();
  ASSERT_TRUE(leader);
  EXPECT_EQ(leader->value, "10.0.0.1:80");
  EXPECT_EQ(leader->fence, term.fence());
  EXPECT_EQ(leader->lease, session.lease());
  EXPECT_TRUE(term.resign());
  EXPECT_FALSE(*Election::leader(store, "e"));
}

TEST(Election, ProclaimsUnderItsGuard) {
  test::LocalStore store;
  Session session = open(store);
  Leadership term = Election(session, "e").campaign("one").value();
  EXPECT_TRUE(term.proclaim("two"));
  const std::optional<Leader> leader = Election::leader(store, "e").value();
  EXPECT_EQ(leader->value, "two");
  EXPECT_EQ(leader->fence, term.fence());
  EXPECT_GT(leader->mod_revision, term.revision());
  EXPECT_EQ(leader->lease, session.lease()) << "the key still goes with its session";
  EXPECT_TRUE(term.resign());
  EXPECT_EQ(term.proclaim("three").error().code, Errc::not_held);
}

TEST(Election, ObserversSeeEveryTerm) {
  test::LocalStore store;
  Session session = open(store);
  Election election(session, "e");
  Observer observer = Election::observe(store, "e");
  EXPECT_FALSE(observer.next().value().leader);
  std::int64_t seen = 0;
  for (const std::string value : {"one", "two"}) {
    Leadership term = election.campaign(value).value();
    EXPECT_EQ(observer.next().value().leader->value, value);
    EXPECT_TRUE(term.proclaim(value + "!"));
    EXPECT_EQ(observer.next().value().leader->value, value + "!");
    EXPECT_TRUE(term.resign());
    const LeaderChange vacant = observer.next().value();
    EXPECT_FALSE(vacant.leader);
    if (seen == 0) seen = vacant.revision;
  }
  Observer late = Election::observe(store, "e", seen);
  EXPECT_EQ(late.next().value().leader->value, "two");
}

TEST(Election, ObservingEndsByStopAndDeadline) {
  test::LocalStore store;
  Observer observer = Election::observe(store, "e");
  EXPECT_TRUE(observer.next());
  EXPECT_EQ(observer.next({}, BootClock::now() + 10ms).error().code, Errc::timed_out);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(observer.next(stop.get_token()).error().code, Errc::cancelled);
  EXPECT_EQ(Election::observe(store, "").next().error().code, Errc::invalid_argument);
}

TEST(Election, RunLeadsResignsAndPassesTheStopOn) {
  test::LocalStore store;
  Session session = open(store);
  Election election(session, "e");
  std::stop_source stop;
  const Result<void> ran = election.run(
      "one",
      [&](Leadership& term, const std::stop_token& over) {
        EXPECT_TRUE(term.valid());
        EXPECT_FALSE(over.stop_requested());
        stop.request_stop();
        EXPECT_TRUE(over.stop_requested());
      },
      stop.get_token());
  EXPECT_TRUE(ran);
  EXPECT_FALSE(*Election::leader(store, "e"));
}

TEST(Election, ATryLeadsOnlyWhereNobodyDoes) {
  test::LocalStore store;
  Session session = open(store);
  Election election(session, "e");
  Result<Leadership> term = election.try_campaign("one");
  ASSERT_TRUE(term);
  EXPECT_EQ(election.try_campaign("two").error().code, Errc::would_block);
  EXPECT_EQ((*Election::leader(store, "e"))->value, "one");
  EXPECT_EQ(Election::list(store, "e")->contenders.size(), 1);
}

TEST(Election, RunTellsThatTheTermWasTaken) {
  test::LocalStore store;
  Session session = open(store);
  const Result<void> ran =
      Election(session, "e").run("one", [&](Leadership& term, const std::stop_token& over) {
        EXPECT_TRUE(Mutex::break_holder(store, "e", term.fence()));
        while (!over.stop_requested()) std::this_thread::yield();
      });
  EXPECT_EQ(ran.error().code, Errc::not_held);
}

TEST(Election, AnExceptionPassesThroughAfterResigning) {
  test::LocalStore store;
  Session session = open(store);
  EXPECT_THROW(
      static_cast<void>(
          Election(session, "e").run("one", [](Leadership&, const std::stop_token&) { throw 1; })),
      int);
  EXPECT_FALSE(*Election::leader(store, "e"));
}

}  // namespace
}  // namespace conclave
