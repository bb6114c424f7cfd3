#include "conclave/mvcc/validate.h"

#include <chrono>

#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

using api::Refusal;
using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

std::optional<Refusal> refusal(const auto& request) {
  const auto checked = validate(request);
  return checked ? std::nullopt : std::optional(checked.error());
}

RequestOp put_of(std::string key) {
  return op(put_request(std::move(key), "v"));
}
RequestOp delete_of(std::string key, std::string end = "") {
  return op(delete_request(std::move(key), std::move(end)));
}
RequestOp nested(std::vector<RequestOp> success, std::vector<RequestOp> failure = {}) {
  return op(txn_request({}, std::move(success), std::move(failure)));
}
Compare compare_of(std::string key) {
  Compare compare;
  compare.set_key(std::move(key));
  return compare;
}

TEST(Validate, Range) {
  EXPECT_EQ(refusal(range_request("")), Refusal::empty_key);
  EXPECT_EQ(refusal(range_request("a")), std::nullopt);
  auto request = range_request("a");
  request.set_sort_order(static_cast<etcdserverpb::RangeRequest::SortOrder>(9));
  EXPECT_EQ(refusal(request), Refusal::invalid_sort_option);
  request = range_request("a");
  request.set_sort_target(static_cast<etcdserverpb::RangeRequest::SortTarget>(9));
  EXPECT_EQ(refusal(request), Refusal::invalid_sort_option);
}

TEST(Validate, Put) {
  EXPECT_EQ(refusal(put_request("", "v")), Refusal::empty_key);
  EXPECT_EQ(refusal(put_request("a", "")), std::nullopt);
  auto request = put_request("a", "v", 5);
  request.set_ignore_value(true);
  EXPECT_EQ(refusal(request), Refusal::value_provided);
  request.clear_value();
  EXPECT_EQ(refusal(request), std::nullopt);
  request.set_ignore_lease(true);
  EXPECT_EQ(refusal(request), Refusal::lease_provided);
  request.set_lease(0);
  EXPECT_EQ(refusal(request), std::nullopt);
}

TEST(Validate, DeleteRange) {
  EXPECT_EQ(refusal(delete_request("")), Refusal::empty_key);
  EXPECT_EQ(refusal(delete_request("a", "b")), std::nullopt);
}

TEST(Validate, TxnChecksItsParts) {
  EXPECT_EQ(refusal(TxnRequest()), std::nullopt);
  EXPECT_EQ(refusal(txn_request({compare_of("")}, {})), Refusal::empty_key);
  EXPECT_EQ(refusal(txn_request({}, {put_of("")})), Refusal::empty_key);
  EXPECT_EQ(refusal(txn_request({}, {}, {delete_of("")})), Refusal::empty_key);
  EXPECT_EQ(refusal(txn_request({}, {}, {op(range_request(""))})), Refusal::empty_key);
  EXPECT_EQ(refusal(txn_request({}, {RequestOp()})), Refusal::key_not_found);
  EXPECT_EQ(refusal(txn_request({}, {nested({nested({put_of("")})})})), Refusal::empty_key);
}

TEST(Validate, TxnLimitsEachList) {
  std::vector<RequestOp> ranges(128, op(range_request("a")));
  EXPECT_EQ(refusal(txn_request({}, ranges, ranges)), std::nullopt);
  ranges.push_back(op(range_request("a")));
  EXPECT_EQ(refusal(txn_request({}, ranges)), Refusal::too_many_operations);
  EXPECT_EQ(refusal(txn_request({}, {}, ranges)), Refusal::too_many_operations);
  EXPECT_EQ(refusal(txn_request(std::vector<Compare>(129, compare_of("a")), {})),
            Refusal::too_many_operations);
  EXPECT_FALSE(validate(txn_request({}, {put_of("a"), put_of("b")}), 1));
}

TEST(Validate, NestedTxnHasWhatTheLongestListLeaves) {
  const std::vector<Compare> compares(100, compare_of("a"));
  std::vector<RequestOp> ranges(28, op(range_request("a")));
  EXPECT_EQ(refusal(txn_request(compares, {nested(ranges)})), std::nullopt);
  ranges.push_back(op(range_request("a")));
  EXPECT_EQ(refusal(txn_request(compares, {nested(ranges)})), Refusal::too_many_operations);
}

