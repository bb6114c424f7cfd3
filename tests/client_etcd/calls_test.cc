#include <algorithm>
#include <thread>

#include "conclave/api/rpc.pb.h"
#include "conclave/client/raw.h"

#include "tests/client_etcd/etcd_fixture.h"

namespace conclave {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Calls : public EtcdFixture {
 protected:
  void SetUp() override { start(1); }
};

TEST_F(Calls, KeysAndRanges) {
  unwrap(client().put("k1", "a"));
  unwrap(client().put("k2", "b"));
  const PutResult again = unwrap(client().put({.key = "k1", .value = "c", .prev_kv = true}));
  ASSERT_TRUE(again.prev_kv);
  EXPECT_EQ(again.prev_kv->value, "a");
  unwrap(client().put("z", std::string("\0\xff", 2)));

  const GetResult all = unwrap(client().get({.key = "k",
                                             .range_end = prefix_end("k"),
                                             .limit = 1,
                                             .sort_order = SortOrder::descending,
                                             .sort_target = SortTarget::mod_revision}));
  ASSERT_EQ(all.kvs.size(), 1U);
  EXPECT_TRUE(all.more);
  EXPECT_EQ(all.count, 2);
  EXPECT_EQ(all.kvs[0].value, "c");
  EXPECT_EQ(all.kvs[0].version, 2);
  EXPECT_EQ(all.kvs[0].mod_revision, again.revision);
  EXPECT_EQ(unwrap(client().get({.key = "k1", .revision = again.revision - 1})).kvs[0].value, "a");
  EXPECT_EQ(unwrap(client().get("z")).kvs[0].value, std::string("\0\xff", 2));
  EXPECT_TRUE(unwrap(client().get({.key = "k1", .count_only = true})).kvs.empty());
  EXPECT_EQ(
      unwrap(client().get({.key = "k1", .serializable = true, .keys_only = true})).kvs[0].value,
      "");

  const DeleteResult gone =
      unwrap(client().erase({.key = "k", .range_end = prefix_end("k"), .prev_kv = true}));
  EXPECT_EQ(gone.deleted, 2);
  EXPECT_EQ(gone.prev_kvs.size(), 2U);
  EXPECT_EQ(unwrap(client().erase("k1")).deleted, 0);
}

TEST_F(Calls, Transactions) {
  const auto take = [this] {
    return unwrap(client()
                      .txn()
                      .when(absent("owner"))
                      .then(Put{.key = "owner", .value = "me"})
                      .otherwise(Get{.key = "owner"})
                      .otherwise(Txn{.compares = {value_is("owner", "me")},
                                     .success = {Delete{.key = "owner", .prev_kv = true}}})
                      .commit());
  };
  const TxnResult first = take();
  EXPECT_TRUE(first.succeeded);
  ASSERT_EQ(first.results.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<PutResult>(first.results[0]));

  const TxnResult second = take();
  EXPECT_FALSE(second.succeeded);
  ASSERT_EQ(second.results.size(), 2U);
  EXPECT_EQ(std::get<GetResult>(second.results[0]).kvs.at(0).create_revision, first.revision);
  const auto& nested = std::get<TxnResult>(second.results[1]);
  EXPECT_TRUE(nested.succeeded);
  EXPECT_EQ(std::get<DeleteResult>(nested.results.at(0)).deleted, 1);

  unwrap(client().put("n", "1"));
  const std::int64_t revision = unwrap(client().get("n")).kvs.at(0).mod_revision;
  EXPECT_TRUE(unwrap(client().txn().when(modified_at("n", revision)).commit()).succeeded);
  EXPECT_FALSE(unwrap(client().txn().when(modified_at("n", revision - 1)).commit()).succeeded);
  EXPECT_TRUE(unwrap(client().txn().when(exists("n")).when(absent("no")).commit()).succeeded);
}

TEST_F(Calls, RefusalsAreTold) {
  const auto code = [](const auto& result) { return result.error().code; };
  EXPECT_EQ(code(client().get("")), Errc::invalid_argument);
  EXPECT_EQ(code(client().get({.key = "k", .revision = 1000})), Errc::refused);
  EXPECT_EQ(code(client().put({.key = "k", .value = "v", .lease = 12345})), Errc::not_found);
  EXPECT_EQ(code(client().put({.key = "none", .ignore_value = true})), Errc::not_found);
  EXPECT_EQ(code(client().put("big", std::string(1'600'000, 'x'))), Errc::invalid_argument);
  EXPECT_EQ(code(client().put("huge", std::string(3'000'000, 'x'))), Errc::invalid_argument);
  EXPECT_EQ(client().get("").error().message, "etcdserver: key is not provided");

  const std::int64_t revision = unwrap(client().put("k", "1")).revision;
  unwrap(client().put("k", "2"));
  unwrap(client().compact(revision + 1, /*physical=*/true));
  EXPECT_EQ(code(client().get({.key = "k", .revision = revision})), Errc::compacted);
  EXPECT_EQ(code(client().compact(revision)), Errc::compacted);
}

TEST_F(Calls, Leases) {
  const Instant before = BootClock::now();
  const Grant granted = unwrap(client().grant(seconds(60), 77));
  EXPECT_EQ(granted.id, 77);
  EXPECT_EQ(granted.ttl, seconds(60));
  EXPECT_GE(granted.sent_at, before);
  EXPECT_EQ(client().grant(seconds(60), 77).error(),
            (Error{Errc::refused, "etcdserver: lease already exists"}));
  EXPECT_NE(unwrap(client().grant(milliseconds(1500))).id, 0);

  unwrap(client().put({.key = "tied", .value = "v", .lease = 77}));
  const LeaseInfo info = unwrap(client().lease_info(77, /*with_keys=*/true));
  EXPECT_EQ(info.granted, seconds(60));
  EXPECT_GT(info.remaining, seconds(50));
  EXPECT_EQ(info.keys, std::vector<std::string>{"tied"});
  EXPECT_LT(unwrap(client().lease_info(99)).remaining, seconds(0));
  const std::vector<LeaseId> leases = unwrap(client().leases());
  EXPECT_NE(std::ranges::find(leases, 77), leases.end());

  const Instant sending = BootClock::now();
  const Renewal renewal = unwrap(client().renew(77));
  EXPECT_EQ(renewal.ttl, seconds(60));
  EXPECT_GE(renewal.sent_at, sending);
  EXPECT_LE(renewal.sent_at, BootClock::now());
  EXPECT_EQ(client().renew(99).error().code, Errc::not_found);

  EXPECT_TRUE(client().revoke(77));
  EXPECT_EQ(client().revoke(77).error().code, Errc::not_found);
  EXPECT_TRUE(unwrap(client().get("tied")).kvs.empty());
}

TEST_F(Calls, ManyRenewalsFromManyThreads) {
  constexpr int kThreads = 8;
  std::vector<std::jthread> threads;
  for (int i = 1; i <= kThreads; ++i) {
    unwrap(client().grant(seconds(60), i));
    threads.emplace_back([this, i] {
      for (int n = 0; n < 50; ++n) EXPECT_EQ(unwrap(client().renew(i)).ttl, seconds(60));
    });
  }
}

TEST_F(Calls, StopAndTimeout) {
  cluster_->pause(0);
  EXPECT_EQ(client().get("k", {.timeout = milliseconds(100)}).error().code, Errc::timed_out);
  EXPECT_EQ(client().put("k", "v", {.timeout = milliseconds(100)}).error().code,
            Errc::unknown_outcome);
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(milliseconds(50));
    stop.request_stop();
  });
  EXPECT_EQ(client().get("k", {.timeout = seconds(60), .stop = stop.get_token()}).error().code,
            Errc::cancelled);
  EXPECT_EQ(client().put("k", "v", {.stop = stop.get_token()}).error().code, Errc::cancelled)
      << "nothing is sent once stop is requested";
  cluster_->resume(0);
  unwrap(client().put("k", "v"));
}

