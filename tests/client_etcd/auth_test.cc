#include <filesystem>

#include "tests/client_etcd/etcd_fixture.h"

namespace conclave {
namespace {

using std::chrono::seconds;

class Authentication : public EtcdFixture {
 protected:
  void SetUp() override {
    start(1);
    if (IsSkipped()) return;
    etcdctl({"user", "add", "root:rootpw"});
    etcdctl({"user", "grant-role", "root", "root"});
    etcdctl({"user", "add", "ann:secret"});
    etcdctl({"role", "add", "app"});
    etcdctl({"role", "grant-permission", "app", "readwrite", "app/", "app0"});
    etcdctl({"user", "grant-role", "ann", "app"});
    unwrap(client().put("other", "v"));
    etcdctl({"auth", "enable"});
  }

  void etcdctl(std::vector<std::string> arguments) {
    const auto binary =
        std::filesystem::path(test::etcd_binary(CONCLAVE_PEERS_DIR)).replace_filename("etcdctl");
    arguments.insert(arguments.begin(), {binary.string(), "--endpoints", cluster_->endpoints()[0]});
    test::Process process(arguments, directory_.path() / "etcdctl.log");
    ASSERT_EQ(process.wait(), 0) << process.output();
  }

  test::TempDir directory_;
};

TEST_F(Authentication, NeedsAUser) {
  EXPECT_EQ(client().get("app/k").error().code, Errc::permission_denied);
  connect({.user = "ann", .password = "wrong"});
  EXPECT_EQ(client().get("app/k").error().code, Errc::permission_denied);
  Watcher watcher = client().watch({.key = "app/k"});
  EXPECT_EQ(watcher.next({}, seconds(30)).error().code, Errc::permission_denied);
}

TEST_F(Authentication, OpensWhatTheUserMayUse) {
  connect({.user = "ann", .password = "secret"});
  unwrap(client().put("app/k", "v"));
  EXPECT_EQ(unwrap(client().get("app/k")).kvs.at(0).value, "v");
  EXPECT_EQ(client().put("other", "v").error(),
            (Error{Errc::permission_denied, "etcdserver: permission denied"}));
  Watcher mine = client().watch({.key = "app/", .range_end = prefix_end("app/")});
  EXPECT_EQ(unwrap(mine.next({}, seconds(30))).kind, WatchNotice::Kind::created);
  Watcher others = client().watch({.key = "other"});
  EXPECT_EQ(others.next({}, seconds(30)).error().code, Errc::permission_denied);
  unwrap(client().put("app/k", "w"));
  EXPECT_EQ(unwrap(mine.next({}, seconds(30))).events.at(0).kv.value, "w");
  unwrap(client().grant(seconds(60), 5));
  unwrap(client().renew(5));
}

// Its tokens live in the server's memory: after a restart it knows none of them.
TEST_F(Authentication, IsRepeatedWhenTheServerForgetsTheToken) {
  connect({.user = "ann", .password = "secret"});
  Watcher watcher = client().watch({.key = "app/k"});
  EXPECT_EQ(unwrap(watcher.next({}, seconds(30))).kind, WatchNotice::Kind::created);
  unwrap(client().put("app/k", "1"));
  EXPECT_EQ(unwrap(watcher.next({}, seconds(30))).events.at(0).kv.value, "1");
  cluster_->kill(0);
  cluster_->start(0);
  ASSERT_TRUE(test::wait_until([this] { return client().get("app/k").has_value(); }));
  unwrap(client().put("app/k", "2"));
  EXPECT_EQ(unwrap(watcher.next({}, seconds(30))).events.at(0).kv.value, "2");
}

}  // namespace
}  // namespace conclave
