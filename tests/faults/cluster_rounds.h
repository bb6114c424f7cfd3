#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/faults/load.h"
#include "tests/support/conclave_cluster.h"

namespace conclave::test {

// The environment's CONCLAVE_LONG asks for as much as a night has time for.
inline bool is_long_run() {
  return std::getenv("CONCLAVE_LONG") != nullptr;  // NOLINT(concurrency-mt-unsafe)
}
inline int rounds(int usual, int in_long_run) {
  return is_long_run() ? in_long_run : usual;
}

inline std::string text_of(ConclaveCluster::Timers timers) {
  return std::to_string(timers.heartbeat_ms) + "/" + std::to_string(timers.election_ms) + " ms";
}

// Durations, and a line about them.
struct Times {
  std::vector<double> all_ms;

  double median_ms() const {
    std::vector<double> sorted = all_ms;
    std::ranges::sort(sorted);
    return sorted.empty() ? 0 : sorted[sorted.size() / 2];
  }
  double worst_ms() const { return all_ms.empty() ? 0 : *std::ranges::max_element(all_ms); }
  void print(const std::string& what, double unit_ms) const {
    std::printf("%s: median %.0f ms (%.2f election timeouts), worst %.0f ms (%.2f), of %zu\n",
                what.c_str(), median_ms(), median_ms() / unit_ms, worst_ms(), worst_ms() / unit_ms,
                all_ms.size());
    std::fflush(stdout);
  }
  // A few rounds say little of a median, so only the long run holds it against a promise.
  void expect_within(double median, double worst, double unit_ms) const {
    if (!is_long_run()) return;
    EXPECT_LE(median_ms(), median * unit_ms);
    EXPECT_LE(worst_ms(), worst * unit_ms);
  }
};

// How soon a leader is replaced, in election timeouts. A silent one is missed after one to two, by
// the first of two members, and an election may have to be held again.
constexpr double kSilentMedian = 1.6;
constexpr double kSilentWorst = 3;
// One that is deaf but heard is missed by nobody until it steps down itself, two of them later.
constexpr double kDeafMedian = 4;
constexpr double kDeafWorst = 5;

// Whatever becomes of that leader, each other member that runs answers whoever asks no other. When
// the first of them accepted a write: a client that has asked the leader waits for as long as it
// waits, and says nothing about an election.
inline std::int64_t expect_served_by_all_but(ConclaveCluster& cluster, std::size_t leader) {
  using std::chrono_literals::operator""s;
  std::atomic<std::int64_t> first = std::numeric_limits<std::int64_t>::max();
  const auto use = [&](std::size_t member) {
    EXPECT_TRUE(cluster.read(member, /*serializable=*/true, 2s)) << "member " << member;
    etcdserverpb::PutRequest put;
    put.set_key("each/" + std::to_string(member));
    const auto done =
        cluster.ask<etcdserverpb::PutResponse>(member, "/etcdserverpb.KV/Put", put, 20s);
    const std::int64_t now = steady_now_ns();
    EXPECT_TRUE(done) << "member " << member << ": " << done.error().message << "\n"
                      << cluster.last_words();
    std::int64_t before = first;
    while (done && now < before && !first.compare_exchange_weak(before, now)) {
    }
    const auto got = cluster.read(member, /*serializable=*/false, 20s);
    EXPECT_TRUE(got) << "member " << member << ": " << got.error().message;
    EXPECT_TRUE(!done || !got || got->header().revision() >= done->header().revision());
  };
  std::vector<std::jthread> users;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (i != leader && cluster.runs(i)) users.emplace_back(use, i);
  }
  users.clear();
  return first;
}

}  // namespace conclave::test
