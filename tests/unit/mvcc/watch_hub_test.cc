#include "conclave/mvcc/watch_hub.h"

#include "conclave/mvcc/event_encoding.h"

#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

using Seen = std::vector<std::string>;

class WatchHubTest : public ::testing::Test {
 protected:
  void put(const std::string& key, const std::string& value) {
    store.put(key, value);
    hub.notify(store.events.back());
  }
  void del(const std::string& key, const std::string& end = "") {
    store.del(key, end);
    hub.notify(store.events.back());
  }
  void add(WatcherId id, std::string key, std::string end = "", std::int64_t start = 0) {
    WatchSpec spec;
    spec.key = std::move(key);
    spec.range_end = std::move(end);
    spec.start_revision = start;
    hub.add(id, spec);
  }
  // "revision:key" of each event, and whether the delivery was a live one.
  static Seen seen(const WatchDelivery& delivery) {
    Seen all;
    for (const WatchPiece& piece : delivery.pieces) {
      for (const std::uint32_t i : piece.selected) {
        all.push_back(std::to_string(piece.events->revision) + ":" +
                      piece.events->events[i].kv().key());
      }
    }
    return all;
  }
  Seen take(WatcherId id) { return seen(hub.take(id, 100)); }
  etcdserverpb::WatchResponse decoded(const WatchDelivery& delivery, const WatchSpec& spec) {
    std::string bytes;
    for (const WatchPiece& piece : delivery.pieces) {
      bytes += encode_events(piece, spec, *store)->bytes;
    }
    etcdserverpb::WatchResponse response;
    EXPECT_TRUE(response.ParseFromString(bytes));
    return response;
  }

  StoreUnderTest store;
  WatchHub hub{*store, {.max_pending_revisions = 3, .max_step_revisions = 2}};
};

TEST_F(WatchHubTest, DeliversWhatIsNew) {
  put("a", "old");
  add(1, "a");
  add(2, "a", "c");
  EXPECT_TRUE(hub.take_ready().empty());
  put("a", "1");
  put("b", "1");
  put("z", "1");
  EXPECT_EQ(hub.take_ready(), (std::vector<WatcherId>{1, 2}));
  const auto delivery = hub.take(1, 100);
  EXPECT_EQ(seen(delivery), Seen{"3:a"});
  EXPECT_FALSE(delivery.caught_up_from_store);
  EXPECT_FALSE(delivery.more);
  EXPECT_EQ(take(2), (Seen{"3:a", "4:b"}));
  EXPECT_EQ(take(2), Seen{});
  EXPECT_EQ(take(99), Seen{});
}

TEST_F(WatchHubTest, AnnouncesAgainOnlyAfterEverythingWasTaken) {
  add(1, "a");
  put("a", "1");
  put("a", "2");
  EXPECT_EQ(hub.take_ready().size(), 1U);
  EXPECT_TRUE(hub.take(1, 1).more);
  put("a", "3");
  EXPECT_FALSE(hub.has_ready());
  EXPECT_TRUE(hub.take(1, 1).more);
  EXPECT_FALSE(hub.take(1, 1).more);
  put("a", "4");
  EXPECT_EQ(hub.take_ready(), std::vector<WatcherId>{1});
}

TEST_F(WatchHubTest, FiltersByKind) {
  WatchSpec spec;
  spec.key = "a";
  spec.no_put = true;
  hub.add(1, spec);
  spec.no_put = false;
  spec.no_delete = true;
  hub.add(2, spec);
  put("a", "1");
  del("a");
  EXPECT_EQ(take(1), Seen{"3:a"});
  EXPECT_EQ(take(2), Seen{"2:a"});
}

TEST_F(WatchHubTest, KeepsARevisionWhole) {
  add(1, "b", "d");
  for (const char* key : {"a", "b", "c", "d"}) put(key, "1");
  del("a", "z");
  ASSERT_TRUE(hub.remove(1));
  EXPECT_FALSE(hub.remove(1));
  add(2, "b", "d", 5);
  EXPECT_EQ(take(2), (Seen{"6:b", "6:c"}));
}

