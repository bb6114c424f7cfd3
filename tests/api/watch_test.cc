#include <string>

#include "tests/api/api_fixture.h"

namespace conclave::test {

CONCLAVE_API_SUITE(WatchTest);

TEST_P(WatchTest, SaysEachChangeOfItsKeysOnce) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a'"), "#0 @0 created");
  put("key: 'b' value: 'not mine'");
  put("key: 'a' value: '1'");
  EXPECT_EQ(watch->next(), "#0 @2 [put a=1{c2 m2 v1}]");
  put("key: 'a' value: '2'");
  del("key: 'a'");
  EXPECT_EQ(watch->next(), "#0 @3 [put a=2{c2 m3 v2}]");
  EXPECT_EQ(watch->next(), "#0 @4 [delete a={m4}]");
}

TEST_P(WatchTest, ARevisionIsOneResponseInTheOrderOfItsOperations) {
  put("key: 'a' value: '1'");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' range_end: 'z'"), "#0 @1 created");
  txn("success { request_put { key: 'c' } } success { request_delete_range { key: 'a' } }"
      "success { request_put { key: 'b' } }");
  EXPECT_EQ(watch->next(), "#0 @2 [put c={c2 m2 v1}, delete a={m2}, put b={c2 m2 v1}]");
}

TEST_P(WatchTest, IdsAreGivenOrCountedFromZero) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a'"), "#0 @0 created");
  EXPECT_EQ(watch->create("key: 'a'"), "#1 @0 created");
  EXPECT_EQ(watch->create("key: 'a' watch_id: 2"), "#2 @0 created");
  EXPECT_EQ(watch->create("key: 'a' watch_id: 9"), "#9 @0 created");
  EXPECT_EQ(watch->create("key: 'a'"), "#3 @0 created");
  EXPECT_EQ(watch->create("key: 'a' watch_id: 2"),
            "#-1 @0 created canceled \"mvcc: duplicate watch ID provided on the WatchStream\"");
  EXPECT_EQ(watch->create("key: 'a' watch_id: -5"), "#-5 @0 created");
}

TEST_P(WatchTest, RefusesAnEmptyRange) {
  const std::string refusal = "#-1 @0 created canceled \"mvcc: watcher range is empty\"";
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'b' range_end: 'a'"), refusal);
  EXPECT_EQ(watch->create("key: 'b' range_end: 'b'"), refusal);
  EXPECT_EQ(watch->create("key: 'b' range_end: '\\0'"), "#0 @0 created");
}

TEST_P(WatchTest, AnEmptyKeyIsTheLowestOne) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create(""), "#0 @0 created");
  EXPECT_EQ(watch->create("range_end: '\\0'"), "#1 @0 created");
  put("key: 'a'");
  EXPECT_EQ(watch->next(), "#1 @1 [put a={c1 m1 v1}]");
  EXPECT_EQ(watch->create("range_end: 'b'"), "#2 @1 created");
  put("key: '\\0'");
  std::string all;
  for (int i = 0; i < 3; ++i) all += watch->next().substr(0, 2);
  for (const char* id : {"#0", "#1", "#2"}) EXPECT_NE(all.find(id), std::string::npos) << all;
}

TEST_P(WatchTest, FiltersDropEvents) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' range_end: 'c' filters: NOPUT"), "#0 @0 created");
  EXPECT_EQ(watch->create("key: 'c' range_end: 'e' filters: NODELETE"), "#1 @0 created");
  EXPECT_EQ(watch->create("key: 'a' range_end: 'z' filters: NODELETE filters: NOPUT"),
            "#2 @0 created");
  put("key: 'a' value: '1'");
  txn("success { request_delete_range { key: 'a' } } success { request_put { key: 'b' } }");
  EXPECT_EQ(watch->next(), "#0 @2 [delete a={m2}]");
  put("key: 'c' value: '1'");
  EXPECT_EQ(watch->next(), "#1 @3 [put c=1{c3 m3 v1}]");
  del("key: 'c'");
  put("key: 'd' value: '1'");
  EXPECT_EQ(watch->next(), "#1 @5 [put d=1{c5 m5 v1}]");
}

