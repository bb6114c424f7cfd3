#include "conclave/replica/watch_streams.h"

#include <map>

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
  EXPECT_LE(unread.size(), std::size_t{kWindow}) << "more than the reader's window allows";
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

TEST_F(WatchStreamsTest, ManyChangesAtOnceStayWithinTheWindow) {
  watch("a");
  (void)read_all();
  for (int i = 0; i < 20 * kWindow; ++i) put("a", std::to_string(i));
  std::vector<WatchDelivery> out;
  streams_.collect({11, 7, 3}, out);
  EXPECT_EQ(out.size(), std::size_t{kWindow});
  streams_.request_progress(kStream);
  streams_.acknowledge(kStream, static_cast<int>(out.size()));
  int next = kWindow;
  const auto rest = read_all();
  for (const auto& response : rest) {
    for (const auto& event : response->events()) {
      EXPECT_EQ(event.kv().value(), std::to_string(next));
      ++next;
    }
  }
  EXPECT_EQ(next, 20 * kWindow);
  EXPECT_EQ(rest.back()->events_size(), 0) << "progress comes after what was held back";
}

TEST_F(WatchStreamsTest, FragmentsStayWithinTheWindow) {
  for (int i = 0; i < 100; ++i) put("key" + std::to_string(i), std::string(300, 'x'));
  WatchCreateRequest request;
  request.set_key("key");
  request.set_range_end("kez");
  request.set_prev_kv(true);
  request.set_fragment(true);
  streams_.create(kStream, std::move(request));
  (void)read_all();
  etcdserverpb::DeleteRangeRequest all;
  all.set_key("key");
  all.set_range_end("kez");
  auto applied = store_.delete_range(all);
  ASSERT_TRUE(applied);
  streams_.notify(applied->events);
  std::vector<WatchDelivery> out;
  streams_.collect({11, 7, 3}, out);
  EXPECT_EQ(out.size(), std::size_t{kWindow});
  streams_.acknowledge(kStream, static_cast<int>(out.size()));
  int events = 0;
  for (const WatchDelivery& delivery : out) events += delivery.response->events_size();
  const auto rest = read_all();
  for (const auto& response : rest) {
    EXPECT_EQ(response->fragment(), response != rest.back());
    events += response->events_size();
  }
  EXPECT_EQ(events, 100);
}

TEST_F(WatchStreamsTest, HoweverManyCatchUpOneRoundIsBounded) {
  constexpr int kStreams = 40;
  constexpr int kChanges = 300;
  for (int i = 0; i < kChanges; ++i) put("a", std::string(5000, 'x'));
  for (StreamId id = 2; id < 2 + kStreams; ++id) {
    streams_.open(id);
    WatchCreateRequest request;
    request.set_key("a");
    request.set_start_revision(2);
    streams_.create(id, std::move(request));
  }
  std::map<StreamId, int> events;
  int rounds = 0;
  do {
    std::vector<WatchDelivery> out;
    streams_.collect({11, 7, 3}, out);
    std::uint64_t bytes = 0;
    for (const WatchDelivery& delivery : out) {
      bytes += delivery.response->ByteSizeLong();
      events[delivery.stream] += delivery.response->events_size();
      streams_.acknowledge(delivery.stream, 1);
    }
    EXPECT_LT(bytes, std::uint64_t{8} << 20) << "writes wait until this is handed out";
    ++rounds;
  } while (streams_.has_more());
  EXPECT_GT(rounds, 5);
  ASSERT_EQ(events.size(), std::size_t{kStreams});
  for (const auto& [stream, count] : events) EXPECT_EQ(count, kChanges) << stream;
}

TEST_F(WatchStreamsTest, ACatchUpIsSplitBetweenRevisionsWhenPreviousValuesMakeItLarge) {
  for (int i = 0; i < 20; ++i) put("key" + std::to_string(i), std::string(500'000, 'x'));
  for (int i = 0; i < 20; ++i) {
    etcdserverpb::DeleteRangeRequest one;
    one.set_key("key" + std::to_string(i));
    auto applied = store_.delete_range(one);
    ASSERT_TRUE(applied);
    streams_.notify(applied->events);
  }
  WatchCreateRequest request;
  request.set_key("key");
  request.set_range_end("kez");
  request.set_start_revision(22);
  request.set_prev_kv(true);
  streams_.create(kStream, std::move(request));
  int events = 0;
  for (const auto& response : read_all()) {
    EXPECT_LT(response->ByteSizeLong(), (2U << 20) + 600'000U);  // a step, and one revision
    events += response->events_size();
  }
  EXPECT_EQ(events, 20);
}

TEST_F(WatchStreamsTest, AWatcherWhoseResponseCannotBeEncodedIsToldSo) {
  WatchStreams streams(store_, kWindow, /*fragment_bytes=*/1000, /*response_bytes_max=*/2000);
  put("a", std::string(1500, 'x'));
  put("a", "small");
  streams.open(kStream);
  WatchCreateRequest request;
  request.set_key("a");
  request.set_prev_kv(true);
  request.set_start_revision(2);
  for (const bool fragment : {false, true}) {
    request.set_fragment(fragment);
    streams.create(kStream, request);
  }
  put("a", std::string(1500, 'y'));
  put("a", std::string(1500, 'z'));
  std::map<std::int64_t, std::vector<std::shared_ptr<const WatchResponse>>> got;
  do {
    std::vector<WatchDelivery> out;
    streams.collect({11, 7, 3}, out);
    for (const auto& delivery : out) {
      got[delivery.response->watch_id()].push_back(delivery.response);
      streams.acknowledge(kStream, 1);
    }
  } while (streams.has_more());
  ASSERT_FALSE(got[0].empty());
  EXPECT_TRUE(got[0].back()->canceled());
  EXPECT_NE(got[0].back()->cancel_reason(), "");
  EXPECT_EQ(got[0].back()->events_size(), 0);
  int events = 0;
  for (const auto& response : got[1]) events += response->events_size();
  EXPECT_EQ(events, 4) << "one that asked for fragments gets it all";
  EXPECT_EQ(streams.watcher_count(), 1U);
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