TEST_F(WatchHubTest, CatchesUpInStepsAndGoesOnLive) {
  for (int i = 0; i < 5; ++i) put("a", "1");  // 2 … 6
  add(1, "a", "", 3);
  EXPECT_EQ(hub.take_ready(), std::vector<WatcherId>{1});
  auto delivery = hub.take(1, 100);
  EXPECT_TRUE(delivery.caught_up_from_store);
  EXPECT_EQ(delivery.store_revision, 6);
  EXPECT_EQ(seen(delivery), (Seen{"3:a", "4:a"}));
  EXPECT_TRUE(delivery.more);
  put("a", "1");
  EXPECT_EQ(take(1), (Seen{"5:a", "6:a"}));
  EXPECT_EQ(take(1), Seen{"7:a"});
  put("a", "1");
  delivery = hub.take(1, 100);
  EXPECT_FALSE(delivery.caught_up_from_store);
  EXPECT_EQ(seen(delivery), Seen{"8:a"});
}

TEST_F(WatchHubTest, ACatchUpStepMayFindNothing) {
  for (int i = 0; i < 3; ++i) put("a", "1");
  put("b", "1");
  add(1, "b", "", 2);
  const auto delivery = hub.take(1, 100);
  EXPECT_TRUE(delivery.pieces.empty());
  EXPECT_TRUE(delivery.more);
  EXPECT_EQ(take(1), Seen{"5:b"});
}

TEST_F(WatchHubTest, WaitsForAFutureRevision) {
  add(1, "a", "", 4);
  put("a", "1");
  put("a", "2");
  EXPECT_FALSE(hub.has_ready());
  EXPECT_EQ(hub.progress_revision(1), 3);  // what comes next is its start
  put("a", "3");
  EXPECT_EQ(take(1), Seen{"4:a"});
}

TEST_F(WatchHubTest, ASlowConsumerFallsBackToTheStore) {
  add(1, "a");
  for (int i = 0; i < 8; ++i) put("a", "1");  // 2 … 9
  auto delivery = hub.take(1, 100);
  EXPECT_EQ(seen(delivery), (Seen{"2:a", "3:a", "4:a"}));
  EXPECT_FALSE(delivery.caught_up_from_store);
  EXPECT_TRUE(delivery.more);
  delivery = hub.take(1, 100);
  EXPECT_TRUE(delivery.caught_up_from_store);
  EXPECT_EQ(seen(delivery), (Seen{"5:a", "6:a"}));
  EXPECT_EQ(take(1), (Seen{"7:a", "8:a"}));
  EXPECT_EQ(take(1), Seen{"9:a"});
  EXPECT_EQ(hub.progress_revision(1), 9);
}

TEST_F(WatchHubTest, SaysThatItsStartIsCompacted) {
  for (int i = 0; i < 5; ++i) put("a", "1");
  ASSERT_TRUE(store->compact(compaction_request(4)));
  add(1, "a", "", 3);
  add(2, "a", "", 4);
  auto delivery = hub.take(1, 100);
  EXPECT_EQ(delivery.compact_revision, 4);
  EXPECT_TRUE(delivery.pieces.empty());
  EXPECT_FALSE(delivery.more);
  EXPECT_FALSE(hub.remove(1));
  EXPECT_EQ(take(2), (Seen{"4:a", "5:a"}));
  // Also in the middle of catching up.
  ASSERT_TRUE(store->compact(compaction_request(6)));
  put("a", "1");
  EXPECT_EQ(take(2), (Seen{"6:a", "7:a"}));
}

TEST_F(WatchHubTest, IsToldWhenCompactionOvertakesIt) {
  add(1, "a");
  for (int i = 0; i < 8; ++i) put("a", "1");
  ASSERT_TRUE(store->compact(compaction_request(9)));
  EXPECT_EQ(take(1).size(), 3U);  // these were kept for it
  EXPECT_EQ(hub.take(1, 100).compact_revision, 9);
}

TEST_F(WatchHubTest, ReplaysTheDeletionAtTheCompactRevision) {
  put("a", "1");
  del("a");
  put("b", "1");
  ASSERT_TRUE(store->compact(compaction_request(3)));
  store.compact_physically();
  add(1, "a", "", 3);
  const auto delivery = hub.take(1, 100);
  ASSERT_EQ(seen(delivery), Seen{"3:a"});
  EXPECT_EQ(delivery.pieces[0].events->events[0].type(), mvccpb::Event::DELETE);
  EXPECT_EQ(delivery.pieces[0].events->events[0].kv().mod_revision(), 3);
}