TEST_P(WatchTest, PrevKvIsTheValueBeforeTheRevision) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' prev_kv: true"), "#0 @0 created");
  put("key: 'a' value: '1'");
  EXPECT_EQ(watch->next(), "#0 @1 [put a=1{c1 m1 v1}]");
  put("key: 'a' value: '2'");
  EXPECT_EQ(watch->next(), "#0 @2 [put a=2{c1 m2 v2} was a=1{c1 m1 v1}]");
  del("key: 'a'");
  EXPECT_EQ(watch->next(), "#0 @3 [delete a={m3} was a=2{c1 m2 v2}]");
  put("key: 'a' value: '3'");
  EXPECT_EQ(watch->next(), "#0 @4 [put a=3{c4 m4 v1}]");
}

TEST_P(WatchTest, CancelIsConfirmedAndEndsIt) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a'"), "#0 @0 created");
  EXPECT_EQ(watch->create("key: 'a' range_end: 'b'"), "#1 @0 created");
  watch->send("cancel_request { watch_id: 5 }");  // unknown: silence
  watch->send("cancel_request { watch_id: 0 }");
  EXPECT_EQ(watch->next(), "#0 @0 canceled");
  put("key: 'a' value: '1'");
  EXPECT_EQ(watch->next(), "#1 @1 [put a=1{c1 m1 v1}]");
  watch->send("cancel_request { watch_id: 0 }");
  put("key: 'a' value: '2'");
  EXPECT_EQ(watch->next(), "#1 @2 [put a=2{c1 m2 v2}]");
  EXPECT_EQ(watch->create("key: 'a' watch_id: 1"),
            "#-1 @2 created canceled \"mvcc: duplicate watch ID provided on the WatchStream\"");
}

TEST_P(WatchTest, ProgressOnRequestNamesNoWatch) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a'"), "#0 @0 created");
  EXPECT_EQ(watch->progress(), "#-1 @0");
  put("key: 'x'");
  EXPECT_EQ(watch->progress(), "#-1 @1");
}

TEST_P(WatchTest, ProgressOfAStreamWithoutWatches) {
  auto watch = this->watch();
  EXPECT_EQ(watch->progress(), "#-1 @0");
}

TEST_P(WatchTest, CatchesUpFromAnOldRevisionAndGoesOnLive) {
  put("key: 'a' value: '1'");
  put("key: 'b' value: '2'");
  put("key: 'a' value: '3'");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' start_revision: $1 prev_kv: true"), "#0 @3 created");
  // The past may come in one response, under the header of now.
  EXPECT_EQ(watch->next(), "#0 @3 [put a=1{c1 m1 v1}, put a=3{c1 m3 v2} was a=1{c1 m1 v1}]");
  put("key: 'a' value: '4'");
  EXPECT_EQ(watch->next(), "#0 @4 [put a=4{c1 m4 v3} was a=3{c1 m3 v2}]");
}

TEST_P(WatchTest, CatchingUpKeepsRevisionsWholeAndFilters) {
  txn("success { request_put { key: 'b' } } success { request_put { key: 'a' } }");
  del("key: 'b'");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' range_end: 'c' start_revision: $1"), "#0 @2 created");
  EXPECT_EQ(watch->next(), "#0 @2 [put b={c1 m1 v1}, put a={c1 m1 v1}, delete b={m2}]");
  EXPECT_EQ(watch->create("key: 'a' range_end: 'c' start_revision: $1 filters: NOPUT"),
            "#1 @2 created");
  EXPECT_EQ(watch->next(), "#1 @2 [delete b={m2}]");
  EXPECT_EQ(watch->create("key: 'a' range_end: 'c' start_revision: $2"), "#2 @2 created");
  EXPECT_EQ(watch->next(), "#2 @2 [delete b={m2}]");
}

TEST_P(WatchTest, AFutureStartBringsNothingBefore) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' start_revision: $3"), "#0 @0 created");
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2'");
  put("key: 'a' value: '3'");
  EXPECT_EQ(watch->next(), "#0 @3 [put a=3{c1 m3 v3}]");
}

TEST_P(WatchTest, ACompactedStartIsCreatedAndThenCancelled) {
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2'");
  put("key: 'a' value: '3'");
  compact("revision: $2");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' start_revision: $1"), "#0 @3 created");
  EXPECT_EQ(watch->next(), "#0 @- canceled compacted=2");
  EXPECT_EQ(watch->create("key: 'a' start_revision: $2"), "#1 @3 created");
  EXPECT_EQ(watch->next(), "#1 @3 [put a=2{c1 m2 v2}, put a=3{c1 m3 v3}]");
}

