#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

Compare compare(std::string key, Compare::CompareTarget target, Compare::CompareResult result,
                std::int64_t number, std::string range_end = "") {
  Compare made;
  made.set_key(std::move(key));
  made.set_range_end(std::move(range_end));
  made.set_target(target);
  made.set_result(result);
  switch (target) {
    case Compare::VERSION:
      made.set_version(number);
      break;
    case Compare::CREATE:
      made.set_create_revision(number);
      break;
    case Compare::MOD:
      made.set_mod_revision(number);
      break;
    case Compare::LEASE:
      made.set_lease(number);
      break;
    default:
      break;
  }
  return made;
}

Compare compare_value(std::string key, Compare::CompareResult result, std::string value) {
  Compare made;
  made.set_key(std::move(key));
  made.set_target(Compare::VALUE);
  made.set_result(result);
  made.set_value(std::move(value));
  return made;
}

class Txn : public ::testing::Test {
 protected:
  TxnResponse run(const TxnRequest& request) {
    auto applied = store->txn(request, leases);
    EXPECT_TRUE(applied);
    if (!applied) return {};
    last = *applied;
    return applied->response;
  }
  bool holds(Compare wanted) {
    auto reply = store->read_txn(txn_request({std::move(wanted)}, {}));
    EXPECT_TRUE(reply);
    return reply && reply->succeeded();
  }

  StoreUnderTest store;
  LeaseChecker leases = [](std::int64_t id) { return id < 100; };
  Applied<TxnResponse> last;
};

TEST_F(Txn, ComparesNumbers) {
  store.put("a", "m", 7);  // 2
  store.put("a", "m", 7);  // 3
  struct Case {
    Compare::CompareTarget target;
    std::int64_t value;
  };
  for (const auto& [target, value] : {Case{Compare::VERSION, 2}, Case{Compare::CREATE, 2},
                                      Case{Compare::MOD, 3}, Case{Compare::LEASE, 7}}) {
    EXPECT_TRUE(holds(compare("a", target, Compare::EQUAL, value)));
    EXPECT_FALSE(holds(compare("a", target, Compare::EQUAL, value + 1)));
    EXPECT_TRUE(holds(compare("a", target, Compare::GREATER, value - 1)));
    EXPECT_FALSE(holds(compare("a", target, Compare::GREATER, value)));
    EXPECT_TRUE(holds(compare("a", target, Compare::LESS, value + 1)));
    EXPECT_FALSE(holds(compare("a", target, Compare::LESS, value)));
    EXPECT_TRUE(holds(compare("a", target, Compare::NOT_EQUAL, value + 1)));
    EXPECT_FALSE(holds(compare("a", target, Compare::NOT_EQUAL, value)));
    // An absent key has 0 everywhere.
    EXPECT_TRUE(holds(compare("absent", target, Compare::EQUAL, 0)));
    EXPECT_FALSE(holds(compare("absent", target, Compare::GREATER, 0)));
    EXPECT_TRUE(holds(compare("absent", target, Compare::LESS, 1)));
  }
}

TEST_F(Txn, ComparesValues) {
  store.put("a", "m");
  EXPECT_TRUE(holds(compare_value("a", Compare::EQUAL, "m")));
  EXPECT_TRUE(holds(compare_value("a", Compare::GREATER, "l")));
  EXPECT_TRUE(holds(compare_value("a", Compare::LESS, "ma")));
  EXPECT_TRUE(holds(compare_value("a", Compare::LESS, "\xff")));  // bytes, not signed characters
  EXPECT_FALSE(holds(compare_value("a", Compare::NOT_EQUAL, "m")));
  EXPECT_FALSE(holds(compare_value("absent", Compare::EQUAL, "")));
  EXPECT_FALSE(holds(compare_value("absent", Compare::NOT_EQUAL, "x")));
  store.del("a");
  EXPECT_FALSE(holds(compare_value("a", Compare::EQUAL, "m")));
  EXPECT_TRUE(holds(compare("a", Compare::VERSION, Compare::EQUAL, 0)));
}

TEST_F(Txn, ComparesEveryKeyOfARange) {
  store.put("p/1", "v");
  store.put("p/2", "v");
  EXPECT_TRUE(holds(compare("p/", Compare::MOD, Compare::LESS, 4, "p0")));
  EXPECT_FALSE(holds(compare("p/", Compare::MOD, Compare::LESS, 3, "p0")));
  EXPECT_TRUE(holds(compare("q/", Compare::VERSION, Compare::EQUAL, 0, "q0")));
  EXPECT_FALSE(holds(compare("p/", Compare::VERSION, Compare::EQUAL, 0, kNoEnd)));
}

