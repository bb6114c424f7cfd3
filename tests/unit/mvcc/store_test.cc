#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

using Changes = std::vector<LeaseChange>;

TEST(Store, CountsRevisions) {
  StoreUnderTest store;
  EXPECT_EQ(store->current_revision(), 1);
  for (int i = 0; i < 10; ++i) store.put("key" + std::to_string(i), "v");
  EXPECT_EQ(store.range(range_request("key0")).header().revision(), 11);
  EXPECT_EQ(store.keys(range_request("key2", "key6")),
            (std::vector<std::string>{"key2", "key3", "key4", "key5"}));
  EXPECT_EQ(store.range(range_request("key", "kez")).count(), 10);

  EXPECT_EQ(store.put("other", "v"), 12);
  auto kv = store.get("key3");
  EXPECT_EQ(kv.create_revision(), 5);
  EXPECT_EQ(kv.mod_revision(), 5);
  EXPECT_EQ(kv.version(), 1);

  EXPECT_EQ(store.put("key3", "v"), 13);  // the same value is a new version all the same
  kv = store.get("key3");
  EXPECT_EQ(kv.create_revision(), 5);
  EXPECT_EQ(kv.mod_revision(), 13);
  EXPECT_EQ(kv.version(), 2);

  EXPECT_EQ(store.del("key3"), 14);
  EXPECT_EQ(store.range(range_request("key3")).count(), 0);
  EXPECT_EQ(store.put("key3", "v"), 15);
  kv = store.get("key3");
  EXPECT_EQ(kv.create_revision(), 15);
  EXPECT_EQ(kv.version(), 1);
}

TEST(Store, DeletingNothingIsNoRevision) {
  StoreUnderTest store;
  store.put("a", "1");
  auto applied = store->delete_range(delete_request("b", "z"));
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->response.deleted(), 0);
  EXPECT_EQ(applied->response.header().revision(), 2);
  EXPECT_EQ(applied->events, nullptr);
  EXPECT_EQ(store->current_revision(), 2);
  EXPECT_EQ(store->pending_batch().writes.size(), 1U);
}

TEST(Store, DeletesARangeInOneRevision) {
  StoreUnderTest store;
  for (const char* key : {"a", "b", "c"}) store.put(key, key);
  auto request = delete_request("a", "c");
  request.set_prev_kv(true);
  auto applied = store->delete_range(request);
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->response.deleted(), 2);
  ASSERT_EQ(applied->response.prev_kvs_size(), 2);
  EXPECT_EQ(applied->response.prev_kvs(1).value(), "b");
  ASSERT_EQ(applied->events->events.size(), 2U);
  const auto& event = applied->events->events[0];
  EXPECT_EQ(event.type(), mvccpb::Event::DELETE);
  mvccpb::KeyValue expected;
  expected.set_key("a");
  expected.set_mod_revision(5);
  EXPECT_EQ(event.kv().SerializeAsString(), expected.SerializeAsString());
  EXPECT_EQ(store.keys(range_request("a", kNoEnd)), std::vector<std::string>{"c"});
}

TEST(Store, PutGivesBackTheOldOnRequest) {
  StoreUnderTest store;
  auto request = put_request("a", "1");
  request.set_prev_kv(true);
  auto applied = store->put(request, StoreUnderTest::any_lease());
  EXPECT_FALSE(applied->response.has_prev_kv());
  request.set_value("2");
  applied = store->put(request, StoreUnderTest::any_lease());
  EXPECT_EQ(applied->response.prev_kv().value(), "1");
  EXPECT_EQ(applied->response.header().revision(), 3);
  ASSERT_EQ(applied->events->events.size(), 1U);
  EXPECT_EQ(applied->events->events[0].kv().version(), 2);
  EXPECT_FALSE(applied->events->events[0].has_prev_kv());
  EXPECT_EQ(store->value_before("a", 3)->value(), "1");
  EXPECT_FALSE(store->value_before("a", 2));
}

TEST(Store, PutCanKeepValueOrLease) {
  StoreUnderTest store;
  auto request = put_request("a", "");
  request.set_ignore_value(true);
  EXPECT_EQ(store->put(request, StoreUnderTest::any_lease()).error(), api::Refusal::key_not_found);
  EXPECT_EQ(store->current_revision(), 1);
  store.put("a", "1", 5);
  store.commit();
  ASSERT_TRUE(store->put(request, StoreUnderTest::any_lease()));
  EXPECT_EQ(store.get("a").value(), "1");
  EXPECT_EQ(store.get("a").lease(), 0);
  store.put("a", "2", 6);
  request = put_request("a", "3");
  request.set_ignore_lease(true);
  ASSERT_TRUE(store->put(request, StoreUnderTest::any_lease()));
  EXPECT_EQ(store.get("a").value(), "3");
  EXPECT_EQ(store.get("a").lease(), 6);
}