TEST_F(Calls, Raw) {
  RawClient raw(client());
  etcdserverpb::PutRequest put;
  put.set_key("raw");
  put.set_value("v");
  unwrap(raw.call("/etcdserverpb.KV/Put", put.SerializeAsString(), CallKind::write));
  etcdserverpb::StatusResponse status;
  ASSERT_TRUE(status.ParseFromString(unwrap(raw.call_at(
      cluster_->endpoints()[0], "/etcdserverpb.Maintenance/Status", "", CallKind::read))));
  EXPECT_EQ(status.version().substr(0, 2), "3.");
  EXPECT_EQ(raw.call("/etcdserverpb.KV/NoSuch", "", CallKind::read).error().code, Errc::refused);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(raw.call_at("127.0.0.1:" + std::to_string(test::free_port()),
                        "/etcdserverpb.Maintenance/Status", "", CallKind::read)
                .error()
                .code,
            Errc::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(4)) << "not retried";
  EXPECT_EQ(raw.call_at("nonsense", "/x/y", "", CallKind::read).error().code,
            Errc::invalid_argument);
}

TEST_F(Calls, RawStreams) {
  RawClient raw(client());
  RawStream snapshot = unwrap(raw.open("/etcdserverpb.Maintenance/Snapshot"));
  snapshot.send("");
  snapshot.finish_sending();
  std::size_t bytes = 0;
  for (;;) {
    const std::optional<std::string> reply = unwrap(snapshot.next({}, seconds(20)));
    if (!reply) break;
    etcdserverpb::SnapshotResponse message;
    ASSERT_TRUE(message.ParseFromString(*reply));
    bytes += message.blob().size();
  }
  EXPECT_GT(bytes, 1000U);

  RawStream renewals =
      unwrap(raw.open_at(cluster_->endpoints()[0], "/etcdserverpb.Lease/LeaseKeepAlive"));
  EXPECT_EQ(renewals.next({}, milliseconds(20)).error().code, Errc::timed_out);
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(5);
  renewals.send(request.SerializeAsString());
  ASSERT_TRUE(unwrap(renewals.next({}, seconds(20))));
  cluster_->kill(0);
  const auto ended = renewals.next({}, seconds(20));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Errc::unavailable);
}