TEST_F(Txn, TakesABranch) {
  const auto create = txn_request({compare("a", Compare::CREATE, Compare::EQUAL, 0)},
                                  {op(put_request("a", "1"))}, {op(range_request("a"))});
  auto response = run(create);
  EXPECT_TRUE(response.succeeded());
  EXPECT_EQ(response.header().revision(), 2);
  EXPECT_EQ(response.responses(0).response_put().header().revision(), 2);
  response = run(create);
  EXPECT_FALSE(response.succeeded());
  EXPECT_EQ(response.header().revision(), 2);  // it only read
  EXPECT_EQ(response.responses(0).response_range().kvs(0).value(), "1");
  EXPECT_EQ(last.events, nullptr);
  EXPECT_TRUE(run(TxnRequest()).succeeded());  // no compare holds
}

TEST_F(Txn, IsOneRevisionWhoseLaterOperationsSeeTheEarlier) {
  store.put("b", "old");
  store.put("c", "old");
  auto with_previous = put_request("b", "new");
  with_previous.set_prev_kv(true);
  const auto response = run(txn_request(
      {}, {op(range_request("a")), op(put_request("a", "1", 9)), op(range_request("a", "c")),
           op(with_previous), op(delete_request("c")), op(range_request("a", kNoEnd)),
           op(range_request("b", "", 2)), op(delete_request("zz"))}));
  EXPECT_EQ(response.header().revision(), 4);
  EXPECT_EQ(response.responses(0).response_range().header().revision(), 3);
  EXPECT_EQ(response.responses(0).response_range().count(), 0);
  EXPECT_EQ(response.responses(2).response_range().header().revision(), 4);
  EXPECT_EQ(response.responses(2).response_range().kvs(0).mod_revision(), 4);
  EXPECT_EQ(response.responses(2).response_range().kvs(1).value(), "old");
  EXPECT_EQ(response.responses(3).response_put().prev_kv().value(), "old");
  EXPECT_EQ(response.responses(4).response_delete_range().deleted(), 1);
  EXPECT_EQ(response.responses(5).response_range().count(), 2);
  EXPECT_EQ(response.responses(6).response_range().kvs(0).value(), "old");
  EXPECT_EQ(response.responses(7).response_delete_range().deleted(), 0);
  EXPECT_EQ(response.responses(7).response_delete_range().header().revision(), 4);

  EXPECT_EQ(store->current_revision(), 4);
  ASSERT_EQ(last.events->events.size(), 3U);
  EXPECT_EQ(last.events->events[0].kv().key(), "a");
  EXPECT_EQ(last.events->events[1].kv().key(), "b");
  EXPECT_EQ(last.events->events[2].type(), mvccpb::Event::DELETE);
  EXPECT_EQ(last.lease_changes, (std::vector<LeaseChange>{{"a", 0, 9}}));
  const auto& writes = store->pending_batch().writes;
  EXPECT_EQ(writes[2].key, record_key({4, 0}, false));
  EXPECT_EQ(writes[4].key, record_key({4, 2}, true));
}

TEST_F(Txn, NestsAndDecidesBeforeItActs) {
  // The nested compare asks for what the outer put makes: it is asked too early.
  const auto inner = txn_request({compare("a", Compare::VERSION, Compare::GREATER, 0)},
                                 {op(put_request("yes", "1"))}, {op(put_request("no", "1"))});
  const auto request =
      txn_request({}, {op(put_request("a", "1")), op(inner), op(txn_request({}, {op(inner)}))});
  auto response = run(request);
  const auto& nested = response.responses(1).response_txn();
  EXPECT_FALSE(nested.succeeded());
  EXPECT_TRUE(nested.has_header());
  EXPECT_EQ(nested.header().revision(), 0);
  EXPECT_EQ(store.get("no").mod_revision(), 2);
  const auto& deep = response.responses(2).response_txn();
  EXPECT_TRUE(deep.succeeded());
  EXPECT_FALSE(deep.responses(0).response_txn().succeeded());
  response = run(request);
  EXPECT_TRUE(response.responses(1).response_txn().succeeded());
  EXPECT_EQ(last.events->revision, 3);
}

TEST_F(Txn, ARefusedOperationMeansThatNothingHappened) {
  store.put("a", "1");
  store.put("a", "2");
  ASSERT_TRUE(store->compact(compaction_request(3)));
  store.commit();
  auto keep_value = put_request("absent", "");
  keep_value.set_ignore_value(true);
  struct Case {
    etcdserverpb::RequestOp operation;
    api::Refusal refusal;
  };
  for (const auto& [operation, refusal] :
       {Case{op(range_request("a", "", 4)), api::Refusal::future_revision},
        Case{op(range_request("a", "", 2)), api::Refusal::compacted},
        Case{op(range_request("a", "", -1)), api::Refusal::compacted},
        Case{op(put_request("b", "1", 100)), api::Refusal::lease_not_found},
        Case{op(keep_value), api::Refusal::key_not_found}}) {
    const auto plain = txn_request({}, {op(put_request("x", "1")), operation});
    EXPECT_EQ(store->txn(plain, leases).error(), refusal);
    const auto nested =
        txn_request({}, {op(put_request("x", "1")), op(txn_request({}, {operation}))});
    EXPECT_EQ(store->txn(nested, leases).error(), refusal);
    // In the branch that is not taken it is no matter.
    EXPECT_TRUE(store->read_txn(txn_request({}, {}, {operation})));
  }
  EXPECT_EQ(store->current_revision(), 3);
  EXPECT_TRUE(store->pending_batch().writes.empty());
  EXPECT_EQ(store.range(range_request("x")).count(), 0);
}

