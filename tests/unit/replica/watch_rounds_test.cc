// When streams are given something, how much at a time, and what bounds it.

#include <map>

#include "tests/unit/replica/watch_streams_fixture.h"

namespace conclave::replica {
namespace {

using WatchRoundsTest = WatchStreamsTest;

TEST_F(WatchRoundsTest, AfterARoundNothingComesBeforeItIsAcknowledged) {
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

TEST_F(WatchRoundsTest, RequestsAreTakenWhileTheirAnswersHaveRoom) {
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

TEST_F(WatchRoundsTest, WatchersBeyondTheLimitAreRefusedWithTheReason) {
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

TEST_F(WatchRoundsTest, StreamsBeyondTheLimitAreRefusedWithTheReason) {
  for (StreamId id = 2; id <= 52; ++id) streams_.open(id);
  WatchCreateRequest request;
  request.set_key("a");
  for (const StreamId id : {50, 51}) streams_.create(id, request);
  std::vector<WatchDelivery> out;
  streams_.collect({11, 7, 3}, later(), out);
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
  streams_.collect({11, 7, 3}, later(), out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_FALSE(out[0].batch.messages.at(0).decode().canceled());
}

TEST_F(WatchRoundsTest, ProgressDoesNotWaitForAFutureStart) {
  put("a", "1");
  watch("a", 100);
  (void)read_all();
  streams_.request_progress(kStream);
  const auto responses = read_all();
  ASSERT_EQ(responses.size(), 1U);
  EXPECT_EQ(responses[0]->watch_id(), -1);
  EXPECT_EQ(responses[0]->header().revision(), 2);
}

TEST_F(WatchRoundsTest, PeriodicProgressComesAfterAnIntervalWithoutEvents) {
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

TEST_F(WatchRoundsTest, ManyStreamsShareTheRoomForRounds) {
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
    streams.collect({11, 7, 3}, later(), out);
  } while (streams.has_more() || streams.next_deadline());
  for (const auto& delivery : out) {
    for (const auto& message : delivery.batch.messages) bytes += message.body->size();
  }
  EXPECT_GT(bytes, 100'000U);
  EXPECT_LT(bytes, 250'000U) << "none of them reads";
}

TEST_F(WatchRoundsTest, AReaderThatStopsMissesNothingAndCostsABound) {
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

TEST_F(WatchRoundsTest, ProgressIsToldWhenAllHaveCaughtUp) {
  for (int i = 0; i < 10; ++i) put("a", "x");
  watch("a", 2);
  streams_.request_progress(kStream);
  const auto responses = read_all();
  ASSERT_GE(responses.size(), 3U);
  EXPECT_EQ(responses.back()->watch_id(), -1);
  EXPECT_EQ(responses.back()->header().revision(), 11);
  EXPECT_EQ(responses.back()->events_size(), 0);
}

TEST_F(WatchRoundsTest, ManyWatchersGetTheirTurnsInRounds) {
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

TEST_F(WatchRoundsTest, FragmentsStayWithinTheRound) {
  for (int i = 0; i < 100; ++i) put("key" + std::to_string(i), std::string(300, 'x'));
  WatchCreateRequest request;
  request.set_key("key");
  request.set_range_end("kez");
  request.set_prev_kv(true);
  request.set_fragment(true);
  streams_.create(kStream, std::move(request));
  (void)read_all();
  erase("key", "kez");
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

TEST_F(WatchRoundsTest, HoweverManyCatchUpOneRoundIsBounded) {
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
    streams_.collect({11, 7, 3}, later(), out);
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
  } while (streams_.has_more() || streams_.next_deadline());
  EXPECT_GT(rounds, 5);
  ASSERT_EQ(events.size(), std::size_t{kStreams});
  for (const auto& [stream, count] : events) EXPECT_EQ(count, kChanges) << stream;
}

// A page of history that all share is looked through by each of them.
TEST_F(WatchRoundsTest, WhatIsLookedAtForNothingIsBoundedToo) {
  constexpr int kKeys = 5000;
  constexpr int kStreams = 40;
  constexpr int kWatchers = 20;
  for (int i = 0; i < kKeys; ++i) put("key" + std::to_string(i), "x");
  erase("key", "kez");
  for (StreamId id = 2; id < 2 + kStreams; ++id) {
    streams_.open(id);
    for (int i = 0; i < kWatchers; ++i) {
      WatchCreateRequest request;
      request.set_key("other" + std::to_string(i));
      request.set_start_revision(store_.current_revision());
      streams_.create(id, std::move(request));
    }
  }
  int rounds = 0;
  std::vector<WatchDelivery> out;
  do {
    out.clear();
    streams_.collect({11, 7, 3}, later(), out);
    for (const WatchDelivery& delivery : out) streams_.acknowledge(delivery.stream);
    ++rounds;
  } while (streams_.has_more() || streams_.next_deadline());
  constexpr int kEventsPerRound = 100'000;
  EXPECT_GT(rounds, kKeys * kStreams * kWatchers / kEventsPerRound);
}

// A writer that has the processor in between need not wait for all of it.
TEST_F(WatchRoundsTest, HistoryIsReadOnlyForAPartOfTheTime) {
  constexpr int kChanges = 20'000;
  for (int i = 0; i < kChanges; ++i) put("a", "x");
  watch("a", 2);
  watch("live");
  Instant now = later();
  int events = 0;
  const auto collect_now = [&] {
    std::vector<WatchDelivery> out;
    streams_.collect({11, 7, 3}, now, out);
    for (const WatchDelivery& delivery : out) {
      for (const api::WatchMessage& message : delivery.batch.messages) {
        const WatchResponse response = message.decode();
        if (response.watch_id() == 0) events += response.events_size();
      }
    }
    if (!out.empty()) streams_.acknowledge(kStream);
    return !out.empty();
  };
  while (collect_now()) {
  }
  EXPECT_GT(events, 0);
  EXPECT_LT(events, kChanges / 4) << "what may be read at once is bounded";
  EXPECT_FALSE(streams_.has_more()) << "nothing is to be done now";
  ASSERT_TRUE(streams_.next_deadline());
  EXPECT_GT(*streams_.next_deadline(), now);

  const Instant began = now;
  while (streams_.has_more() || streams_.next_deadline()) {
    if (!streams_.has_more()) now = *streams_.next_deadline();
    collect_now();
  }
  EXPECT_EQ(events, kChanges);
  EXPECT_GT(now - began, std::chrono::milliseconds(20));
  EXPECT_LT(now - began, std::chrono::milliseconds(500));
  put("live", "x");
  EXPECT_TRUE(collect_now());
}

TEST_F(WatchRoundsTest, AllWhoReadHistoryGetTheirTurns) {
  constexpr StreamId kStreams = 5;
  constexpr int kChanges = 400;
  // Each reads pages of its own, and each page is paid for with some time.
  for (int i = 0; i < kChanges; ++i) put("a", std::string(20'000, 'x'));
  for (StreamId id = 2; id < 2 + kStreams; ++id) {
    streams_.open(id);
    WatchCreateRequest request;
    request.set_key("a");
    request.set_start_revision(static_cast<std::int64_t>(id) * 10);
    streams_.create(id, std::move(request));
  }
  std::map<StreamId, int> rounds;
  Instant now = later();
  for (StreamId ended = 0; ended == 0;) {
    std::vector<WatchDelivery> out;
    streams_.collect({11, 7, 3}, now, out);
    for (const WatchDelivery& delivery : out) {
      for (const api::WatchMessage& message : delivery.batch.messages) {
        const WatchResponse response = message.decode();
        if (response.events_size() == 0) continue;
        ++rounds[delivery.stream];
        if (response.events(response.events_size() - 1).kv().mod_revision() == kChanges + 1) {
          ended = delivery.stream;
        }
      }
      streams_.acknowledge(delivery.stream);
    }
    // A collect() takes about as long as what it reads is counted as.
    now += std::chrono::milliseconds(20);
  }
  ASSERT_EQ(rounds.size(), kStreams);
  for (const auto& [stream, count] : rounds) EXPECT_GT(count, 1) << stream;
}

}  // namespace
}  // namespace conclave::replica