TEST_P(WatchTest, ACompactedOneKeepsItsIdUntilTheClientCancelsIt) {
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2'");
  compact("revision: $2");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' start_revision: $1 watch_id: 4"), "#4 @2 created");
  EXPECT_EQ(watch->next(), "#4 @- canceled compacted=2");
  EXPECT_EQ(watch->create("key: 'a' watch_id: 4"),
            "#-1 @2 created canceled \"mvcc: duplicate watch ID provided on the WatchStream\"");
  EXPECT_EQ(watch->progress(), "#-1 @2");
  watch->send("cancel_request { watch_id: 4 }");
  EXPECT_EQ(watch->next(), "#4 @2 canceled");
  EXPECT_EQ(watch->create("key: 'a' watch_id: 4"), "#4 @2 created");
}

TEST_P(WatchTest, AnEmptyRangeIsRefusedBeforeADuplicateId) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' watch_id: 4"), "#4 @0 created");
  EXPECT_EQ(watch->create("key: 'b' range_end: 'a' watch_id: 4"),
            "#-1 @0 created canceled \"mvcc: watcher range is empty\"");
}

// A delete with an open end meets no put in the check for duplicates.
TEST_P(WatchTest, ACreationHasNoPreviousValueThoughItsRevisionDeletedTheKey) {
  put("key: 'a' value: '1'");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' prev_kv: true"), "#0 @1 created");
  txn("success { request_delete_range { key: 'a' range_end: '\\0' } }"
      "success { request_put { key: 'a' value: '2' } }");
  EXPECT_EQ(watch->next(), "#0 @2 [delete a={m2} was a=1{c1 m1 v1}, put a=2{c2 m2 v1}]");
}

// However the past is cut into responses, it is whole, in order and goes over into the present.
TEST_P(WatchTest, CatchesUpOverALongHistory) {
  constexpr int kRevisions = 1500;
  for (int i = 1; i <= kRevisions; ++i) {
    put(i % 2 == 1 ? "key: 'a' value: 'odd'" : "key: 'b' value: 'even'");
  }
  WatchCall call(server().channel());
  call.send(parse<etcdserverpb::WatchRequest>(
      "create_request { key: 'a' range_end: 'c' start_revision: $1 }"));
  int next = 1;
  while (next <= kRevisions) {
    const auto response = call.next();
    ASSERT_TRUE(response) << "after revision " << next - 1;
    for (const auto& event : response->events()) {
      ASSERT_EQ(event.kv().mod_revision(), base() + next);
      ++next;
    }
    ASSERT_GE(response->header().revision(), base() + next - 1);
  }
  put("key: 'a'");
  const auto live = call.next();
  ASSERT_TRUE(live);
  EXPECT_EQ(live->events_size(), 1);
}

TEST_P(WatchTest, PrevKvThatIsCompactedIsLeftOut) {
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2'");
  put("key: 'a' value: '3'");
  compact("revision: $2");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' start_revision: $2 prev_kv: true"), "#0 @3 created");
  EXPECT_EQ(watch->next(), "#0 @3 [put a=2{c1 m2 v2}, put a=3{c1 m3 v3} was a=2{c1 m2 v2}]");
}

TEST_P(WatchTest, ANegativeStartIsRefused) {
  put("key: 'a' value: '1'");
  compact("revision: $1");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' start_revision: -1"),
            by_server("#-1 @1 created canceled \"etcdserver: mvcc: required revision has been "
                      "compacted\"",
                      "#0 @1 created", "3.5 began to refuse it at once"));
  if (GetParam() == ServerKind::etcd) {
    EXPECT_EQ(watch->next(), "#0 @- canceled compacted=1");
  }
}

