// What the watchers of a stream are sent, and as what.

#include <map>

#include "tests/unit/replica/watch_streams_fixture.h"

namespace conclave::replica {
namespace {

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
  streams_.collect({11, 7, 3}, later(), out);
  ASSERT_EQ(out.size(), 1U);
  streams_.acknowledge(kStream);
  WatchCreateRequest request;
  request.set_key("a");
  request.set_start_revision(2);
  streams_.create(kStream, request);
  out.clear();
  streams_.collect({11, 7, 4}, later(), out);
  ASSERT_EQ(out.size(), 1U);
  for (const auto& message : out[0].batch.messages) {
    EXPECT_EQ(message.decode().header().raft_term(), 4U);
  }
}

TEST_F(WatchStreamsTest, KeysOfAllWatchersAreBoundedInBytes) {
  watch(std::string(60'000, 'a'), 0, 1);
  watch("a", 0, 2, std::string(60'000, 'b'));
  auto responses = read_all();
  ASSERT_EQ(responses.size(), 2U);
  EXPECT_FALSE(responses[0]->canceled());
  EXPECT_TRUE(responses[1]->canceled());
  EXPECT_EQ(responses[1]->cancel_reason(), api::kWatchTooLongKeys);
  streams_.cancel(kStream, 1);
  watch("a", 0, 2, std::string(60'000, 'b'));
  responses = read_all();
  ASSERT_EQ(responses.size(), 2U);
  EXPECT_FALSE(responses[1]->canceled());
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
    streams.collect({11, 7, 3}, later(), out);
    for (const auto& delivery : out) {
      for (const auto& message : delivery.batch.messages) {
        got[message.watch_id].push_back(std::make_shared<const WatchResponse>(message.decode()));
      }
      streams.acknowledge(kStream);
    }
  } while (streams.has_more() || streams.next_deadline());
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
