// Very many leases that end at once, while somebody else goes on writing.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/bytes.h"

#include "tests/faults/cluster_rounds.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kPrefix = "leased/";

// Puts a key again and again, and notes how long each took.
class Writer {
 public:
  explicit Writer(const std::vector<std::string>& endpoints)
      : client_(*Client::connect({.endpoints = endpoints})),
        thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) put();
        }) {}
  // Of the puts that ended after `begin_ns`.
  Times stop(std::int64_t begin_ns) {
    thread_.request_stop();
    thread_.join();
    Times times;
    for (const auto& [end_ns, taken_ms] : puts_) {
      if (end_ns >= begin_ns) times.all_ms.push_back(taken_ms);
    }
    return times;
  }

 private:
  void put() {
    const std::int64_t begin = steady_now_ns();
    const auto done = client_.put("beside", "x", {.timeout = 30s});
    EXPECT_TRUE(done) << done.error().message;
    const std::int64_t end = steady_now_ns();
    puts_.emplace_back(end, static_cast<double>(end - begin) / 1e6);
    std::this_thread::sleep_for(1ms);
  }

  Client client_;
  std::vector<std::pair<std::int64_t, double>> puts_;  // the thread's, until it is joined
  std::jthread thread_;
};

// Leases that are all granted for about the same end, each with a key of its own.
class Leases {
 public:
  Leases(const std::vector<std::string>& endpoints, int count, std::chrono::seconds until_end)
      : client_(*Client::connect({.endpoints = endpoints})),
        end_ns_(steady_now_ns() + until_end / 1ns),
        least_end_ns_(static_cast<std::size_t>(count)) {
    std::atomic<int> next = 0;
    std::vector<std::jthread> callers;
    for (int i = 0; i < 64; ++i) {
      callers.emplace_back([&] {
        for (int n = next++; n < count; n = next++) make(n);
      });
    }
  }

  // When the last of them has to be gone if each is at once.
  std::int64_t end_ns() const { return end_ns_ + 1'000'000'000; }
  // None is known to have lived shorter than it was granted for, if its key went at `gone_ns`.
  bool may_be_gone(const std::string& key, std::int64_t gone_ns) const {
    const auto number =
        static_cast<std::size_t>(std::stoul(key.substr(std::string(kPrefix).size())));
    constexpr std::int64_t kRounding_ns = 2'000'000;  // stamps are whole milliseconds
    return gone_ns + kRounding_ns >= least_end_ns_.at(number);
  }

 private:
  void make(int number) {
    const std::int64_t begin = steady_now_ns();
    // Whole seconds, rounded up: the ends lie within one second.
    const std::int64_t ttl_s = (end_ns_ - begin + 999'999'999) / 1'000'000'000;
    ASSERT_GT(ttl_s, 1) << "the grants took too long for leases to end together";
    const auto lease = client_.grant(std::chrono::seconds(ttl_s), 0, {.timeout = 30s});
    ASSERT_TRUE(lease) << lease.error().message;
    EXPECT_EQ(lease->ttl, std::chrono::seconds(ttl_s));
    least_end_ns_[static_cast<std::size_t>(number)] = begin + ttl_s * 1'000'000'000;
    const auto put =
        client_.put(Put{.key = kPrefix + std::to_string(number), .value = "x", .lease = lease->id},
                    {.timeout = 30s});
    ASSERT_TRUE(put) << put.error().message;
  }

  Client client_;
  const std::int64_t end_ns_;
  std::vector<std::int64_t> least_end_ns_;  // each caller's own elements
};

std::int64_t keys_at(ConclaveCluster& cluster, std::size_t member) {
  etcdserverpb::RangeRequest request;
  request.set_key(kPrefix);
  request.set_range_end(prefix_end(kPrefix));
  request.set_serializable(true);
  request.set_count_only(true);
  const auto got =
      cluster.ask<etcdserverpb::RangeResponse>(member, "/etcdserverpb.KV/Range", request);
  return got ? got->count() : -1;
}

int leases_at(ConclaveCluster& cluster, std::size_t member) {
  const auto told = cluster.ask<etcdserverpb::LeaseLeasesResponse>(
      member, "/etcdserverpb.Lease/LeaseLeases", etcdserverpb::LeaseLeasesRequest());
  return told ? told->leases_size() : -1;
}

TEST(ClusterLeases, ManyEndAtOnceWhileWritesGoOn) {
  const int count = rounds(5'000, 100'000);
  const std::chrono::seconds until_end{rounds(15, 120)};
  ConclaveCluster cluster(3);
  ASSERT_TRUE(cluster.wait_until_ready());
  const std::int64_t begin = steady_now_ns();
  const Leases leases(cluster.endpoints(), count, until_end);
  ASSERT_FALSE(HasFailure());
  std::printf("%d leases with a key each in %.1f s\n", count,
              static_cast<double>(steady_now_ns() - begin) / 1e9);
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    EXPECT_TRUE(wait_until([&] { return keys_at(cluster, i) == count; })) << "member " << i;
  }
  EXPECT_EQ(leases_at(cluster, 0), count);

  Writer writer(cluster.endpoints());
  Watcher watcher =
      cluster.client().watch({.key = kPrefix, .range_end = prefix_end(kPrefix), .no_put = true});
  int gone = 0;
  std::int64_t last_ns = 0;
  const std::int64_t watch_begin = steady_now_ns();
  while (gone < count) {
    const Result<WatchNotice> notice = watcher.next({}, 60s + until_end);
    ASSERT_TRUE(notice) << notice.error().message << " after " << gone << " ends";
    last_ns = steady_now_ns();
    for (const Event& event : notice->events) {
      ++gone;
      EXPECT_TRUE(leases.may_be_gone(event.kv.key, last_ns)) << event.kv.key << " went early";
    }
  }
  const Times during = writer.stop(std::max(watch_begin, leases.end_ns() - 1'000'000'000));
  during.print("puts while " + std::to_string(count) + " leases ended", 1000);
  const double late_ms = static_cast<double>(last_ns - leases.end_ns()) / 1e6;
  std::printf("the last was gone %.0f ms after its end\n", late_ms);
  EXPECT_LT(late_ms, 20'000);
  EXPECT_LT(during.worst_ms(), 5'000);
  EXPECT_EQ(gone, count) << "a key went twice";
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    EXPECT_TRUE(wait_until([&] { return keys_at(cluster, i) == 0; })) << "member " << i;
    EXPECT_TRUE(wait_until([&] { return leases_at(cluster, i) == 0; })) << "member " << i;
  }
  EXPECT_TRUE(cluster.wait_until_equal());
}

}  // namespace
}  // namespace conclave::test
