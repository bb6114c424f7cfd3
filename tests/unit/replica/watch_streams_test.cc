#include "conclave/replica/watch_streams.h"

#include <map>

#include <gtest/gtest.h>

#include "tests/support/memory_storage.h"

namespace conclave::replica {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;

constexpr StreamId kStream = 1;
constexpr std::size_t kRound = 8;

WatchLimits limits() {
  WatchLimits limits;
  limits.round_responses = kRound;
  limits.fragment_bytes = 1000;
  limits.watchers_per_stream_max = 20;
  limits.streams_max = 50;
  return limits;
}

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
    } while (streams_.has_more());
    return responses;
  }
  // What the stream is given now.
  std::vector<api::WatchMessage> collect() {
    std::vector<WatchDelivery> out;
    streams_.collect({11, 7, 3}, out);
    EXPECT_LE(out.size(), 1U) << "one delivery a stream";
    if (out.empty()) return {};
    requests_taken_ += out.front().batch.requests_taken;
    return out.front().batch.messages;
  }

  test::MemoryStorage storage_;
  mvcc::Store store_;
  WatchStreams streams_;
  int requests_taken_ = 0;
};

TEST_F(WatchStreamsTest, CreatedComesFirstThenEventsWithTheirRevision) {
  watch("a");
  put("a", "1");
  put("b", "1");
  put("a", "2");
  auto responses = read_all();
  ASSERT_EQ(responses.size(), 2U);
  EXPECT_TRUE(responses[0]->created());
  EXPECT_EQ(responses[0]->watch_id(), 0);
  EXPECT_EQ(responses[0]->header().revision(), 1);
  EXPECT_EQ(responses[0]->header().raft_term(), 3U);
  ASSERT_EQ(responses[1]->events_size(), 2) << "what waited travels together";
  EXPECT_EQ(responses[1]->events(0).kv().value(), "1");
  EXPECT_EQ(responses[1]->events(1).kv().value(), "2");
  EXPECT_EQ(responses[1]->header().revision(), 4);
  put("a", "3");
  responses = read_all();
  ASSERT_EQ(responses.size(), 1U);
  EXPECT_EQ(responses[0]->header().revision(), 5);
  EXPECT_EQ(responses[0]->header().cluster_id(), 11U);
}

TEST_F(WatchStreamsTest, WatchersOfTheSameShareTheBytes) {
  for (int i = 0; i < 3; ++i) watch("a");
  watch("a", 0, 0, "b");
  (void)read_all();
  put("a", "1");
  put("a", "2");
  const auto messages = collect();
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[0].body, messages[1].body);
  EXPECT_EQ(messages[0].body, messages[2].body);
  EXPECT_EQ(messages[2].watch_id, 2);
  EXPECT_EQ(*messages[3].body, *messages[0].body);
  EXPECT_EQ(messages[0].encoded_id(), "");
  WatchResponse response;
  ASSERT_TRUE(response.ParseFromString(messages[2].encoded_id() + *messages[2].body));
  EXPECT_EQ(response.SerializeAsString(), messages[2].decode().SerializeAsString());
}

TEST_F(WatchStreamsTest, FiltersAndPreviousValuesAreNotShared) {
  put("a", "1");
  WatchCreateRequest request;
  request.set_key("a");
  streams_.create(kStream, request);
  request.set_prev_kv(true);
  streams_.create(kStream, request);
  request.add_filters(WatchCreateRequest::NOPUT);
  streams_.create(kStream, request);
  (void)read_all();
  put("a", "2");
  etcdserverpb::DeleteRangeRequest one;
  one.set_key("a");
  streams_.notify(store_.delete_range(one)->events);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 3U);
  EXPECT_FALSE(responses[0]->events(0).has_prev_kv());
  EXPECT_EQ(responses[1]->events(0).prev_kv().value(), "1");
  ASSERT_EQ(responses[2]->events_size(), 1);
  EXPECT_EQ(responses[2]->events(0).prev_kv().value(), "2");
}

