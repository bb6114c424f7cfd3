#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <signal.h>

#include "conclave/client/client.h"
#include "conclave/election/election.h"
#include "conclave/lock/mutex.h"

#include "tests/support/etcd_cluster.h"
#include "tests/support/process.h"

namespace conclave {
namespace {

using namespace std::chrono_literals;

class RecipesEtcdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string binary = test::etcd_binary(CONCLAVE_PEERS_DIR);
    if (binary.empty()) GTEST_SKIP() << "no etcd in " CONCLAVE_PEERS_DIR;
    cluster_ = std::make_unique<test::EtcdCluster>(binary, test::cluster_size());
    client_.emplace(connect());
    ASSERT_TRUE(test::wait_until([this] { return client_->get("ready").has_value(); }))
        << cluster_->log(0);
  }
  Client connect() {
    ClientOptions options;
    options.endpoints = cluster_->endpoints();
    return Client::connect(std::move(options)).value();
  }
  std::unique_ptr<test::Process> etcdctl(std::vector<std::string> arguments) {
    std::vector<std::string> command{CONCLAVE_PEERS_DIR "/etcdctl",
                                     "--endpoints=" + cluster_->endpoints().front()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return std::make_unique<test::Process>(
        command, scratch_.path() / ("etcdctl-" + std::to_string(++started_)));
  }

  std::unique_ptr<test::EtcdCluster> cluster_;
  std::optional<Client> client_;
  test::TempDir scratch_;
  int started_ = 0;
};

TEST_F(RecipesEtcdTest, LocksExcludeAndFencesGrow) {
  Session session = Session::open(*client_).value();
  Session other = Session::open(*client_).value();
  Mutex mutex(session, "n");
  Mutex rival(other, "n");
  Lock lock = mutex.acquire().value();
  EXPECT_EQ(rival.try_acquire().error().code, Errc::would_block);
  EXPECT_EQ(rival.try_acquire_for(50ms).error().code, Errc::timed_out);
  EXPECT_EQ(Mutex::list(*client_, "n")->contenders.size(), 1U);
  EXPECT_TRUE(lock.txn().then(Put{.key = "x", .value = "1"}).commit());
  EXPECT_EQ(lock.txn().when(created_at("x", 1)).then(Put{.key = "x"}).commit().error().code,
            Errc::mismatch);
  EXPECT_TRUE(lock.release());
  EXPECT_EQ(lock.txn().then(Put{.key = "x", .value = "2"}).commit().error().code, Errc::not_held);
  EXPECT_GT(rival.try_acquire().value().fence(), lock.fence());
}

TEST_F(RecipesEtcdTest, ARevokedLeaseIsALostSession) {
  Session session = Session::open(*client_, {.ttl = 2s}).value();
  Lock lock = Mutex(session, "n").acquire().value();
  ASSERT_TRUE(client_->revoke(session.lease()));
  EXPECT_TRUE(test::wait_until([&] { return lock.lost().stop_requested(); }));
  EXPECT_FALSE(lock.valid());
}

TEST_F(RecipesEtcdTest, AKilledStoreIsALostSessionByItsOwnClock) {
  Session session = Session::open(*client_, {.ttl = 2s, .close_timeout = 200ms}).value();
  const Lock lock = Mutex(session, "n").acquire().value();
  for (std::size_t i = 0; i < cluster_->size(); ++i) cluster_->kill(i);
  EXPECT_TRUE(test::wait_until([&] { return lock.lost().stop_requested(); }));
  EXPECT_FALSE(lock.valid());
}

TEST_F(RecipesEtcdTest, EtcdctlWaitsForUsAndWeForIt) {
  Session session = Session::open(*client_).value();
  Mutex mutex(session, "n");
  Lock lock = mutex.acquire().value();
  auto theirs = etcdctl({"lock", "n"});
  ASSERT_TRUE(
      test::wait_until([&] { return Mutex::list(*client_, "n").value().contenders.size() == 2; }));
  EXPECT_EQ(theirs->output(), "");
  EXPECT_EQ(mutex.try_acquire().error().code, Errc::would_block);
  EXPECT_TRUE(lock.release());
  ASSERT_TRUE(test::wait_until([&] { return !theirs->output().empty(); }));
  EXPECT_EQ(mutex.try_acquire_for(100ms).error().code, Errc::timed_out);
  const QueueState queue = Mutex::list(*client_, "n").value();
  ASSERT_EQ(queue.contenders.size(), 1U);
  EXPECT_FALSE(queue.contenders[0].ours);
  theirs->kill(SIGINT);
  EXPECT_TRUE(mutex.try_acquire_for(30s));
}

TEST_F(RecipesEtcdTest, EtcdctlSeesOurLeaders) {
  Session session = Session::open(*client_).value();
  Election election(session, "e");
  auto listener = etcdctl({"elect", "-l", "e"});
  Observer observer = Election::observe(*client_, "e");
  EXPECT_FALSE(observer.next().value().leader);
  Leadership term = election.campaign("10.0.0.1:80").value();
  EXPECT_TRUE(test::wait_until(
      [&] { return listener->output().find("10.0.0.1:80") != std::string::npos; }));
  EXPECT_EQ(observer.next().value().leader->value, "10.0.0.1:80");
  EXPECT_TRUE(term.proclaim("10.0.0.1:81"));
  EXPECT_EQ(observer.next().value().leader->value, "10.0.0.1:81");
  auto rival = etcdctl({"elect", "e", "theirs"});
  ASSERT_TRUE(test::wait_until(
      [&] { return Election::list(*client_, "e").value().contenders.size() == 2; }));
  EXPECT_TRUE(term.resign());
  EXPECT_EQ(observer.next().value().leader->value, "theirs");
}

TEST_F(RecipesEtcdTest, ManyThreadsOfTwoClientsTakeTurns) {
  Client second = connect();
  Session one = Session::open(*client_).value();
  Session two = Session::open(second).value();
  int count = 0;  // by lock alone
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        Mutex mutex(i % 2 == 0 ? one : two, "n");
        for (int turn = 0; turn < 10; ++turn) {
          const Lock lock = mutex.acquire().value();
          ++count;
        }
      });
    }
  }
  EXPECT_EQ(count, 60);
  EXPECT_TRUE(Mutex::list(*client_, "n").value().contenders.empty());
}

}  // namespace
}  // namespace conclave