// Clients see one refusal; which one is etcd's choice.
TEST_F(Txn, OfSeveralRefusalsThatOfTheFirstPutIsGiven) {
  auto keep_value = put_request("absent", "", 100);
  keep_value.set_ignore_value(true);
  EXPECT_EQ(store->txn(txn_request({}, {op(keep_value)}), leases).error(),
            api::Refusal::key_not_found);
  EXPECT_EQ(store->put(keep_value, leases).error(), api::Refusal::lease_not_found);
  const auto future = op(range_request("a", "", 9));
  const auto unknown_lease = op(put_request("b", "1", 100));
  EXPECT_EQ(store->txn(txn_request({}, {future, unknown_lease}), leases).error(),
            api::Refusal::lease_not_found);
  EXPECT_EQ(
      store->txn(txn_request({}, {future, op(txn_request({}, {unknown_lease}))}), leases).error(),
      api::Refusal::lease_not_found);
}

TEST_F(Txn, ReadsWithoutALogEntry) {
  store.put("a", "1");
  auto reply = store->read_txn(
      txn_request({compare("a", Compare::VERSION, Compare::EQUAL, 1)},
                  {op(range_request("a")), op(txn_request({}, {op(range_request("a"))}))}));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->succeeded());
  EXPECT_EQ(reply->header().revision(), 2);
  EXPECT_EQ(reply->responses(0).response_range().kvs(0).value(), "1");
  EXPECT_EQ(reply->responses(1).response_txn().responses(0).response_range().count(), 1);
}

// What is changed must be the same on every member, whether it has somebody to answer or not.
TEST_F(Txn, AResponseThatBecomesTooLargeStopsNothing) {
  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(i), std::string(100, 'x'));
  store->set_response_bytes_max(1000);
  auto all = delete_request("k", "l");
  all.set_prev_kv(true);
  const auto request =
      txn_request({}, {op(put_request("a", "1")), op(range_request("k", "l")), op(std::move(all)),
                       op(range_request("a")), op(put_request("b", "2"))});
  const auto applied = store->txn(request, leases);
  ASSERT_TRUE(applied);
  EXPECT_TRUE(applied->response_too_large);
  EXPECT_LT(applied->response.ByteSizeLong(), 2000U);
  EXPECT_EQ(applied->events->events.size(), 22U);
  EXPECT_EQ(store.keys(range_request("", kNoEnd)), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(
      store->txn(txn_request({}, {op(put_request("a", "3")), op(range_request("a"))}), leases)
          ->response_too_large);
}

TEST_F(Txn, FormerValuesAndSortedOnesCountAsPartsOfAResponse) {
  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(i), std::string(100, 'x'));
  store->set_response_bytes_max(1000);
  auto request = txn_request({}, {});
  for (int i = 0; i < 20; ++i) {
    auto put = put_request("k" + std::to_string(i), "y");
    put.set_prev_kv(true);
    *request.add_success() = op(std::move(put));
  }
  const auto applied = store->txn(request, leases);
  ASSERT_TRUE(applied);
  EXPECT_TRUE(applied->response_too_large);
  EXPECT_LT(applied->response.ByteSizeLong(), 2000U);
  EXPECT_EQ(applied->events->events.size(), 20U);

  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(i), std::string(100, 'x'));
  auto sorted = range_request("k", "l");
  sorted.set_sort_target(etcdserverpb::RangeRequest::VALUE);
  sorted.set_sort_order(etcdserverpb::RangeRequest::ASCEND);
  EXPECT_EQ(store->range(sorted).error(), api::Refusal::response_too_large);
}

TEST_F(Txn, WhatOnlyAResponseWouldShowIsNotReadForNobody) {
  store.put("j", "old");
  store.put("k", "old");
  auto replacement = put_request("j", "new");
  replacement.set_prev_kv(true);
  auto removal = delete_request("k");
  removal.set_prev_kv(true);
  const auto applied = store->txn(
      txn_request({}, {op(range_request("k")), op(std::move(removal)), op(std::move(replacement))}),
      leases, false);
  ASSERT_TRUE(applied);
  EXPECT_FALSE(applied->response_too_large);
  EXPECT_EQ(applied->response.responses(0).response_range().kvs_size(), 0);
  EXPECT_EQ(applied->response.responses(1).response_delete_range().prev_kvs_size(), 0);
  EXPECT_FALSE(applied->response.responses(2).response_put().has_prev_kv());
  EXPECT_EQ(applied->events->events.size(), 2U);
}

}  // namespace
}  // namespace conclave::mvcc::testing
