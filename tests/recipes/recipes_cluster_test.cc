// Lock and election on three members whose leader is killed again and again; on etcd's or on ours.

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/api/rpc.pb.h"
#include "conclave/client/client.h"
#include "conclave/client/raw.h"
#include "conclave/election/election.h"
#include "conclave/lock/mutex.h"

#include "tests/support/etcd_cluster.h"
#include "tests/support/process.h"

namespace conclave {
namespace {

using namespace std::chrono_literals;
using test::wait_until;

constexpr std::size_t kContenders = 4;
constexpr int kKills = 3;

// A turn, as its holder saw it.
struct Tenure {
  Instant begin;       // its handle was valid here,
  Instant last_valid;  // here, and therefore all the time between
  std::int64_t fence = 0;
};

// What the contenders did, all of them together.
class Ledger {
 public:
  void add(const Tenure& tenure) {
    const std::lock_guard lock(mutex_);
    tenures_.push_back(tenure);
  }
  void wrote(std::int64_t value) {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(written_.insert(value).second) << value << " was written twice";
  }
  void may_have_written() {
    const std::lock_guard lock(mutex_);
    ++unknown_;
  }
  std::size_t writes() const {
    const std::lock_guard lock(mutex_);
    return written_.size();
  }

  // `count` is the counter as it stands at the end.
  void check(std::int64_t count) {
    const std::lock_guard lock(mutex_);
    EXPECT_GE(count, static_cast<std::int64_t>(written_.size()));
    EXPECT_LE(count, static_cast<std::int64_t>(written_.size() + unknown_));
    std::ranges::sort(tenures_, {}, &Tenure::begin);
    for (std::size_t i = 1; i < tenures_.size(); ++i) {
      EXPECT_GT(tenures_[i].begin, tenures_[i - 1].last_valid)
          << "fences " << tenures_[i - 1].fence << " and " << tenures_[i].fence
          << " were valid together";
      EXPECT_GT(tenures_[i].fence, tenures_[i - 1].fence);
    }
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Tenure> tenures_;
  std::set<std::int64_t> written_;
  std::size_t unknown_ = 0;
};

class RecipesClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string binary = test::etcd_binary(CONCLAVE_PEERS_DIR);
    if (binary.empty()) GTEST_SKIP() << "no etcd in " CONCLAVE_PEERS_DIR;
    cluster_ = std::make_unique<test::EtcdCluster>(binary, 3);
    client_.emplace(connect());
    ASSERT_TRUE(wait_until([this] { return client_->get("ready").has_value(); }))
        << cluster_->log(0);
  }
  Client connect() {
    ClientOptions options;
    options.endpoints = cluster_->endpoints();
    options.request_timeout = 2s;
    return Client::connect(std::move(options)).value();
  }

  std::optional<std::size_t> leader() {
    const std::vector<std::string> endpoints = cluster_->endpoints();
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      const auto bytes = RawClient(*client_).call_at(
          endpoints[i], "/etcdserverpb.Maintenance/Status", "", CallKind::read);
      etcdserverpb::StatusResponse status;
      if (!bytes || !status.ParseFromString(*bytes)) continue;
      if (status.leader() == status.header().member_id()) return i;
    }
    return std::nullopt;
  }

