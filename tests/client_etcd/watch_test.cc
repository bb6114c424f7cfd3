#include <thread>

#include "tests/client_etcd/etcd_fixture.h"

namespace conclave {
namespace {

using std::chrono::seconds;
using Kind = WatchNotice::Kind;

class Watches : public EtcdFixture {
 protected:
  void SetUp() override { start(1); }

  static WatchNotice next(Watcher& watcher) { return unwrap(watcher.next({}, seconds(30))); }
};

TEST_F(Watches, TellWhatHappens) {
  Watcher watcher = client().watch({.key = "w/", .range_end = prefix_end("w/"), .prev_kv = true});
  const WatchNotice created = next(watcher);
  EXPECT_EQ(created.kind, Kind::created);
  unwrap(client().put("w/a", "1"));
  unwrap(client().put("v", "not seen"));
  const TxnResult both = unwrap(client()
                                    .txn()
                                    .then(Put{.key = "w/a", .value = "2"})
                                    .then(Put{.key = "w/b", .value = "3"})
                                    .commit());
  unwrap(client().erase("w/a"));

  EXPECT_EQ(next(watcher).events.at(0).kv.value, "1");
  const WatchNotice pair = next(watcher);
  ASSERT_EQ(pair.events.size(), 2U) << "one revision comes whole";
  EXPECT_EQ(pair.revision, both.revision);
  ASSERT_TRUE(pair.events[0].prev_kv);
  EXPECT_EQ(pair.events[0].prev_kv->value, "1");
  const WatchNotice erased = next(watcher);
  EXPECT_EQ(erased.events.at(0).type, Event::Type::erase);
  EXPECT_EQ(erased.events.at(0).kv.key, "w/a");
  EXPECT_EQ(watcher.next({}, std::chrono::milliseconds(20)).error().code, Errc::timed_out);
}

TEST_F(Watches, ReplayFromAnOldRevisionAndFilter) {
  const std::int64_t first = unwrap(client().put("k", "1")).revision;
  unwrap(client().erase("k"));
  unwrap(client().put("k", "2"));
  Watcher watcher = client().watch({.key = "k", .start_revision = first, .no_delete = true});
  EXPECT_EQ(next(watcher).kind, Kind::created);
  std::vector<std::string> values;
  while (values.size() < 2) {
    for (const Event& event : next(watcher).events) values.push_back(event.kv.value);
  }
  EXPECT_EQ(values, (std::vector<std::string>{"1", "2"}));
}

TEST_F(Watches, ReportCompaction) {
  const std::int64_t first = unwrap(client().put("k", "1")).revision;
  unwrap(client().put("k", "2"));
  unwrap(client().compact(first + 1));
  Watcher watcher = client().watch({.key = "k", .start_revision = first});
  EXPECT_EQ(next(watcher).kind, Kind::created);
  for (int i = 0; i < 2; ++i) {
    const WatchNotice last = next(watcher);
    EXPECT_EQ(last.kind, Kind::compacted);
    EXPECT_EQ(last.compact_revision, first + 1);
  }
}

TEST_F(Watches, RefuseAnEmptyRange) {
  Watcher watcher = client().watch({.key = "b", .range_end = "a"});
  const auto failed = watcher.next({}, seconds(30));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::invalid_argument);
  // The stream that the others share is not harmed.
  Watcher fine = client().watch({.key = "a"});
  EXPECT_EQ(next(fine).kind, Kind::created);
}

TEST_F(Watches, ComeAndGoByTheHundred) {
  Watcher stays = client().watch({.key = "k"});
  EXPECT_EQ(next(stays).kind, Kind::created);
  for (int i = 0; i < 300; ++i) {
    Watcher passing = client().watch({.key = "k" + std::to_string(i)});
    if (i % 3 == 0) {
      EXPECT_EQ(next(passing).kind, Kind::created);
    }
  }
  unwrap(client().put("k", "v"));
  EXPECT_EQ(next(stays).events.at(0).kv.value, "v");
}

TEST_F(Watches, SurviveARestartOfTheServer) {
  Watcher watcher = client().watch({.key = "n"});
  EXPECT_EQ(next(watcher).kind, Kind::created);
  int expected = 0;
  for (int round = 0; round < 3; ++round) {
    unwrap(client().put("n", std::to_string(round)));
    EXPECT_EQ(next(watcher).events.at(0).kv.value, std::to_string(expected++));
    cluster_->kill(0);
    const auto away = client().put("n", "lost", {.timeout = std::chrono::milliseconds(200)});
    EXPECT_FALSE(away);
    cluster_->start(0);
    ASSERT_TRUE(test::wait_until([this] { return client().get("n").has_value(); }));
    EXPECT_EQ(unwrap(client().get("n")).kvs.at(0).version, round + 1) << "nothing is sent twice";
  }
}

TEST_F(Watches, StopWakesTheWaiter) {
  Watcher watcher = client().watch({.key = "k"});
  EXPECT_EQ(next(watcher).kind, Kind::created);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(watcher.next(stop.get_token()).error().code, Errc::cancelled);
}

}  // namespace
}  // namespace conclave