TEST_F(WatchHubTest, TellsProgressOnlyOfWhatWasTaken) {
  put("a", "1");
  add(1, "a");
  add(2, "a", "", 2);
  add(3, "a", "", 9);
  EXPECT_EQ(hub.progress_revision(1), 2);
  EXPECT_EQ(hub.progress_revision(2), std::nullopt);
  EXPECT_EQ(hub.progress_revision(3), std::nullopt);
  EXPECT_EQ(hub.progress_revision(4), std::nullopt);
  put("a", "2");
  EXPECT_EQ(hub.progress_revision(1), std::nullopt);
  take(1);
  take(2);
  EXPECT_EQ(hub.progress_revision(1), 3);
  EXPECT_EQ(hub.progress_revision(2), 3);
}

TEST_F(WatchHubTest, BetweenAChangeAndItsNoticeNothingIsLostOrRepeated) {
  add(1, "a");
  store.put("a", "1");
  add(2, "a");
  add(3, "a", "", 2);
  EXPECT_EQ(take(3), Seen{"2:a"});
  EXPECT_EQ(hub.progress_revision(1), 1);
  hub.notify(store.events.back());
  EXPECT_EQ(take(1), Seen{"2:a"});
  EXPECT_EQ(take(2), Seen{});
  EXPECT_EQ(take(3), Seen{});
}

TEST_F(WatchHubTest, SharesTheEvents) {
  add(1, "a");
  add(2, "a", kNoEnd);
  put("a", "1");
  const auto first = hub.take(1, 1);
  const auto second = hub.take(2, 1);
  EXPECT_EQ(first.pieces.at(0).events, second.pieces.at(0).events);
}

TEST_F(WatchHubTest, AppendsPreviousValuesOnRequest) {
  WatchSpec spec;
  spec.key = "a";
  hub.add(1, spec);
  spec.prev_kv = true;
  hub.add(2, spec);
  put("a", "1");
  put("a", "2");
  del("a");
  const auto events_of = [&](WatcherId id) { return decoded(hub.take(id, 10), *hub.spec(id)); };
  auto response = events_of(1);
  ASSERT_EQ(response.events_size(), 3);
  EXPECT_FALSE(response.events(1).has_prev_kv());
  ASSERT_TRUE(store->compact(compaction_request(3)));
  response = events_of(2);
  ASSERT_EQ(response.events_size(), 3);
  EXPECT_FALSE(response.events(0).has_prev_kv());  // it was created
  EXPECT_FALSE(response.events(1).has_prev_kv());  // revision 2 is compacted
  EXPECT_EQ(response.events(2).type(), mvccpb::Event::DELETE);
  EXPECT_EQ(response.events(2).prev_kv().value(), "2");
}

TEST_F(WatchHubTest, ACreationHasNoPreviousValueThoughItsRevisionDeletedTheKey) {
  WatchSpec spec;
  spec.key = "a";
  spec.prev_kv = true;
  hub.add(1, spec);
  put("a", "1");
  auto applied = store->txn(txn_request({}, {op(delete_request("a")), op(put_request("a", "2"))}),
                            StoreUnderTest::any_lease());
  ASSERT_TRUE(applied);
  hub.notify(applied->events);
  const auto response = decoded(hub.take(1, 10), spec);
  ASSERT_EQ(response.events_size(), 3);
  EXPECT_EQ(response.events(1).prev_kv().value(), "1");
  EXPECT_EQ(response.events(2).kv().version(), 1);
  EXPECT_FALSE(response.events(2).has_prev_kv());
}

TEST_F(WatchHubTest, EncodesAnEventOnceForAllWatchers) {
  WatchSpec spec;
  spec.key = "a";
  hub.add(1, spec);
  spec.range_end = kNoEnd;
  hub.add(2, spec);
  put("a", "1");
  const auto first = hub.take(1, 1);
  const auto second = hub.take(2, 1);
  EXPECT_EQ(encode_events(first.pieces.at(0), *hub.spec(1), *store),
            encode_events(second.pieces.at(0), *hub.spec(2), *store));
}

TEST_F(WatchHubTest, OfARevisionEachGetsItsPart) {
  WatchSpec spec;
  spec.key = "b";
  spec.prev_kv = true;
  hub.add(1, spec);
  spec.key = "a";
  spec.range_end = "c";
  hub.add(2, spec);
  for (const char* key : {"a", "b", "c"}) put(key, "1");
  (void)hub.take(1, 10);
  (void)hub.take(2, 10);
  del("a", "z");
  const auto whole = decoded(hub.take(2, 10), *hub.spec(2));
  const auto part = decoded(hub.take(1, 10), *hub.spec(1));
  ASSERT_EQ(whole.events_size(), 2);
  ASSERT_EQ(part.events_size(), 1);
  EXPECT_EQ(part.events(0).SerializeAsString(), whole.events(1).SerializeAsString());
  EXPECT_EQ(part.events(0).prev_kv().value(), "1");
}

