#include <thread>

#include "tests/client_etcd/etcd_fixture.h"

namespace conclave {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Failover : public EtcdFixture {
 protected:
  // Adds one to a counter, exactly once, whatever happens: reads again after an unknown outcome.
  void increment(int to) {
    const std::string value = std::to_string(to);
    ASSERT_TRUE(test::wait_until(
        [&] {
          const auto now = client().get("n");
          if (!now) return false;
          if (!now->kvs.empty() && now->kvs[0].value == value) return true;
          const std::int64_t revision = now->kvs.empty() ? 0 : now->kvs[0].mod_revision;
          const auto done = client()
                                .txn()
                                .when(modified_at("n", revision))
                                .then(Put{.key = "n", .value = value})
                                .commit({.timeout = seconds(3)});
          return done.has_value() && done->succeeded;
        },
        seconds(60)));
  }
};

TEST_F(Failover, DeadEndpointCostsNothing) {
  start(1);
  ClientOptions options;
  for (int i = 0; i < 3; ++i) {
    options.endpoints.insert(options.endpoints.begin(),
                             "127.0.0.1:" + std::to_string(test::free_port()));
  }
  options.endpoints.back() = cluster_->endpoints()[0];
  Client client = unwrap(Client::connect(options));
  const auto began = std::chrono::steady_clock::now();
  unwrap(client.put("k", "v"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(4));
}

TEST_F(Failover, NobodyThereIsUnavailableAndSurelyNotCarriedOut) {
  Client client =
      unwrap(Client::connect({.endpoints = {"127.0.0.1:" + std::to_string(test::free_port())}}));
  const auto put = client.put("k", "v", {.timeout = milliseconds(500)});
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::unavailable) << put.error().message;
  const auto renewed = client.renew(1, {.timeout = milliseconds(500)});
  ASSERT_FALSE(renewed);
  EXPECT_EQ(renewed.error().code, Errc::timed_out);
}

TEST_F(Failover, WritesWatchesAndLeasesOutliveEachMember) {
  start(3);
  unwrap(client().grant(seconds(60), 7));
  Watcher watcher = client().watch({.key = "n"});
  EXPECT_EQ(unwrap(watcher.next({}, seconds(30))).kind, WatchNotice::Kind::created);
  int n = 0;
  int seen = 0;
  for (std::size_t member = 0; member < 3; ++member) {
    increment(++n);
    cluster_->kill(member);
    for (int i = 0; i < 5; ++i) increment(++n);
    ASSERT_TRUE(test::wait_until([this] { return client().renew(7).has_value(); }));
    cluster_->start(member);
  }
  std::int64_t last_revision = 0;
  while (seen < n) {
    const WatchNotice notice = unwrap(watcher.next({}, seconds(30)));
    for (const Event& event : notice.events) {
      EXPECT_EQ(event.kv.value, std::to_string(++seen));
      EXPECT_GT(event.kv.mod_revision, last_revision);
      last_revision = event.kv.mod_revision;
    }
  }
}

TEST_F(Failover, FrozenMemberIsLeft) {
  start(3);
  unwrap(client().grant(seconds(60), 7));
  unwrap(client().renew(7));
  Watcher watcher = client().watch({.key = "n"});
  EXPECT_EQ(unwrap(watcher.next({}, seconds(30))).kind, WatchNotice::Kind::created);
  cluster_->pause(0);
  ASSERT_TRUE(test::wait_until([this] { return client().renew(7).has_value(); }));
  increment(1);
  const WatchNotice notice = unwrap(watcher.next({}, seconds(40)));
  EXPECT_EQ(notice.events.at(0).kv.value, "1");
  cluster_->resume(0);
}

}  // namespace
}  // namespace conclave