TEST_P(WatchTest, FragmentsOnlyWhatAsksForIt) {
  const std::string value(700'000, 'x');
  for (const char* key : {"a", "b", "c"}) {
    put("key: '" + std::string(key) + "' value: '" + value + "'");
  }
  const std::string shown = "=" + printable(value);
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' range_end: 'z' start_revision: $1"), "#0 @3 created");
  EXPECT_EQ(watch->next(), "#0 @3 [put a" + shown + "{c1 m1 v1}, put b" + shown +
                               "{c2 m2 v1}, put c" + shown + "{c3 m3 v1}]");
  EXPECT_EQ(watch->create("key: 'a' range_end: 'z' start_revision: $1 fragment: true"),
            "#1 @3 created");
  EXPECT_EQ(watch->next(),
            "#1 @3 fragment [put a" + shown + "{c1 m1 v1}, put b" + shown + "{c2 m2 v1}]");
  EXPECT_EQ(watch->next(), "#1 @3 [put c" + shown + "{c3 m3 v1}]");
}

// As many bytes as a client may send with all that gRPC adds are not too many for one response.
TEST_P(WatchTest, FragmentsNothingBelowWhatARequestMayBe) {
  const std::string value(800 * 1024, 'x');
  put("key: 'a' value: '" + value + "'");
  put("key: 'b' value: '" + value + "'");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' range_end: 'z' prev_kv: true fragment: true"), "#0 @2 created");
  del("key: 'a' range_end: 'z'");
  const std::string shown = "=" + printable(value);
  EXPECT_EQ(watch->next(), "#0 @3 [delete a={m3} was a" + shown +
                               "{c1 m1 v1}, delete b={m3} was b" + shown + "{c2 m2 v1}]");
}

TEST_P(WatchTest, AClientThatCancelsTheCallIsTold) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a'"), "#0 @0 created");
  EXPECT_EQ(watch->cancel().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_P(WatchTest, CancellingAnUnknownIdIsSilence) {
  auto watch = this->watch();
  watch->send("cancel_request { watch_id: 5 }");
  watch->send("cancel_request { watch_id: -1 }");
  EXPECT_EQ(watch->create("key: 'a'"), "#0 @0 created");
}

TEST_P(WatchTest, AnIdIsFreeAgainOnceItIsCancelled) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' watch_id: 4"), "#4 @0 created");
  watch->send("cancel_request { watch_id: 4 }");
  EXPECT_EQ(watch->next(), "#4 @0 canceled");
  EXPECT_EQ(watch->create("key: 'b' watch_id: 4"), "#4 @0 created");
  put("key: 'a'");
  put("key: 'b'");
  EXPECT_EQ(watch->next(), "#4 @2 [put b={c2 m2 v1}]");
}

TEST_P(WatchTest, ARequestOfNoKindIsPassedOver) {
  auto watch = this->watch();
  watch->send("");
  EXPECT_EQ(watch->create("key: 'a'"), "#0 @0 created");
}

TEST_P(WatchTest, AnUnknownFilterFiltersNothing) {
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' filters: 9"), "#0 @0 created");
  put("key: 'a'");
  EXPECT_EQ(watch->next(), "#0 @1 [put a={c1 m1 v1}]");
}

TEST_P(WatchTest, StreamsHaveIdsOfTheirOwn) {
  auto one = this->watch();
  auto other = this->watch();
  EXPECT_EQ(one->create("key: 'a'"), "#0 @0 created");
  EXPECT_EQ(other->create("key: 'b'"), "#0 @0 created");
  put("key: 'b'");
  EXPECT_EQ(other->next(), "#0 @1 [put b={c1 m1 v1}]");
  EXPECT_EQ(one->progress(), "#-1 @1");
}

// 3.4 answers at once, whatever is still on its way.
TEST_P(WatchTest, ProgressIsToldOnlyOnceAllWatchesHaveCaughtUp) {
  if (GetParam() == ServerKind::etcd) return;
  constexpr int kRevisions = 3000;
  for (int i = 0; i < kRevisions; ++i) put("key: 'a'");
  WatchCall call(server().channel());
  call.send(parse<etcdserverpb::WatchRequest>("create_request { key: 'b' }"));
  call.send(parse<etcdserverpb::WatchRequest>("create_request { key: 'a' start_revision: $1 }"));
  call.send(parse<etcdserverpb::WatchRequest>("progress_request {}"));
  int events = 0;
  for (;;) {
    const auto response = call.next();
    ASSERT_TRUE(response);
    events += response->events_size();
    if (response->watch_id() != -1) continue;
    EXPECT_EQ(response->header().revision(), base() + kRevisions);
    break;
  }
  EXPECT_EQ(events, kRevisions);
}

TEST_P(WatchTest, ProgressIsToldNowAndThenToWhoAsksForIt) {
  use_fresh_server(
      {by_server("--watch-progress-notify-interval=1s",
                 "--experimental-watch-progress-notify-interval=1s", "3.6 renamed the flag")});
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'b'"), "#0 @1 created");
  EXPECT_EQ(watch->create("key: 'a' progress_notify: true"), "#1 @1 created");
  EXPECT_EQ(watch->next(), "#1 @1");
  put("key: 'x'");
  std::string told;
  EXPECT_TRUE(wait_until([&] { return (told = watch->next()) != "#1 @1"; }));
  EXPECT_EQ(told, "#1 @2");
}

}  // namespace conclave::test
