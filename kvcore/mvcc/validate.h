#pragma once

#include <cstddef>

#include "conclave/api/errors.h"
#include "conclave/api/rpc.pb.h"

namespace conclave::mvcc {

// What can be said about a request without knowing the state; asked before it is proposed, so that
// no entry that can never succeed reaches the log. Pure functions, any thread.

inline constexpr std::size_t kMaxTxnOperations = 128;
// How many times that a transaction may have in all, compares, both branches and all levels
// counted. etcd has no such bound: what its rule for each level allows is millions. Three would do
// for a transaction that nests nothing.
inline constexpr std::size_t kTotalOperationsFactor = 8;

// Refusals: empty_key, invalid_sort_option.
api::Reply<void> validate(const etcdserverpb::RangeRequest& request);
// Refusals: empty_key, value_provided, lease_provided.
api::Reply<void> validate(const etcdserverpb::PutRequest& request);
// Refusals: empty_key.
api::Reply<void> validate(const etcdserverpb::DeleteRangeRequest& request);
// Refusals: those of its operations; key_not_found (an operation without a request);
// too_many_operations: more than `max_operations` compares, or operations in a branch, where a
// nested transaction may only have what the longest list of its parent leaves, or more than
// kTotalOperationsFactor times as many in all; duplicate_key: a key
// put twice, or put and deleted. The two branches of one nested transaction exclude each other and
// may name the same key.
api::Reply<void> validate(const etcdserverpb::TxnRequest& request,
                          std::size_t max_operations = kMaxTxnOperations);

// No put and no delete in any branch: the transaction needs no log entry.
bool is_read_only(const etcdserverpb::TxnRequest& request);
// A put in any branch: it may add data.
bool has_put(const etcdserverpb::TxnRequest& request);
// Every range in it asks for a serializable read.
bool is_serializable(const etcdserverpb::TxnRequest& request);

}  // namespace conclave::mvcc