TEST(Store, ChecksTheLease) {
  StoreUnderTest store;
  const LeaseChecker only_5 = [](std::int64_t id) { return id == 5; };
  EXPECT_EQ(store->put(put_request("a", "1", 4), only_5).error(), api::Refusal::lease_not_found);
  EXPECT_EQ(store->current_revision(), 1);
  EXPECT_TRUE(store->put(put_request("a", "1", 5), only_5));
}

TEST(Store, TellsTheLeasesOfTheirKeys) {
  StoreUnderTest store;
  const auto leases = StoreUnderTest::any_lease();
  EXPECT_EQ(store->put(put_request("a", "1"), leases)->lease_changes, Changes{});
  EXPECT_EQ(store->put(put_request("a", "1", 5), leases)->lease_changes, (Changes{{"a", 0, 5}}));
  EXPECT_EQ(store->put(put_request("a", "2", 5), leases)->lease_changes, Changes{});
  EXPECT_EQ(store->put(put_request("a", "2", 6), leases)->lease_changes, (Changes{{"a", 5, 6}}));
  EXPECT_EQ(store->put(put_request("a", "2"), leases)->lease_changes, (Changes{{"a", 6, 0}}));
  store.put("a", "1", 7);
  EXPECT_EQ(store->delete_range(delete_request("a"))->lease_changes, (Changes{{"a", 7, 0}}));
  store.put("b", "1", 8);
  store.put("c", "1", 8);
  store.put("d", "1");
  store.commit();
  store.restart();
  std::vector<std::pair<std::int64_t, std::string>> attached;
  store->visit_attached(
      [&](std::int64_t id, std::string_view key) { attached.emplace_back(id, key); });
  EXPECT_EQ(attached, (std::vector<std::pair<std::int64_t, std::string>>{{8, "b"}, {8, "c"}}));
}

TEST(Store, DeletesALeasesKeysInOneRevision) {
  StoreUnderTest store;
  store.put("a", "1", 5);
  store.put("b", "1", 5);
  const std::vector<std::string> keys{"a", "absent", "b"};
  auto applied = store->delete_keys(keys);
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->response.deleted(), 2);
  EXPECT_EQ(applied->events->revision, 4);
  EXPECT_EQ(applied->events->events.size(), 2U);
  applied = store->delete_keys(keys);
  EXPECT_EQ(applied->events, nullptr);
  EXPECT_EQ(store->current_revision(), 4);
}

TEST(Store, CompactsOnlyForward) {
  StoreUnderTest store;
  EXPECT_EQ(store->compact(compaction_request(-1)).error(), api::Refusal::compacted);
  EXPECT_TRUE(store->compact(compaction_request(0)));  // the first one may be of nothing
  EXPECT_EQ(store->compact(compaction_request(0)).error(), api::Refusal::compacted);
  store.put("a", "1");
  EXPECT_EQ(store->compact(compaction_request(3)).error(), api::Refusal::future_revision);
  auto reply = store->compact(compaction_request(2));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->header().revision(), 2);
  EXPECT_EQ(store->compact(compaction_request(2)).error(), api::Refusal::compacted);
}

TEST(Store, CompactionKeepsWhatIsNeeded) {
  StoreUnderTest store;
  store.put("a", "1");
  store.put("a", "2");
  store.put("b", "1");
  store.del("b");
  store.commit();
  ASSERT_TRUE(store->compact(compaction_request(5)));
  EXPECT_FALSE(store->value_before("a", 3));  // compacted, though still stored
  EXPECT_EQ(store->compaction_step(1), 1U);
  EXPECT_TRUE(store->compaction_pending());
  store.compact_physically();
  EXPECT_EQ(store.storage.record_count(), 2U);  // a's value, and the deletion of b at 5
  EXPECT_EQ(store.get("a", 5).value(), "2");
  auto page = store->events_from(5, 10, 1 << 20);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->revisions.size(), 1U);
  EXPECT_EQ(page->revisions[0]->events[0].type(), mvccpb::Event::DELETE);
  EXPECT_EQ(page->next, 6);

  store.put("a", "3");
  ASSERT_TRUE(store->compact(compaction_request(6)));
  store.compact_physically();
  EXPECT_EQ(store.storage.record_count(), 1U);
  EXPECT_EQ(store->key_count(), 1U);
}

TEST(Store, KeepsItsRevisionWhenNoKeyIsLeft) {
  StoreUnderTest store;
  store.put("a", "1");
  store.del("a");
  ASSERT_TRUE(store->compact(compaction_request(3)));
  store.commit();
  store.compact_physically();
  store.put("b", "1");
  store.del("b");
  ASSERT_TRUE(store->compact(compaction_request(5)));
  store.compact_physically();
  store.restart();
  EXPECT_EQ(store->current_revision(), 5);
  EXPECT_EQ(store->compact_revision(), 5);
}