// More than waits in memory: the stream pauses, and goes on as the replies are taken.
TEST_F(Calls, ARawStreamWaitsForItsReader) {
  RawClient raw(client());
  const std::string value(1 << 20, 'v');
  for (int i = 0; i < 16; ++i) unwrap(client().put("big" + std::to_string(i), value));
  RawStream snapshot = unwrap(raw.open("/etcdserverpb.Maintenance/Snapshot"));
  snapshot.send("");
  snapshot.finish_sending();
  std::uint64_t received = 0;
  std::uint64_t total = 0;
  etcdserverpb::SnapshotResponse message;
  while (const std::optional<std::string> reply = unwrap(snapshot.next({}, seconds(20)))) {
    ASSERT_TRUE(message.ParseFromString(*reply));
    if (received == 0) {
      total = message.remaining_bytes() + message.blob().size();
      // What can come without being taken comes now.
      std::this_thread::sleep_for(milliseconds(200));
    }
    received += message.blob().size();
  }
  EXPECT_GT(total, 16U << 20);
  EXPECT_EQ(received, total + 32) << "and a SHA-256 at the end";
}

TEST(Connect, RefusesWhatCanNeverWork) {
  const auto malformed = Client::connect({.endpoints = {"127.0.0.1:1", "no port"}});
  ASSERT_FALSE(malformed);
  EXPECT_EQ(malformed.error().code, Errc::invalid_argument);
  EXPECT_NE(malformed.error().message.find("no port"), std::string::npos);
  EXPECT_EQ(Client::connect({.endpoints = {}}).error().code, Errc::invalid_argument);
  const auto no_file = Client::connect({.tls = {.ca_file = "/nonexistent/ca.pem"}});
  ASSERT_FALSE(no_file);
  EXPECT_EQ(no_file.error().code, Errc::io);
  EXPECT_NE(no_file.error().message.find("/nonexistent/ca.pem"), std::string::npos);
  EXPECT_EQ(Client::connect({.tls = {.cert_file = "a"}}).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace conclave