TEST_F(WatchStreamsTest, AnOldTermIsNotSentAgain) {
  watch("a");
  watch("a");
  (void)read_all();
  put("a", "1");
  std::vector<WatchDelivery> out;
  streams_.collect({11, 7, 3}, out);
  ASSERT_EQ(out.size(), 1U);
  streams_.acknowledge(kStream);
  WatchCreateRequest request;
  request.set_key("a");
  request.set_start_revision(2);
  streams_.create(kStream, request);
  out.clear();
  streams_.collect({11, 7, 4}, out);
  ASSERT_EQ(out.size(), 1U);
  for (const auto& message : out[0].batch.messages) {
    EXPECT_EQ(message.decode().header().raft_term(), 4U);
  }
}

TEST_F(WatchStreamsTest, AfterARoundNothingComesBeforeItIsAcknowledged) {
  watch("a");
  EXPECT_EQ(collect().size(), 1U);
  put("a", "1");
  put("a", "2");
  EXPECT_TRUE(collect().empty());
  EXPECT_FALSE(streams_.has_more());
  streams_.acknowledge(kStream);
  const auto messages = collect();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].decode().events_size(), 2);
}

TEST_F(WatchStreamsTest, RequestsAreTakenWhileTheirAnswersHaveRoom) {
  for (int i = 0; i < 10; ++i) streams_.request_progress(kStream);
  streams_.cancel(kStream, 99);
  (void)collect();
  EXPECT_EQ(requests_taken_, 11);
  for (int i = 0; i < 200; ++i) watch("b", 0, 0, "a");
  (void)collect();
  EXPECT_EQ(requests_taken_, 11) << "the reader has not taken the round before";
  (void)read_all();
  EXPECT_EQ(requests_taken_, 211);
}

TEST_F(WatchStreamsTest, WatchersBeyondTheLimitAreRefusedWithTheReason) {
  for (int i = 0; i < 21; ++i) watch("a");
  auto responses = read_all();
  ASSERT_EQ(responses.size(), 21U);
  EXPECT_FALSE(responses[19]->canceled());
  EXPECT_TRUE(responses[20]->created() && responses[20]->canceled());
  EXPECT_EQ(responses[20]->watch_id(), -1);
  EXPECT_NE(responses[20]->cancel_reason().find("--max-watchers-per-stream"), std::string::npos);
  streams_.cancel(kStream, 3);
  watch("a");
  responses = read_all();
  ASSERT_EQ(responses.size(), 2U);
  EXPECT_FALSE(responses[1]->canceled());
}

TEST_F(WatchStreamsTest, StreamsBeyondTheLimitAreRefusedWithTheReason) {
  for (StreamId id = 2; id <= 52; ++id) streams_.open(id);
  WatchCreateRequest request;
  request.set_key("a");
  for (const StreamId id : {50, 51}) streams_.create(id, request);
  std::vector<WatchDelivery> out;
  streams_.collect({11, 7, 3}, out);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_FALSE(out[0].batch.messages.at(0).decode().canceled());
  const WatchResponse refused = out[1].batch.messages.at(0).decode();
  EXPECT_TRUE(refused.canceled());
  EXPECT_NE(refused.cancel_reason().find("--max-watch-streams"), std::string::npos);
  streams_.close(51);
  streams_.close(52);
  streams_.close(50);
  streams_.open(53);
  streams_.create(53, request);
  out.clear();
  streams_.collect({11, 7, 3}, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_FALSE(out[0].batch.messages.at(0).decode().canceled());
}

TEST_F(WatchStreamsTest, ProgressDoesNotWaitForAFutureStart) {
  put("a", "1");
  watch("a", 100);
  (void)read_all();
  streams_.request_progress(kStream);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 1U);
  EXPECT_EQ(responses[0]->watch_id(), -1);
  EXPECT_EQ(responses[0]->header().revision(), 2);
}

