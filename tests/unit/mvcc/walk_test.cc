// Reads in steps, with changes, commits and compactions in between, against the same in one go.
#include "conclave/mvcc/walk.h"

#include "conclave/base/random.h"

#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;

constexpr std::uint64_t kKeys = 60;

std::string random_key(Random& random) {
  return "k" + std::to_string(10 + random.below(kKeys));
}

void change(StoreUnderTest& store, Random& random) {
  if (random.chance(1, 5)) {
    store.del(random_key(random));
  } else {
    store.put(random_key(random), std::to_string(random.below(20)));
  }
  if (random.chance(1, 4)) store.commit();
}

// Logical and, in small steps, physical.
void compact_some(StoreUnderTest& store, Random& random) {
  if (random.chance(1, 3)) {
    (void)store->compact(compaction_request(store->current_revision()));
  }
  store->compaction_step(3);
}

RangeRequest random_range(const Store& store, Random& random) {
  RangeRequest request = range_request("k", random.chance(1, 2) ? kNoEnd : random_key(random));
  if (random.chance(1, 3)) request.set_limit(static_cast<std::int64_t>(1 + random.below(20)));
  request.set_sort_order(static_cast<RangeRequest::SortOrder>(random.below(3)));
  request.set_sort_target(static_cast<RangeRequest::SortTarget>(random.below(5)));
  request.set_keys_only(random.chance(1, 4));
  request.set_count_only(random.chance(1, 8));
  const std::int64_t current = store.current_revision();
  const auto some_revision = [&] {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(current))) + 1;
  };
  if (random.chance(1, 4)) request.set_min_mod_revision(some_revision());
  if (random.chance(1, 4)) request.set_max_create_revision(some_revision());
  if (random.chance(1, 3)) request.set_revision(some_revision());
  return request;
}

template <class Walk>
bool step_to_the_end(Walk& walk, Random& random, const std::function<void()>& between) {
  for (int steps = 0; steps < 10000; ++steps) {
    WalkBudget budget{1 + random.below(30), 1 + random.below(200)};
    const api::Reply<bool> done = walk.step(budget);
    EXPECT_TRUE(done) << text_of(done.error()).text;
    if (!done || *done) return bool(done);
    between();
  }
  ADD_FAILURE() << "the walk does not end";
  return false;
}

TEST(Walk, InStepsARangeIsWhatItIsInOneGo) {
  int in_steps = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    StoreUnderTest store;
    for (int i = 0; i < 150; ++i) change(store, random);
    compact_some(store, random);
    const RangeRequest request = random_range(*store, random);
    const auto expected = store->range(request);
    RangeResponse response;
    ReadWalk walk(*store, request, response);
    if (!expected) {
      WalkBudget budget = WalkBudget::unlimited();
      ASSERT_EQ(walk.step(budget).error(), expected.error());
      continue;
    }
    int changes = 0;
    ASSERT_TRUE(step_to_the_end(walk, random, [&] {
      change(store, random);
      compact_some(store, random);
      ++changes;
    }));
    if (changes > 3) ++in_steps;
    ASSERT_EQ(response.ShortDebugString(), expected->ShortDebugString())
        << request.ShortDebugString();
  }
  EXPECT_GT(in_steps, 100) << "hardly any walk was interrupted";
}

TEST(Walk, InStepsATransactionIsWhatItIsInOneGo) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    StoreUnderTest store;
    for (int i = 0; i < 150; ++i) change(store, random);
    RangeRequest past = range_request("k", kNoEnd, 100);
    const auto nested = txn_request({}, {op(random_range(*store, random)), op(past)});
    const auto request = txn_request(
        {}, {op(random_range(*store, random)), op(nested), op(random_range(*store, random))});
    const auto expected = store->read_txn(request);
    ASSERT_TRUE(expected);
    etcdserverpb::TxnResponse response;
    ReadWalk walk(*store, request, response);
    ASSERT_TRUE(step_to_the_end(walk, random, [&] {
      change(store, random);
      compact_some(store, random);
    }));
    ASSERT_EQ(response.ShortDebugString(), expected->ShortDebugString());
  }
}

TEST(Walk, InStepsAHashIsWhatItIsInOneGo) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    StoreUnderTest store;
    for (int i = 0; i < 150; ++i) change(store, random);
    if (random.chance(2, 3)) {
      const auto at = static_cast<std::int64_t>(2 + random.below(120));
      ASSERT_TRUE(store->compact(compaction_request(at)));
      store->compaction_step(10);
    }
    const auto expected = store->hash_kv(0);
    ASSERT_TRUE(expected);
    etcdserverpb::HashKVResponse response;
    HashWalk walk(*store, 0, response);
    ASSERT_TRUE(step_to_the_end(walk, random, [&] {
      change(store, random);
      compact_some(store, random);
    }));
    ASSERT_EQ(response.ShortDebugString(), expected->ShortDebugString());
  }
}

TEST(Walk, HoldsBackTheRemovalOfWhatItReadsAndNoLonger) {
  StoreUnderTest store;
  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(10 + i), "old");
  store.commit();
  const RangeRequest request = range_request("k", kNoEnd);
  RangeResponse response;
  {
    ReadWalk walk(*store, request, response);
    WalkBudget small{5, 1000};
    ASSERT_FALSE(*walk.step(small));
    for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(10 + i), "new");
    ASSERT_TRUE(store->compact(compaction_request(store->current_revision())));
    EXPECT_FALSE(store->compaction_pending());
    EXPECT_TRUE(store->compaction_pending(store->current_revision()));
    WalkBudget rest = WalkBudget::unlimited();
    ASSERT_TRUE(*walk.step(rest));
  }
  EXPECT_EQ(response.kvs_size(), 20);
  for (const auto& kv : response.kvs()) EXPECT_EQ(kv.value(), "old");
  EXPECT_TRUE(store->compaction_pending());
  store.compact_physically();
  EXPECT_EQ(store.storage.record_count(), 20U);
}

TEST(Walk, AStepIsNoLongerThanItsBudget) {
  StoreUnderTest store;
  for (int i = 0; i < 1000; ++i) store.put("k" + std::to_string(1000 + i), std::string(100, 'v'));
  const RangeRequest request = range_request("k", kNoEnd);
  RangeResponse response;
  ReadWalk walk(*store, request, response);
  int before = 0;
  for (;;) {
    WalkBudget budget{90, 1 << 20};
    const auto done = walk.step(budget);
    ASSERT_TRUE(done);
    ASSERT_LE(response.kvs_size() - before, 10);
    before = response.kvs_size();
    if (*done) break;
  }
  EXPECT_EQ(response.kvs_size(), 1000);
}

}  // namespace
}  // namespace conclave::mvcc::testing
