#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/replica/watch_streams.h"

#include "tests/support/memory_storage.h"

namespace conclave::replica {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;

inline constexpr StreamId kStream = 1;
inline constexpr std::size_t kRound = 8;

inline WatchLimits limits() {
  WatchLimits limits;
  limits.round_responses = kRound;
  limits.fragment_bytes = 1000;
  limits.watchers_per_stream_max = 20;
  limits.streams_max = 50;
  limits.key_bytes_max = 100'000;
  return limits;
}

// The streams of a small store, one of them open.
class WatchStreamsTest : public testing::Test {
 protected:
  WatchStreamsTest() : store_(storage_), streams_(store_, limits()) { streams_.open(kStream); }

  void put(const std::string& key, const std::string& value) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    auto applied = store_.put(request, [](std::int64_t) { return true; });
    ASSERT_TRUE(applied);
    streams_.notify(applied->events);
  }
  void erase(const std::string& key, const std::string& range_end) {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(key);
    request.set_range_end(range_end);
    auto applied = store_.delete_range(request);
    ASSERT_TRUE(applied);
    streams_.notify(applied->events);
  }
  void watch(const std::string& key, std::int64_t start = 0, std::int64_t id = 0,
             const std::string& range_end = "") {
    WatchCreateRequest request;
    request.set_key(key);
    request.set_range_end(range_end);
    request.set_start_revision(start);
    request.set_watch_id(id);
    streams_.create(kStream, std::move(request));
  }
  // Everything the stream has for its reader, which reads all of it.
  std::vector<std::shared_ptr<const WatchResponse>> read_all() {
    std::vector<std::shared_ptr<const WatchResponse>> responses;
    do {
      for (const api::WatchMessage& message : collect()) {
        responses.push_back(std::make_shared<const WatchResponse>(message.decode()));
      }
      streams_.acknowledge(kStream);
    } while (streams_.has_more() || streams_.next_deadline());
    return responses;
  }
  // What the stream is given now.
  std::vector<api::WatchMessage> collect() {
    std::vector<WatchDelivery> out;
    streams_.collect({11, 7, 3}, later(), out);
    EXPECT_LE(out.size(), 1U) << "one delivery a stream";
    if (out.empty()) return {};
    requests_taken_ += out.front().batch.requests_taken;
    return out.front().batch.messages;
  }

  // A moment by which all that was read before has been paid for.
  Instant later() { return now_ += std::chrono::seconds(1); }

  Instant now_ = Instant{} + std::chrono::hours(1);
  test::MemoryStorage storage_;
  mvcc::Store store_;
  WatchStreams streams_;
  int requests_taken_ = 0;
};

}  // namespace conclave::replica
