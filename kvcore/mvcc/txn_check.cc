#include <compare>
#include <cstddef>
#include <cstdint>

#include "conclave/mvcc/store.h"

namespace conclave::mvcc {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::PutRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

bool matches(Compare::CompareResult wanted, std::strong_ordering found) {
  switch (wanted) {
    case Compare::EQUAL:
      return std::is_eq(found);
    case Compare::GREATER:
      return std::is_gt(found);
    case Compare::LESS:
      return std::is_lt(found);
    case Compare::NOT_EQUAL:
      return std::is_neq(found);
    default:
      return true;  // an unknown result asks for nothing, as in etcd
  }
}

// `version` and `lease` are all zero for a key that does not exist.
bool matches_numbers(const Compare& compare, const KeyVersion& version, std::int64_t lease) {
  switch (compare.target()) {
    case Compare::VERSION:
      return matches(compare.result(), version.version <=> compare.version());
    case Compare::CREATE:
      return matches(compare.result(), version.create_revision <=> compare.create_revision());
    case Compare::MOD:
      return matches(compare.result(), version.modified.main <=> compare.mod_revision());
    case Compare::LEASE:
      return matches(compare.result(), lease <=> compare.lease());
    default:
      return matches(compare.result(), std::strong_ordering::equal);
  }
}

}  // namespace

bool Store::holds(const Compare& compare) const {
  const bool by_value = compare.target() == Compare::VALUE;
  bool exists = false;
  bool all_match = true;
  index_.visit(KeyRange(compare.key(), compare.range_end()),
               [&](std::string_view, const KeyIndex::Entry& entry) {
                 if (entry.head.is_deletion()) return true;
                 exists = true;
                 if (by_value) {
                   mvccpb::KeyValue record;
                   all_match = read_record(entry.head.modified, record) &&
                               matches(compare.result(), record.value() <=> compare.value());
                 } else {
                   all_match = matches_numbers(compare, entry.head, entry.lease);
                 }
                 return all_match;
               });
  if (exists) return all_match;
  // The wire cannot tell an absent value from an empty one, so no value compare holds for an absent
  // key.
  return !by_value && matches_numbers(compare, KeyVersion{}, 0);
}

void Store::choose_branches(const TxnRequest& request, Branches& branches) const {
  bool all_hold = true;
  for (const Compare& compare : request.compare()) {
    if (!holds(compare)) {
      all_hold = false;
      break;
    }
  }
  branches.push_back(all_hold);
  for (const RequestOp& operation : all_hold ? request.success() : request.failure()) {
    if (operation.has_request_txn()) choose_branches(operation.request_txn(), branches);
  }
}

api::Reply<void> Store::check_put(const PutRequest& request, const LeaseChecker& leases) const {
  if (request.lease() != 0 && !leases(request.lease())) return api::Refusal::lease_not_found;
  if ((request.ignore_value() || request.ignore_lease()) &&
      index_.find_live(request.key()) == nullptr) {
    return api::Refusal::key_not_found;
  }
  return {};
}

api::Reply<void> Store::check_operations(const TxnRequest& request, const LeaseChecker& leases,
                                         const Branches& branches, std::size_t& next_branch) const {
  const bool succeeded = branches[next_branch++];
  for (const RequestOp& operation : succeeded ? request.success() : request.failure()) {
    api::Reply<void> checked;
    switch (operation.request_case()) {
      case RequestOp::kRequestPut:
        checked = check_put(operation.request_put(), leases);
        break;
      case RequestOp::kRequestRange: {
        const std::int64_t revision = operation.request_range().revision();
        if (revision > current_) return api::Refusal::future_revision;
        if (revision != 0 && revision < compacted_) return api::Refusal::compacted;
        break;
      }
      case RequestOp::kRequestTxn:
        checked = check_operations(operation.request_txn(), leases, branches, next_branch);
        break;
      default:
        break;
    }
    if (!checked) return checked;
  }
  return {};
}

}  // namespace conclave::mvcc