// Each level keeps to what the one above leaves, but there are many lists.
TEST(Validate, TxnLimitsTheOperationsOfAllLevels) {
  const auto total = [](int nested_count, int ranges) {
    const std::vector<RequestOp> each(static_cast<std::size_t>(ranges), op(range_request("a")));
    std::vector<RequestOp> all;
    for (int i = 0; i < nested_count; ++i) all.push_back(nested(each));
    return refusal(txn_request({}, all));
  };
  EXPECT_EQ(total(16, 63), std::nullopt);
  EXPECT_EQ(total(16, 64), Refusal::too_many_operations);
  const std::vector<RequestOp> most(128, op(range_request("a")));
  EXPECT_EQ(refusal(txn_request(std::vector<Compare>(128, compare_of("a")), most, most)),
            std::nullopt);
}

// With a limit that an operator raised far up, checking for duplicates must not take the square of
// it: this would be 2.5 thousand million comparisons.
TEST(Validate, TxnOfManyKeysIsCheckedQuickly) {
  constexpr int kKeys = 50'000;
  std::vector<RequestOp> operations;
  for (int i = 0; i < kKeys; ++i) {
    operations.push_back(delete_of("d" + std::to_string(2 * i)));
    operations.push_back(delete_of("r" + std::to_string(2 * i), "r" + std::to_string(2 * i) + "a"));
    operations.push_back(put_of("d" + std::to_string(2 * i + 1)));
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(validate(txn_request({}, operations), operations.size()));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST(Validate, TxnRefusesDuplicateKeys) {
  const auto duplicate = std::optional(Refusal::duplicate_key);
  EXPECT_EQ(refusal(txn_request({}, {put_of("a"), put_of("a")})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {}, {put_of("a"), put_of("a")})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {put_of("a")}, {put_of("a")})), std::nullopt);
  EXPECT_EQ(refusal(txn_request({}, {put_of("a"), delete_of("a")})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {delete_of("a", "c"), put_of("b")})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {delete_of("a", "c"), put_of("c")})), std::nullopt);
  EXPECT_EQ(refusal(txn_request({}, {delete_of("a", "c"), delete_of("b", "d")})), std::nullopt);
  EXPECT_EQ(refusal(txn_request({}, {delete_of("a", "c"), delete_of("b", "e"), delete_of("h", "k"),
                                     delete_of("e", "g"), put_of("f")})),
            duplicate);
  EXPECT_EQ(refusal(txn_request({}, {delete_of("a", "c"), delete_of("b", "e"), delete_of("h", "k"),
                                     delete_of("k", "m"), delete_of("z", "y"), put_of("g"),
                                     put_of("m"), put_of("yy")})),
            std::nullopt);
  // etcd takes the "\0" end for a key here.
  EXPECT_EQ(refusal(txn_request({}, {delete_of("a", kNoEnd), put_of("b")})), std::nullopt);
}

TEST(Validate, NestedTxnsShareKeysOnlyBetweenBranches) {
  const auto duplicate = std::optional(Refusal::duplicate_key);
  EXPECT_EQ(refusal(txn_request({}, {nested({put_of("a")}, {put_of("a")})})), std::nullopt);
  EXPECT_EQ(refusal(txn_request({}, {nested({put_of("a")}, {delete_of("a")})})), std::nullopt);
  EXPECT_EQ(refusal(txn_request({}, {nested({put_of("a")}), put_of("a")})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {nested({put_of("a")}), nested({put_of("a")})})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {nested({put_of("a")}), delete_of("a")})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {nested({delete_of("a")}), put_of("a")})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {nested({delete_of("a")}), nested({put_of("a")})})), duplicate);
  EXPECT_EQ(refusal(txn_request({}, {nested({put_of("a"), put_of("a")})})), duplicate);
}

TEST(Validate, KnowsReads) {
  EXPECT_TRUE(is_read_only(TxnRequest()));
  EXPECT_TRUE(is_read_only(txn_request({}, {op(range_request("a"))})));
  EXPECT_FALSE(is_read_only(txn_request({}, {}, {put_of("a")})));
  EXPECT_FALSE(is_read_only(txn_request({}, {nested({delete_of("a")})})));
  auto range = range_request("a");
  EXPECT_FALSE(is_serializable(txn_request({}, {op(range)})));
  range.set_serializable(true);
  EXPECT_TRUE(is_serializable(txn_request({}, {op(range)})));
  EXPECT_FALSE(is_serializable(txn_request({}, {op(range), nested({put_of("a")})})));
}

}  // namespace
}  // namespace conclave::mvcc::testing