TEST_F(WatchStreamsTest, PeriodicProgressComesAfterAnIntervalWithoutEvents) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  const Instant start = Instant{} + std::chrono::hours(100);
  streams_.tick(start);
  WatchCreateRequest request;
  request.set_key("a");
  streams_.create(kStream, request);
  request.set_progress_notify(true);
  streams_.create(kStream, request);
  (void)read_all();
  streams_.tick(start + minutes(9));
  put("a", "1");
  EXPECT_EQ(read_all().size(), 2U);
  streams_.tick(start + minutes(11));
  EXPECT_TRUE(read_all().empty()) << "there was an event two minutes ago";
  streams_.tick(start + minutes(19));
  auto responses = read_all();
  ASSERT_EQ(responses.size(), 1U);
  EXPECT_EQ(responses[0]->watch_id(), 1);
  EXPECT_EQ(responses[0]->events_size(), 0);
  EXPECT_EQ(responses[0]->header().revision(), 2);
  // A reader that is behind is told once it has caught up.
  put("a", "2");
  EXPECT_EQ(collect().size(), 2U);
  streams_.tick(start + minutes(30));
  EXPECT_TRUE(collect().empty());
  streams_.acknowledge(kStream);
  streams_.tick(start + minutes(30) + seconds(1));
  EXPECT_EQ(read_all().size(), 1U);
  streams_.cancel(kStream, 1);
  (void)read_all();
  streams_.tick(start + minutes(60));
  EXPECT_TRUE(read_all().empty());
}

TEST_F(WatchStreamsTest, ManyStreamsShareTheRoomForRounds) {
  WatchLimits small = limits();
  small.round_bytes = 100'000;
  small.round_bytes_min = 1000;
  small.bytes_of_all_rounds = 200'000;
  WatchStreams streams(store_, small);
  for (int i = 0; i < 300; ++i) put("a", std::string(500, 'x'));
  constexpr StreamId kStreams = 20;
  WatchCreateRequest request;
  request.set_key("a");
  request.set_start_revision(2);
  for (StreamId id = 1; id <= kStreams; ++id) {
    streams.open(id);
    streams.create(id, request);
  }
  std::uint64_t bytes = 0;
  std::vector<WatchDelivery> out;
  do {
    streams.collect({11, 7, 3}, out);
  } while (streams.has_more());
  for (const auto& delivery : out) {
    for (const auto& message : delivery.batch.messages) bytes += message.body->size();
  }
  EXPECT_GT(bytes, 100'000U);
  EXPECT_LT(bytes, 250'000U) << "none of them reads";
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
  const auto unread = collect();
  EXPECT_LE(unread.size(), kRound);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(collect().empty());
  for (int i = 5000; i < 5100; ++i) put("a", std::to_string(i));
  streams_.acknowledge(kStream);
  int next = 0;
  const auto expect_next = [&next](const WatchResponse& response) {
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().value(), std::to_string(next));
      ++next;
    }
  };
  for (const auto& message : unread) expect_next(message.decode());
  for (const auto& response : read_all()) expect_next(*response);
  EXPECT_EQ(next, 5100);
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

TEST_F(WatchStreamsTest, ManyWatchersGetTheirTurnsInRounds) {
  for (int i = 0; i < 20; ++i) watch("a");
  (void)read_all();
  put("a", "1");
  std::map<std::int64_t, int> events;
  const auto count = [&events](const WatchResponse& response) {
    events[response.watch_id()] += response.events_size();
  };
  const auto first = collect();
  EXPECT_EQ(first.size(), kRound);
  for (const auto& message : first) count(message.decode());
  put("a", "2");
  streams_.request_progress(kStream);
  streams_.acknowledge(kStream);
  const auto rest = read_all();
  for (const auto& response : rest) count(*response);
  for (std::int64_t id = 0; id < 20; ++id) EXPECT_EQ(events[id], 2) << id;
  EXPECT_EQ(rest.back()->watch_id(), -1) << "progress comes after what was held back";
}

TEST_F(WatchStreamsTest, FragmentsStayWithinTheRound) {
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
  const auto round = collect();
  EXPECT_EQ(round.size(), kRound);
  streams_.acknowledge(kStream);
  int events = 0;
  for (const api::WatchMessage& message : round) events += message.decode().events_size();
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
      for (const api::WatchMessage& message : delivery.batch.messages) {
        bytes += message.body->size();
        events[delivery.stream] += message.decode().events_size();
      }
      streams_.acknowledge(delivery.stream);
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
  WatchLimits small = limits();
  small.response_bytes_max = 2000;
  WatchStreams streams(store_, small);
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
      for (const auto& message : delivery.batch.messages) {
        got[message.watch_id].push_back(std::make_shared<const WatchResponse>(message.decode()));
      }
      streams.acknowledge(kStream);
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
