#include "conclave/replica/watch_streams.h"

#include <gtest/gtest.h>

#include "tests/support/memory_storage.h"

namespace conclave::replica {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;

constexpr StreamId kStream = 1;
constexpr int kWindow = 8;

class WatchStreamsTest : public testing::Test {
 protected:
  WatchStreamsTest() : store_(storage_), streams_(store_, kWindow, /*fragment_bytes=*/1000) {
    streams_.open(kStream);
  }

  void put(const std::string& key, const std::string& value) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    auto applied = store_.put(request, [](std::int64_t) { return true; });
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
      std::vector<WatchDelivery> out;
      streams_.collect({11, 7, 3}, out);
      for (const WatchDelivery& delivery : out) responses.push_back(delivery.response);
      if (!out.empty()) streams_.acknowledge(kStream, static_cast<int>(out.size()));
    } while (streams_.has_more());
    return responses;
  }

  test::MemoryStorage storage_;
  mvcc::Store store_;
  WatchStreams streams_;
};

TEST_F(WatchStreamsTest, CreatedComesFirstThenEventsWithTheirRevision) {
  watch("a");
  put("a", "1");
  put("b", "1");
  put("a", "2");
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 3U);
  EXPECT_TRUE(responses[0]->created());
  EXPECT_EQ(responses[0]->watch_id(), 0);
  EXPECT_EQ(responses[0]->header().revision(), 1);
  EXPECT_EQ(responses[0]->header().raft_term(), 3U);
  EXPECT_EQ(responses[1]->events(0).kv().value(), "1");
  EXPECT_EQ(responses[1]->header().revision(), 2);
  EXPECT_EQ(responses[2]->header().revision(), 4);
}

TEST_F(WatchStreamsTest, IdsAreGivenInOrderAroundThoseThatWereChosen) {
  watch("a", 0, 1);
  watch("b");
  watch("c");
  watch("d", 0, 1);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 4U);
  EXPECT_EQ(responses[0]->watch_id(), 1);
  EXPECT_EQ(responses[1]->watch_id(), 0);
  EXPECT_EQ(responses[2]->watch_id(), 2);
  EXPECT_EQ(responses[3]->watch_id(), -1);
  EXPECT_TRUE(responses[3]->created() && responses[3]->canceled());
  EXPECT_EQ(responses[3]->cancel_reason(), "mvcc: duplicate watch ID provided on the WatchStream");
}

TEST_F(WatchStreamsTest, AnEmptyRangeIsCreatedAndCancelled) {
  watch("b", 0, 0, "a");
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 1U);
  EXPECT_TRUE(responses[0]->canceled());
  EXPECT_EQ(responses[0]->cancel_reason(), "mvcc: watcher range is empty");
}

TEST_F(WatchStreamsTest, OfSeveralRefusalsTheEmptyRangeIsGiven) {
  watch("a", 0, 2);
  watch("b", -1, 2, "a");
  watch("b", -1, 2);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 3U);
  EXPECT_EQ(responses[1]->cancel_reason(), "mvcc: watcher range is empty");
  EXPECT_EQ(responses[2]->cancel_reason(), "mvcc: duplicate watch ID provided on the WatchStream");
}

TEST_F(WatchStreamsTest, ACompactedWatchKeepsItsIdUntilItIsCancelled) {
  for (int i = 0; i < 5; ++i) put("a", "x");
  etcdserverpb::CompactionRequest compact;
  compact.set_revision(5);
  ASSERT_TRUE(store_.compact(compact));
  watch("a", 2, 7);
  ASSERT_EQ(read_all().size(), 2U);
  watch("a", 0, 7);
  streams_.cancel(kStream, 7);
  watch("a", 0, 7);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 3U);
  EXPECT_EQ(responses[0]->cancel_reason(), "mvcc: duplicate watch ID provided on the WatchStream");
  EXPECT_TRUE(responses[1]->canceled());
  EXPECT_EQ(responses[1]->watch_id(), 7);
  EXPECT_EQ(responses[1]->compact_revision(), 0);
  EXPECT_TRUE(responses[2]->created());
  EXPECT_FALSE(responses[2]->canceled());
}

