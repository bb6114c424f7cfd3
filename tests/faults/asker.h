#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/conclave_cluster.h"

namespace conclave::test {

// Asks a member that was cut off again and again for what only a leader with a quorum can say,
// until it is destroyed. An answer is a failure of the test.
class Asker {
 public:
  Asker(ConclaveCluster& cluster, std::size_t member, std::chrono::milliseconds patience)
      : cluster_(cluster), member_(member), patience_(patience) {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) ask();
    });
  }
  // Until so many have had no answer for the patience.
  bool wait_for(int questions) {
    return wait_until([&] { return asked_ >= questions; }, std::chrono::seconds(60));
  }

 private:
  void ask() {
    EXPECT_FALSE(cluster_.read(member_, /*serializable=*/false, patience_));
    etcdserverpb::PutRequest put;
    put.set_key("cut-off");
    EXPECT_FALSE(
        cluster_.ask<etcdserverpb::PutResponse>(member_, "/etcdserverpb.KV/Put", put, patience_));
    asked_ += 2;
  }

  ConclaveCluster& cluster_;
  const std::size_t member_;
  const std::chrono::milliseconds patience_;
  std::atomic<int> asked_ = 0;
  std::jthread thread_;
};

}  // namespace conclave::test
