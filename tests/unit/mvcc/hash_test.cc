#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

std::uint32_t hash(StoreUnderTest& store, std::int64_t revision = 0) {
  auto reply = store->hash_kv(revision);
  EXPECT_TRUE(reply);
  return reply ? reply->hash() : 0;
}

// The numbers are what etcd 3.4.23 answers for the same history.
TEST(Hash, EqualsEtcds) {
  StoreUnderTest store;
  EXPECT_EQ(hash(store), 1084519789U);
  store.put("a", "1");
  EXPECT_EQ(hash(store), 2587454935U);
  store.put("a", "2");
  store.commit();  // where the records are makes no difference
  store.put("b", "9");
  EXPECT_EQ(hash(store), 3921908721U);
  store.del("a");
  EXPECT_EQ(hash(store), 4147084260U);
  store.put("a", "3");
  store.put("c", "1");
  ASSERT_TRUE(store->txn(txn_request({}, {op(put_request("d", "4")), op(put_request("e", "5"))}),
                         StoreUnderTest::any_lease()));
  store.del("c");
  store.put("f", "l", 77);
  EXPECT_EQ(hash(store), 2064009409U);
  EXPECT_EQ(hash(store, 4), 3921908721U);
  EXPECT_EQ(hash(store, 5), 4147084260U);

  ASSERT_TRUE(store->compact(compaction_request(5)));
  for (const bool removed : {false, true}) {
    if (removed) store.compact_physically();
    EXPECT_EQ(hash(store), 2430325324U);
    EXPECT_EQ(hash(store, 6), 1289816128U);
    EXPECT_EQ(hash(store, 8), 80463698U);
    EXPECT_EQ(store->hash_kv(4).error(), api::Refusal::compacted);
    EXPECT_EQ(store->hash_kv(11).error(), api::Refusal::future_revision);
  }
  ASSERT_TRUE(store->compact(compaction_request(8)));
  EXPECT_EQ(hash(store), 2906664518U);
  store.del(kNoEnd, kNoEnd);
  EXPECT_EQ(hash(store), 4193459416U);
  ASSERT_TRUE(store->compact(compaction_request(11)));
  EXPECT_EQ(hash(store), 1084519789U);
  store.compact_physically();
  EXPECT_EQ(hash(store), 1084519789U);
}

TEST(Hash, SaysWhatItCovers) {
  StoreUnderTest store;
  store.put("a", "1");
  store.put("a", "2");
  ASSERT_TRUE(store->compact(compaction_request(2)));
  auto reply = store->hash_kv(0);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->header().revision(), 3);
  EXPECT_EQ(reply->hash_revision(), 3);
  EXPECT_EQ(reply->compact_revision(), 2);
}

}  // namespace
}  // namespace conclave::mvcc::testing
