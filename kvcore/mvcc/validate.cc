#include "conclave/mvcc/validate.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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

api::Reply<void> check_operations(const TxnRequest& request, std::size_t budget);

api::Reply<void> check_operation(const RequestOp& operation, std::size_t nested_budget) {
  switch (operation.request_case()) {
    case RequestOp::kRequestRange:
      return validate(operation.request_range());
    case RequestOp::kRequestPut:
      return validate(operation.request_put());
    case RequestOp::kRequestDeleteRange:
      return validate(operation.request_delete_range());
    case RequestOp::kRequestTxn:
      return check_operations(operation.request_txn(), nested_budget);
    default:
      return api::Refusal::key_not_found;
  }
}

api::Reply<void> check_operations(const TxnRequest& request, std::size_t budget) {
  const std::size_t longest = static_cast<std::size_t>(
      std::max({request.compare_size(), request.success_size(), request.failure_size()}));
  if (longest > budget) return api::Refusal::too_many_operations;
  for (const Compare& compare : request.compare()) {
    if (compare.key().empty()) return api::Refusal::empty_key;
  }
  for (const Operations* branch : {&request.success(), &request.failure()}) {
    for (const RequestOp& operation : *branch) {
      if (auto checked = check_operation(operation, budget - longest); !checked) return checked;
    }
  }
  return {};
}

// What a list of operations puts and deletes, those of nested transactions included.
struct Touched {
  Keys puts;
  std::vector<const DeleteRangeRequest*> deletes;

  // As in etcd, which reads a delete's "\0" end as a key here: a delete without end meets no put.
  bool deletes_key(std::string_view key) const {
    return std::any_of(deletes.begin(), deletes.end(), [key](const DeleteRangeRequest* request) {
      if (request->range_end().empty()) return key == request->key();
      return key >= request->key() && key < request->range_end();
    });
  }
};

// False if a key is put twice, or put and deleted. Adds to `touched`, so that a level sees what its
// nested transactions touch: the deletes of the level first, then the nested ones in order, then
// its puts.
bool collect(const Operations& operations, Touched& touched) {
  for (const RequestOp& operation : operations) {
    if (operation.has_request_delete_range()) {
      touched.deletes.push_back(&operation.request_delete_range());
    }
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
    touched.puts.merge(success.puts);
    touched.puts.merge(failure.puts);
    touched.deletes.insert(touched.deletes.end(), success.deletes.begin(), success.deletes.end());
    touched.deletes.insert(touched.deletes.end(), failure.deletes.begin(), failure.deletes.end());
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
  if (auto checked = check_operations(request, max_operations); !checked) return checked;
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