  // Holds turns until stopped, and counts in each of them with a guarded write.
  template <class Acquire>
  void contend(Client& client, Ledger& ledger, Acquire acquire, const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      Result<Session> session = Session::open(client, {.ttl = 3s, .close_timeout = 200ms}, stop);
      if (!session) continue;
      while (session->valid() && !stop.stop_requested()) {
        auto turn = acquire(*session, stop);
        if (turn) hold(client, ledger, *turn, stop);
      }
    }
  }
  template <class Turn>
  static void hold(Client& client, Ledger& ledger, Turn& turn, const std::stop_token& stop) {
    Tenure tenure{.begin = BootClock::now(), .last_valid = {}, .fence = turn.revision()};
    tenure.last_valid = tenure.begin;
    if (!turn.valid()) return;
    for (int i = 0; i < 20 && !stop.stop_requested(); ++i) {
      const bool known = count_up(client, ledger, turn);
      std::this_thread::sleep_for(1ms);
      const Instant now = BootClock::now();
      if (!turn.valid()) break;
      tenure.last_valid = now;
      // A write that may still be on its way is excluded by the end of the turn alone.
      if (!known) break;
    }
    ledger.add(tenure);
  }
  // False: whether it was written is unknown.
  template <class Turn>
  static bool count_up(Client& client, Ledger& ledger, Turn& turn) {
    const Result<GetResult> got = client.get("count");
    if (!got) return true;
    const std::int64_t next = got->kvs.empty() ? 1 : std::stoll(got->kvs[0].value) + 1;
    const auto put = turn.txn().then(Put{.key = "count", .value = std::to_string(next)}).commit();
    if (put) ledger.wrote(next);
    if (put || put.error().code != Errc::unknown_outcome) return true;
    ledger.may_have_written();
    return false;
  }

  // Contenders at work while one leader after the other is killed and started again.
  template <class Acquire>
  void run(Acquire acquire) {
    std::vector<Client> clients;
    for (std::size_t i = 0; i < kContenders; ++i) clients.push_back(connect());
    Ledger ledger;
    {
      std::vector<std::jthread> contenders;
      for (std::size_t i = 0; i < kContenders; ++i) {
        contenders.emplace_back(
            [&, i](const std::stop_token& stop) { contend(clients[i], ledger, acquire, stop); });
      }
      for (int kill = 0; kill < kKills; ++kill) {
        const std::size_t before = ledger.writes();
        ASSERT_TRUE(wait_until([&] { return ledger.writes() >= before + 50; }, 60s));
        std::optional<std::size_t> victim;
        ASSERT_TRUE(wait_until([&] { return (victim = leader()).has_value(); }));
        cluster_->kill(*victim);
        const std::size_t killed_at = ledger.writes();
        EXPECT_TRUE(wait_until([&] { return ledger.writes() >= killed_at + 50; }, 60s))
            << "nobody went on without member " << *victim << "\n"
            << last_words();
        cluster_->start(*victim);
      }
    }
    const Result<GetResult> count = client_->get("count");
    ASSERT_TRUE(count) << count.error().message;
    ASSERT_FALSE(count->kvs.empty());
    ledger.check(std::stoll(count->kvs[0].value));
  }

  std::string last_words() const {
    constexpr std::size_t kBytes = 2000;
    std::string words;
    for (std::size_t i = 0; i < cluster_->size(); ++i) {
      if (!cluster_->runs(i)) continue;
      const std::string all = cluster_->log(i);
      words += "-- member " + std::to_string(i) + "\n" +
               all.substr(all.size() - std::min(all.size(), kBytes));
    }
    return words;
  }

  std::unique_ptr<test::EtcdCluster> cluster_;
  std::optional<Client> client_;
};

TEST_F(RecipesClusterTest, LocksExcludeWhileLeadersAreKilled) {
  run([](Session& session, const std::stop_token& stop) {
    return Mutex(session, "n").acquire(stop);
  });
}

TEST_F(RecipesClusterTest, OneLeadsWhileMembersAreKilled) {
  Client watching = connect();
  Observer observer = Election::observe(watching, "e");
  std::vector<std::int64_t> seen;
  {
    const std::jthread listener([&](const std::stop_token& stop) {
      while (const Result<LeaderChange> change = observer.next(stop)) {
        if (change->leader) seen.push_back(change->leader->fence.revision);
      }
    });
    run([](Session& session, const std::stop_token& stop) {
      return Election(session, "e").campaign("candidate", stop);
    });
  }
  EXPECT_GT(seen.size(), static_cast<std::size_t>(kKills));
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

}  // namespace
}  // namespace conclave
