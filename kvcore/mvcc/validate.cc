#include "conclave/mvcc/validate.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace conclave::mvcc {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::PutRequest;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using Operations = google::protobuf::RepeatedPtrField<RequestOp>;
using Keys = std::set<std::string_view>;

// The operations of one request, compares included, over all levels.
class OperationCheck {
 public:
  explicit OperationCheck(std::size_t total_max) : left_(total_max) {}

  // `budget`: the most that one list may have.
  api::Reply<void> check(const TxnRequest& request, std::size_t budget) {
    const auto compares = static_cast<std::size_t>(request.compare_size());
    const auto successes = static_cast<std::size_t>(request.success_size());
    const auto failures = static_cast<std::size_t>(request.failure_size());
    const std::size_t longest = std::max({compares, successes, failures});
    const std::size_t all = compares + successes + failures;
    if (longest > budget || all > left_) return api::Refusal::too_many_operations;
    left_ -= all;
    for (const Compare& compare : request.compare()) {
      if (compare.key().empty()) return api::Refusal::empty_key;
    }
    for (const Operations* branch : {&request.success(), &request.failure()}) {
      for (const RequestOp& operation : *branch) {
        if (auto checked = check(operation, budget - longest); !checked) return checked;
      }
    }
    return {};
  }

 private:
  api::Reply<void> check(const RequestOp& operation, std::size_t nested_budget) {
    switch (operation.request_case()) {
      case RequestOp::kRequestRange:
        return validate(operation.request_range());
      case RequestOp::kRequestPut:
        return validate(operation.request_put());
      case RequestOp::kRequestDeleteRange:
        return validate(operation.request_delete_range());
      case RequestOp::kRequestTxn:
        return check(operation.request_txn(), nested_budget);
      default:
        return api::Refusal::key_not_found;
    }
  }

  std::size_t left_;
};

template <class Set>
void take_over(Set& into, Set& from) {
  if (into.size() < from.size()) into.swap(from);
  into.merge(from);
}

// Half-open ranges of keys; those that touch are one.
class KeyRanges {
 public:
  void add(std::string_view begin, std::string_view end) {
    if (begin >= end) return;
    auto next = ends_.upper_bound(begin);
    if (next != ends_.begin() && std::prev(next)->second >= begin) begin = (--next)->first;
    while (next != ends_.end() && next->first <= end) {
      end = std::max(end, next->second);
      next = ends_.erase(next);
    }
    ends_.emplace_hint(next, begin, end);
  }
  void take_over(KeyRanges& from) {
    if (ends_.size() < from.ends_.size()) ends_.swap(from.ends_);
    for (const auto& [begin, end] : from.ends_) add(begin, end);
  }
  bool contains(std::string_view key) const {
    const auto next = ends_.upper_bound(key);
    return next != ends_.begin() && key < std::prev(next)->second;
  }

 private:
  std::map<std::string_view, std::string_view> ends_;  // by begin
};

// What a list of operations puts and deletes, those of nested transactions included.
struct Touched {
  Keys puts;
  Keys deleted_keys;
  KeyRanges deleted_ranges;

  void add(const DeleteRangeRequest& request) {
    if (request.range_end().empty()) {
      deleted_keys.insert(request.key());
    } else {
      // As in etcd, which reads a "\0" end as a key here: a delete without end meets no put.
      deleted_ranges.add(request.key(), request.range_end());
    }
  }
  void add(Touched& nested) {
    take_over(puts, nested.puts);
    take_over(deleted_keys, nested.deleted_keys);
    deleted_ranges.take_over(nested.deleted_ranges);
  }
  bool deletes_key(std::string_view key) const {
    return deleted_keys.contains(key) || deleted_ranges.contains(key);
  }
};

// False if a key is put twice, or put and deleted. Adds to `touched`, so that a level sees what its
// nested transactions touch: the deletes of the level first, then the nested ones in order, then
// its puts.
bool collect(const Operations& operations, Touched& touched) {
  for (const RequestOp& operation : operations) {
    if (operation.has_request_delete_range()) touched.add(operation.request_delete_range());
  }
  for (const RequestOp& operation : operations) {
    if (!operation.has_request_txn()) continue;
    Touched success;
    Touched failure;
    if (!collect(operation.request_txn().success(), success)) return false;
    if (!collect(operation.request_txn().failure(), failure)) return false;
    // The branches exclude each other, so they are held against what was there before, not against
    // one another.
    for (const Touched* branch : {&success, &failure}) {
      for (const std::string_view key : branch->puts) {
        if (touched.puts.contains(key) || touched.deletes_key(key)) return false;
      }
    }
    touched.add(success);
    touched.add(failure);
  }
  for (const RequestOp& operation : operations) {
    if (!operation.has_request_put()) continue;
    const std::string_view key = operation.request_put().key();
    if (touched.deletes_key(key) || !touched.puts.insert(key).second) return false;
  }
  return true;
}

template <class Predicate>
bool all_operations(const TxnRequest& request, const Predicate& predicate) {
  for (const Operations* branch : {&request.success(), &request.failure()}) {
    for (const RequestOp& operation : *branch) {
      const bool holds = operation.has_request_txn()
                             ? all_operations(operation.request_txn(), predicate)
                             : predicate(operation);
      if (!holds) return false;
    }
  }
  return true;
}

}  // namespace

api::Reply<void> validate(const RangeRequest& request) {
  if (request.key().empty()) return api::Refusal::empty_key;
  if (!RangeRequest::SortOrder_IsValid(request.sort_order()) ||
      !RangeRequest::SortTarget_IsValid(request.sort_target())) {
    return api::Refusal::invalid_sort_option;
  }
  return {};
}

api::Reply<void> validate(const PutRequest& request) {
  if (request.key().empty()) return api::Refusal::empty_key;
  if (request.ignore_value() && !request.value().empty()) return api::Refusal::value_provided;
  if (request.ignore_lease() && request.lease() != 0) return api::Refusal::lease_provided;
  return {};
}

api::Reply<void> validate(const DeleteRangeRequest& request) {
  if (request.key().empty()) return api::Refusal::empty_key;
  return {};
}

api::Reply<void> validate(const TxnRequest& request, std::size_t max_operations) {
  OperationCheck operations(kTotalOperationsFactor * max_operations);
  if (auto checked = operations.check(request, max_operations); !checked) return checked;
  for (const Operations* branch : {&request.success(), &request.failure()}) {
    Touched touched;
    if (!collect(*branch, touched)) return api::Refusal::duplicate_key;
  }
  return {};
}

bool is_read_only(const TxnRequest& request) {
  return all_operations(request,
                        [](const RequestOp& operation) { return operation.has_request_range(); });
}

bool has_put(const TxnRequest& request) {
  return !all_operations(request,
                         [](const RequestOp& operation) { return !operation.has_request_put(); });
}

bool is_serializable(const TxnRequest& request) {
  return all_operations(request, [](const RequestOp& operation) {
    return operation.has_request_range() && operation.request_range().serializable();
  });
}

}  // namespace conclave::mvcc
