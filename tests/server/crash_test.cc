// kill -9 under load: what was acknowledged is there afterwards, again and again.

#include <atomic>
#include <map>
#include <mutex>

#include "conclave/base/random.h"

#include "tests/server/conclaved_fixture.h"

namespace conclave::test {
namespace {

class CrashTest : public ConclavedTest {};

// Writers that put growing numbers, each under keys of its own, until told to stop; and what they
// know.
class Writers {
 public:
  explicit Writers(const std::string& endpoint) {
    for (int writer = 0; writer < kWriters; ++writer) {
      threads_.emplace_back([this, writer, endpoint] { write(writer, endpoint); });
    }
  }
  ~Writers() { stop(); }

  void stop() {
    stopping_ = true;
    for (std::jthread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  int acknowledged() const { return acknowledged_count_; }
  // By key: the highest number acknowledged, and the highest ever sent.
  std::map<std::string, std::pair<int, int>> known() {
    const std::lock_guard guard(mutex_);
    return known_;
  }

  static constexpr int kWriters = 8;

 private:
  void write(int writer, const std::string& endpoint) {
    auto client = Client::connect({.endpoints = {endpoint}});
    ASSERT_TRUE(client);
    for (int number = 1; !stopping_; ++number) {
      const std::string key = "writer" + std::to_string(writer) + "/" + std::to_string(number % 5);
      {
        const std::lock_guard guard(mutex_);
        known_[key].second = number;
      }
      const auto put =
          client->put(key, std::to_string(number), {.timeout = std::chrono::milliseconds(500)});
      if (!put) continue;
      const std::lock_guard guard(mutex_);
      known_[key].first = number;
      ++acknowledged_count_;
    }
  }

  std::atomic<bool> stopping_{false};
  std::atomic<int> acknowledged_count_{0};
  std::mutex mutex_;
  std::map<std::string, std::pair<int, int>> known_;
  std::vector<std::jthread> threads_;
};

TEST_F(CrashTest, TwentyKillsUnderLoadLoseNothingAcknowledged) {
  Random random(20);
  std::map<std::string, std::pair<int, int>> expected;
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    start();
    {
      Client client = connect();
      for (const auto& [key, numbers] : expected) {
        const auto got = client.get(key);
        ASSERT_TRUE(got) << got.error().message;
        const int value = got->kvs.empty() ? 0 : std::stoi(got->kvs[0].value);
        EXPECT_GE(value, numbers.first) << key;
        EXPECT_LE(value, numbers.second) << key;
      }
      // The next round's numbers begin again.
      ASSERT_TRUE(client.erase(Delete{.key = "writer", .range_end = "writes"}));
    }
    Writers writers(endpoint());
    const int enough = 50 + static_cast<int>(random.below(300));
    ASSERT_TRUE(wait_until([&] { return writers.acknowledged() >= enough; }));
    kill_server();
    writers.stop();
    expected = writers.known();
  }
}

TEST_F(CrashTest, SigtermAnswersWhatIsUnderWayAndExitsWithZero) {
  start();
  Writers writers(endpoint());
  ASSERT_TRUE(wait_until([&] { return writers.acknowledged() >= 200; }));
  EXPECT_EQ(stop_server(), 0) << server_->output();
  writers.stop();
  start();
  Client client = connect();
  for (const auto& [key, numbers] : writers.known()) {
    const auto got = client.get(key);
    ASSERT_TRUE(got && (!got->kvs.empty() || numbers.first == 0)) << key;
    if (numbers.first > 0) {
      EXPECT_GE(std::stoi(got->kvs[0].value), numbers.first) << key;
    }
  }
}

}  // namespace
}  // namespace conclave::test
