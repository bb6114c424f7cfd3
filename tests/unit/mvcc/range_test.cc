#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

using etcdserverpb::RangeRequest;
using Keys = std::vector<std::string>;

class Range : public ::testing::Test {
 protected:
  // a: created 2, modified 6, version 3, "z"; b: 3, 3, 1, "y"; c: 4, 7, 2, "x"; d: deleted at 9.
  void SetUp() override {
    store.put("a", "1");
    store.put("b", "y");
    store.put("c", "1");
    store.put("a", "2");
    store.put("a", "z");
    store.put("c", "x");
    store.put("d", "w");
    store.del("d");
  }
  RangeRequest all() { return range_request("a", kNoEnd); }

  StoreUnderTest store;
};

TEST_F(Range, NamesKeys) {
  EXPECT_EQ(store.keys(range_request("b")), Keys{"b"});
  EXPECT_EQ(store.keys(range_request("a", "c")), (Keys{"a", "b"}));
  EXPECT_EQ(store.keys(range_request("b", kNoEnd)), (Keys{"b", "c"}));
  EXPECT_EQ(store.keys(range_request(kNoEnd, kNoEnd)), (Keys{"a", "b", "c"}));
  EXPECT_EQ(store.keys(range_request("c", "a")), Keys{});
  EXPECT_EQ(store.keys(range_request("d")), Keys{});
}

TEST_F(Range, LimitsAndCounts) {
  auto request = all();
  request.set_limit(2);
  auto response = store.range(request);
  EXPECT_EQ(response.kvs_size(), 2);
  EXPECT_TRUE(response.more());
  EXPECT_EQ(response.count(), 3);
  request.set_limit(3);
  EXPECT_FALSE(store.range(request).more());
  request.set_limit(1);
  request.set_count_only(true);
  response = store.range(request);
  EXPECT_EQ(response.count(), 3);
  EXPECT_EQ(response.kvs_size(), 0);
  EXPECT_FALSE(response.more());
}

TEST_F(Range, ReadsThePast) {
  EXPECT_EQ(store.keys(range_request("a", kNoEnd, 8)), (Keys{"a", "b", "c", "d"}));
  auto response = store.range(range_request("a", "", 2));
  EXPECT_EQ(response.kvs(0).value(), "1");
  EXPECT_EQ(response.header().revision(), 9);  // the current one, not the one asked for
  EXPECT_EQ(store.get("a", 5).version(), 2);
  EXPECT_EQ(store->range(range_request("a", "", 10)).error(), api::Refusal::future_revision);
  EXPECT_TRUE(store->range(range_request("a", "", -5)));
}

TEST_F(Range, RefusesTheCompacted) {
  ASSERT_TRUE(store->compact(compaction_request(5)));
  EXPECT_EQ(store->range(range_request("a", "", 4)).error(), api::Refusal::compacted);
  EXPECT_EQ(store.get("a", 5).value(), "2");
}

TEST_F(Range, Sorts) {
  auto request = all();
  const auto sorted = [&](RangeRequest::SortTarget target, RangeRequest::SortOrder order) {
    request.set_sort_target(target);
    request.set_sort_order(order);
    return store.keys(request);
  };
  EXPECT_EQ(sorted(RangeRequest::KEY, RangeRequest::DESCEND), (Keys{"c", "b", "a"}));
  EXPECT_EQ(sorted(RangeRequest::VERSION, RangeRequest::ASCEND), (Keys{"b", "c", "a"}));
  EXPECT_EQ(sorted(RangeRequest::VERSION, RangeRequest::DESCEND), (Keys{"a", "c", "b"}));
  EXPECT_EQ(sorted(RangeRequest::CREATE, RangeRequest::DESCEND), (Keys{"c", "b", "a"}));
  EXPECT_EQ(sorted(RangeRequest::MOD, RangeRequest::ASCEND), (Keys{"b", "a", "c"}));
  EXPECT_EQ(sorted(RangeRequest::VALUE, RangeRequest::ASCEND), (Keys{"c", "b", "a"}));
  EXPECT_EQ(sorted(RangeRequest::VERSION, RangeRequest::NONE), (Keys{"b", "c", "a"}));
}

TEST_F(Range, SortsBeforeTheLimitOnlyWithAnOrder) {
  auto request = all();
  request.set_sort_target(RangeRequest::MOD);
  request.set_limit(1);
  request.set_sort_order(RangeRequest::DESCEND);
  EXPECT_EQ(store.keys(request), Keys{"c"});
  EXPECT_TRUE(store.range(request).more());
  // Without an order the limit takes the first keys, and one to see that there are more; etcd sorts
  // those.
  request.set_sort_order(RangeRequest::NONE);
  EXPECT_EQ(store.keys(request), Keys{"b"});
  request.set_sort_target(RangeRequest::VALUE);
  EXPECT_EQ(store.keys(request), Keys{"b"});
}

TEST_F(Range, FiltersBeforeTheLimit) {
  auto request = all();
  request.set_min_mod_revision(6);
  EXPECT_EQ(store.keys(request), (Keys{"a", "c"}));
  EXPECT_EQ(store.range(request).count(), 3);
  request.set_max_mod_revision(6);
  EXPECT_EQ(store.keys(request), Keys{"a"});
  request = all();
  request.set_min_create_revision(3);
  request.set_max_create_revision(4);
  request.set_limit(1);
  EXPECT_EQ(store.keys(request), Keys{"b"});
  EXPECT_TRUE(store.range(request).more());
}

TEST_F(Range, KeysOnlyTouchesNoValue) {
  store.put("e", "v", 7);
  store.commit();
  store.storage.failing = true;
  auto request = range_request("e");
  request.set_keys_only(true);
  const auto response = store.range(request);
  ASSERT_EQ(response.kvs_size(), 1);
  EXPECT_EQ(response.kvs(0).key(), "e");
  EXPECT_EQ(response.kvs(0).create_revision(), 10);
  EXPECT_EQ(response.kvs(0).mod_revision(), 10);
  EXPECT_EQ(response.kvs(0).version(), 1);
  EXPECT_EQ(response.kvs(0).value(), "");
  EXPECT_EQ(response.kvs(0).lease(), 0);
  request.set_count_only(true);
  EXPECT_EQ(store.range(request).count(), 1);
}

TEST_F(Range, CarriesTheWholeRecord) {
  store.put("e", "v", 7);
  const auto kv = store.get("e");
  EXPECT_EQ(kv.value(), "v");
  EXPECT_EQ(kv.lease(), 7);
}

}  // namespace
}  // namespace conclave::mvcc::testing
