#include <compare>
#include <cstddef>
#include <cstdint>

#include "conclave/base/planted_bugs.h"
#include "conclave/mvcc/store.h"

namespace conclave::mvcc {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::PutRequest;
using etcdserverpb::RangeRequest;
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
                 if (!entry.is_live()) return true;
                 exists = true;
                 if (by_value) {
                   mvccpb::KeyValue record;
                   all_match = read_record(entry.head().modified, record) &&
                               matches(compare.result(), record.value() <=> compare.value());
                 } else {
                   const KeyVersion version = CONCLAVE_PLANTED(compare_sees_older)
                                                  ? entry.at(current_ - 1).value_or(KeyVersion{})
                                                  : entry.head();
                   all_match = matches_numbers(compare, version, entry.lease());
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

api::Reply<void> Store::check_lease(const PutRequest& request, const LeaseChecker& leases) {
  if (request.lease() != 0 && !leases(request.lease())) return api::Refusal::lease_not_found;
  return {};
}

api::Reply<void> Store::check_ignored(const PutRequest& request) const {
  if ((request.ignore_value() || request.ignore_lease()) &&
      index_.find_live(request.key()) == nullptr) {
    return api::Refusal::key_not_found;
  }
  return {};
}

api::Reply<void> Store::check_range(const RangeRequest& request) const {
  if (request.revision() > current_) return api::Refusal::future_revision;
  if (request.revision() != 0 && request.revision() < compacted_) return api::Refusal::compacted;
  return {};
}

api::Reply<void> Store::check_operations(const TxnRequest& request, const Branches& branches,
                                         std::size_t& next_branch,
                                         const OperationChecker& check) const {
  const bool succeeded = branches[next_branch++];
  for (const RequestOp& operation : succeeded ? request.success() : request.failure()) {
    const api::Reply<void> checked =
        operation.has_request_txn()
            ? check_operations(operation.request_txn(), branches, next_branch, check)
            : check(operation);
    if (!checked) return checked;
  }
  return {};
}

// Which of several refusals a client is given is etcd's choice: those of all puts come before those
// of ranges, and of a put, other than outside a transaction, that of an absent key before that of
// an unknown lease.
api::Reply<void> Store::check_operations(const TxnRequest& request, const LeaseChecker& leases,
                                         const Branches& branches) const {
  const OperationChecker check_put = [&](const RequestOp& operation) -> api::Reply<void> {
    if (!operation.has_request_put()) return {};
    if (auto checked = check_ignored(operation.request_put()); !checked) return checked;
    return check_lease(operation.request_put(), leases);
  };
  const OperationChecker check_read = [this](const RequestOp& operation) -> api::Reply<void> {
    if (!operation.has_request_range()) return {};
    return check_range(operation.request_range());
  };
  for (const OperationChecker* check : {&check_put, &check_read}) {
    std::size_t next_branch = 0;
    if (auto checked = check_operations(request, branches, next_branch, *check); !checked) {
      return checked;
    }
  }
  return {};
}

}  // namespace conclave::mvcc