TEST(Store, ResumesAnInterruptedCompaction) {
  StoreUnderTest store;
  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(i % 5), "v");
  store.del("k0");
  store.put("z", "v");
  ASSERT_TRUE(store->compact(compaction_request(store->current_revision())));
  store->compaction_step(3);
  store.commit();
  store.restart();
  EXPECT_TRUE(store->compaction_pending());
  store.compact_physically();
  EXPECT_EQ(store.storage.record_count(), 5U);
}

TEST(Store, ReadsUncommittedAndCommittedAlike) {
  StoreUnderTest store;
  store.put("a", "1");
  const auto first = store->take_batch();
  store.put("a", "2");
  const auto second = store->take_batch();
  store.put("a", "3");
  const auto expect_all = [&] {
    EXPECT_EQ(store.get("a", 2).value(), "1");
    EXPECT_EQ(store.get("a", 3).value(), "2");
    EXPECT_EQ(store.get("a").value(), "3");
    EXPECT_EQ(store->events_from(2, 10, 1 << 20)->revisions.size(), 3U);
  };
  expect_all();
  ASSERT_TRUE(store.storage.commit(*first));
  expect_all();
  store->batch_committed();
  expect_all();
  ASSERT_TRUE(store.storage.commit(*second));
  store->batch_committed();
  expect_all();
  EXPECT_EQ(store->uncommitted_bytes(), store->pending_batch().byte_count);
  // What was not committed does not survive.
  store.restart();
  EXPECT_EQ(store->current_revision(), 3);
  EXPECT_EQ(store.get("a").value(), "2");
}

TEST(Store, PutsTheOwnersWritesIntoTheSameBatch) {
  StoreUnderTest store;
  store.put("a", "1");
  store->add_write({Table::meta, "applied", "7"});
  const auto batch = store->take_batch();
  ASSERT_EQ(batch->writes.size(), 2U);
  EXPECT_EQ(batch->writes[1].key, "applied");
  EXPECT_EQ(store->take_batch(), nullptr);
}

TEST(Store, PagesThroughEvents) {
  StoreUnderTest store;
  for (int i = 0; i < 6; ++i) {
    store.put("a", "0123456789");
    if (i == 2) store.commit();
  }
  auto page = store->events_from(2, 4, 1 << 20);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->revisions.size(), 4U);
  EXPECT_EQ(page->next, 6);
  page = store->events_from(3, 10, 1);
  EXPECT_EQ(page->revisions.size(), 1U);
  EXPECT_EQ(page->next, 4);
  page = store->events_from(9, 10, 1 << 20);
  EXPECT_TRUE(page->revisions.empty());
  EXPECT_EQ(page->next, 9);
  ASSERT_TRUE(store->compact(compaction_request(5)));
  EXPECT_EQ(store->events_from(4, 10, 1 << 20).error(), api::Refusal::compacted);
}

TEST(Store, AFailedReadIsFinal) {
  StoreUnderTest store;
  store.put("a", "1");
  store.commit();
  store.storage.failing = true;
  store.put("b", "1");
  EXPECT_EQ(store->range(range_request("a")).error(), api::Refusal::corrupt);
  ASSERT_TRUE(store->failure());
  EXPECT_EQ(store->failure()->code, Errc::io);
  EXPECT_EQ(store->take_batch(), nullptr);
}

TEST(Store, AFailedReadInATransactionIsFinal) {
  StoreUnderTest store;
  store.put("a", "1");
  store.commit();
  store.storage.failing = true;
  const auto request = txn_request({}, {op(put_request("b", "1")), op(range_request("a"))});
  EXPECT_EQ(store->txn(request, StoreUnderTest::any_lease()).error(), api::Refusal::corrupt);
  EXPECT_EQ(store->take_batch(), nullptr);
}

TEST(Store, RefusesToLoadWhatItCannotRead) {
  MemoryStorage storage;
  storage.put_raw(Table::records, "not a revision", "");
  EXPECT_EQ(Store(storage).load().error().code, Errc::corrupt);
  MemoryStorage other;
  other.put_raw(Table::records, record_key({2, 0}, false), "\xff\xff");
  EXPECT_EQ(Store(other).load().error().code, Errc::corrupt);
  MemoryStorage without_records;
  Batch batch;
  {
    StoreUnderTest store;
    store.put("a", "1");
    ASSERT_TRUE(store->compact(compaction_request(2)));
    batch = store->pending_batch();
  }
  std::erase_if(batch.writes, [](const Write& write) { return write.table == Table::records; });
  ASSERT_TRUE(without_records.commit(batch));
  EXPECT_EQ(Store(without_records).load().error().code, Errc::corrupt);
}

}  // namespace
}  // namespace conclave::mvcc::testing