TEST_F(WatchHubTest, WhatIsTooLargeToKeepIsEncodedForEach) {
  add(1, "a");
  put("a", std::string(3 << 20, 'x'));
  const auto delivery = hub.take(1, 1);
  const auto first = encode_events(delivery.pieces.at(0), *hub.spec(1), *store);
  const auto second = encode_events(delivery.pieces.at(0), *hub.spec(1), *store);
  EXPECT_NE(first, second);
  EXPECT_EQ(first->bytes, second->bytes);
}

TEST_F(WatchHubTest, WhatWaitsForAllTogetherIsBounded) {
  WatchHub small(*store, {.max_recent_bytes = 4000});
  WatchSpec spec;
  for (WatcherId id = 1; id <= 50; ++id) {
    spec.key = "key" + std::to_string(id);
    small.add(id, spec);
  }
  for (int i = 1; i <= 50; ++i) {
    store.put("key" + std::to_string(i), std::string(1000, 'x'));
    small.notify(store.events.back());
  }
  int from_store = 0;
  for (WatcherId id = 1; id <= 50; ++id) {
    Seen all;
    bool more = true;
    while (more) {
      const auto delivery = small.take(id, 10);
      from_store += delivery.caught_up_from_store && !delivery.pieces.empty() ? 1 : 0;
      for (const std::string& each : seen(delivery)) all.push_back(each);
      more = delivery.more;
    }
    EXPECT_EQ(all, Seen{std::to_string(id + 1) + ":key" + std::to_string(id)});
  }
  EXPECT_GE(from_store, 45) << "the newest revisions only are kept";
}

TEST_F(WatchHubTest, ThoseWhoCatchUpSideBySideShareWhatIsRead) {
  for (int i = 0; i < 3; ++i) put("a", "1");
  add(1, "a", "", 2);
  add(2, "a", "", 2);
  add(3, "a", "", 3);
  const auto first = hub.take(1, 100);
  const auto second = hub.take(2, 100);
  const auto third = hub.take(3, 100);
  ASSERT_EQ(seen(first), (Seen{"2:a", "3:a"}));
  EXPECT_EQ(first.pieces[0].events, second.pieces.at(0).events);
  ASSERT_EQ(seen(third), Seen{"3:a"}) << "as far as the page reaches";
  EXPECT_EQ(first.pieces[1].events, third.pieces.at(0).events);
}

TEST_F(WatchHubTest, WhatIsGivenBackComesAgain) {
  add(1, "a");
  for (int i = 0; i < 3; ++i) put("a", "1");
  auto delivery = hub.take(1, 100);
  ASSERT_EQ(seen(delivery), (Seen{"2:a", "3:a", "4:a"}));
  hub.give_back(1, 3);
  EXPECT_FALSE(hub.progress_revision(1));
  put("a", "1");
  EXPECT_EQ(take(1), (Seen{"3:a", "4:a"}));
  EXPECT_EQ(take(1), Seen{"5:a"});
  EXPECT_EQ(hub.progress_revision(1), 5);
  hub.give_back(99, 1);
}

TEST_F(WatchHubTest, ADeliveryIsBoundedInBytes) {
  add(1, "a");
  add(2, "a", "", 2);
  for (int i = 0; i < 3; ++i) put("a", std::string(1000, 'x'));
  EXPECT_EQ(seen(hub.take(1, 100, 500)), Seen{"2:a"});
  EXPECT_EQ(seen(hub.take(1, 100, 1500)), (Seen{"3:a", "4:a"}));
  EXPECT_EQ(seen(hub.take(2, 100, 500)), Seen{"2:a"});
}

TEST(EmptyRange, IsNoRangeToWatch) {
  EXPECT_TRUE(empty_range("b", "a"));
  EXPECT_TRUE(empty_range("b", "b"));
  EXPECT_FALSE(empty_range("b", ""));
  EXPECT_FALSE(empty_range("b", kNoEnd));
  EXPECT_FALSE(empty_range("b", "c"));
}

}  // namespace
}  // namespace conclave::mvcc::testing