TEST_F(WatchStreamsTest, ACompactedWatchDoesNotHoldUpProgress) {
  for (int i = 0; i < 5; ++i) put("a", "x");
  etcdserverpb::CompactionRequest compact;
  compact.set_revision(5);
  ASSERT_TRUE(store_.compact(compact));
  watch("a", 2);
  ASSERT_EQ(read_all().size(), 2U);
  streams_.request_progress(kStream);
  ASSERT_EQ(read_all().size(), 1U);
}

TEST_F(WatchStreamsTest, ACompactedStartIsCreatedAndThenCancelled) {
  for (int i = 0; i < 5; ++i) put("a", "x");
  etcdserverpb::CompactionRequest compact;
  compact.set_revision(5);
  ASSERT_TRUE(store_.compact(compact));
  watch("a", 2);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 2U);
  EXPECT_TRUE(responses[0]->created());
  EXPECT_FALSE(responses[0]->canceled());
  EXPECT_TRUE(responses[1]->canceled());
  EXPECT_EQ(responses[1]->compact_revision(), 5);
  EXPECT_EQ(responses[1]->header().revision(), 0);
  EXPECT_EQ(streams_.watcher_count(), 0U);
}

TEST_F(WatchStreamsTest, AReaderThatStopsMissesNothingAndCostsABound) {
  watch("a");
  (void)read_all();
  for (int i = 0; i < 5000; ++i) put("a", std::to_string(i));
  std::vector<WatchDelivery> unread;
  for (int i = 0; i < 10; ++i) streams_.collect({11, 7, 3}, unread);
  EXPECT_LT(unread.size(), 1500U) << "more was handed out than the reader's window allows";
  streams_.acknowledge(kStream, static_cast<int>(unread.size()));
  int next = 0;
  const auto expect_next = [&next](const WatchResponse& response) {
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().value(), std::to_string(next));
      ++next;
    }
  };
  for (const auto& delivery : unread) expect_next(*delivery.response);
  for (const auto& response : read_all()) expect_next(*response);
  EXPECT_EQ(next, 5000);
}

TEST_F(WatchStreamsTest, ProgressIsToldWhenAllHaveCaughtUp) {
  for (int i = 0; i < 10; ++i) put("a", "x");
  watch("a", 2);
  streams_.request_progress(kStream);
  const auto responses = read_all();
  ASSERT_GE(responses.size(), 3U);
  EXPECT_EQ(responses.back()->watch_id(), -1);
  EXPECT_EQ(responses.back()->header().revision(), 11);
  EXPECT_EQ(responses.back()->events_size(), 0);
}

TEST_F(WatchStreamsTest, ACancelledWatchIsConfirmedAndSilent) {
  watch("a");
  put("a", "1");
  streams_.cancel(kStream, 0);
  put("a", "2");
  streams_.cancel(kStream, 99);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 2U) << "an unknown id is met with silence";
  EXPECT_TRUE(responses[0]->created());
  EXPECT_TRUE(responses[1]->canceled());
}

TEST_F(WatchStreamsTest, LargeResponsesAreCutForThoseWhoAskForIt) {
  for (int i = 0; i < 10; ++i) put("key" + std::to_string(i), std::string(300, 'x'));
  WatchCreateRequest request;
  request.set_key("key");
  request.set_range_end("kez");
  request.set_start_revision(2);
  request.set_fragment(true);
  streams_.create(kStream, std::move(request));
  const auto responses = read_all();
  ASSERT_GT(responses.size(), 3U);
  int events = 0;
  for (std::size_t i = 1; i < responses.size(); ++i) {
    EXPECT_EQ(responses[i]->fragment(), i + 1 < responses.size());
    EXPECT_LE(responses[i]->ByteSizeLong(), 1100U);
    events += responses[i]->events_size();
  }
  EXPECT_EQ(events, 10);
}

TEST_F(WatchStreamsTest, PreviousValuesComeForThoseWhoAsk) {
  put("a", "1");
  WatchCreateRequest request;
  request.set_key("a");
  request.set_prev_kv(true);
  streams_.create(kStream, std::move(request));
  put("a", "2");
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 2U);
  EXPECT_EQ(responses[1]->events(0).prev_kv().value(), "1");
}

TEST_F(WatchStreamsTest, AClosedStreamGetsNothing) {
  watch("a");
  streams_.close(kStream);
  put("a", "1");
  EXPECT_TRUE(read_all().empty());
  EXPECT_EQ(streams_.watcher_count(), 0U);
}

}  // namespace
}  // namespace conclave::replica
