#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/client/core.h"

#include "tests/support/fake_channel.h"
#include "tests/support/fake_executor.h"

namespace conclave::client {

inline constexpr auto kSecond = std::chrono::seconds(1);
inline constexpr int kUnavailable = 14;
inline constexpr int kDeadlineExceeded = 4;

inline CallStatus not_sent() {
  return {kUnavailable, "failed to connect to all addresses", false};
}
inline CallStatus lost() {
  return {kUnavailable, "Socket closed", true};
}

// A core whose servers, clock and loop are the test.
class CoreFixture : public ::testing::Test {
 protected:
  void open(std::vector<std::string> endpoints, Credentials credentials = {}) {
    auto opened = StoreCore::open(executor_, network_,
                                  {.endpoints = std::move(endpoints),
                                   .dial_timeout = 2 * kSecond,
                                   .credentials = std::move(credentials),
                                   .seed = 7});
    ASSERT_TRUE(opened);
    core_ = *std::move(opened);
  }

  Instant in(Duration time) const { return executor_.now() + time; }

  // Stores the one answer; a second one fails the test.
  template <class T>
  Store::Done<T> into(std::optional<Result<T>>& answer) {
    return [&answer](Result<T> result) {
      ASSERT_FALSE(answer.has_value()) << "answered twice";
      answer.emplace(std::move(result));
    };
  }

  test::FakeExecutor executor_;
  test::FakeNetwork network_{executor_};
  std::unique_ptr<StoreCore> core_;
};

}  // namespace conclave::client
