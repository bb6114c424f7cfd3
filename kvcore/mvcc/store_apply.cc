#include <cstddef>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/mvcc/store.h"
#include "conclave/mvcc/walk.h"

namespace conclave::mvcc {
namespace {

using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::RequestOp;
using etcdserverpb::ResponseOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

}  // namespace

// The changes of one revision while they are made. What can be refused has been checked before;
// only a failing storage read stops it, and that ends the store. A transaction that changes
// something reads its ranges in one go: nothing may come between them and its changes. A response
// that becomes too large stops nothing either: what is changed must be the same everywhere.
class Store::Transaction {
 public:
  explicit Transaction(Store& store, bool is_answered = true)
      : store_(store), is_answered_(is_answered) {}

  // The newest revision that an operation sees, and that its response names.
  std::int64_t now() const { return store_.current_ + (changes_ > 0 ? 1 : 0); }

  PutResponse put(const PutRequest& request);
  DeleteRangeResponse delete_range(const DeleteRangeRequest& request);
  bool delete_key(std::string_view key, DeleteRangeResponse* previous_to);
  // False if a read failed.
  bool run(const TxnRequest& request, const Branches& branches, std::size_t& next_branch,
           TxnResponse& response);

  template <class Response>
  api::Reply<Applied<Response>> finish(Response response);

 private:
  bool run_operation(const RequestOp& operation, const Branches& branches, std::size_t& next_branch,
                     ResponseOp& response);
  void write(mvccpb::Event event, const KeyVersion& version);
  bool range(const RangeRequest& request, RangeResponse& response);
  bool has_room() const { return is_answered_ && response_bytes_ <= store_.response_bytes_max_; }

  Store& store_;
  const bool is_answered_;
  std::uint64_t response_bytes_ = 0;  // above the store's bound: too large
  std::int64_t changes_ = 0;
  std::shared_ptr<RevisionEvents> events_;
  std::vector<LeaseChange> lease_changes_;
};

void Store::Transaction::write(mvccpb::Event event, const KeyVersion& version) {
  const bool deletion = version.is_deletion();
  mvccpb::KeyValue& kv = *event.mutable_kv();
  const std::int64_t lease = kv.lease();
  std::string bytes = kv.SerializeAsString();  // of a deletion: the key alone
  if (deletion) kv.set_mod_revision(version.modified.main);

  const std::int64_t old_lease = store_.index_.add(kv.key(), version, lease);
  if (old_lease != lease) lease_changes_.push_back({kv.key(), old_lease, lease});

  if (!events_) {
    events_ = std::make_shared<RevisionEvents>();
    events_->revision = version.modified.main;
  }
  events_->byte_count += bytes.size();
  store_.overlay_.add_record(version.modified, deletion, std::move(bytes));
  events_->events.push_back(std::move(event));
  ++changes_;
}

PutResponse Store::Transaction::put(const PutRequest& request) {
  PutResponse response;
  const Revision revision{store_.current_ + 1, changes_};
  const KeyIndex::Entry* before = store_.index_.find_live(request.key());
  mvccpb::KeyValue previous;
  const bool shows_previous = request.prev_kv() && has_room();
  const bool needs_previous = shows_previous || request.ignore_value();
  if (before != nullptr && needs_previous) store_.read_record(before->head().modified, previous);

  KeyVersion version{revision, revision.main, 1};
  mvccpb::Event event;
  mvccpb::KeyValue& kv = *event.mutable_kv();
  kv.set_key(request.key());
  kv.set_lease(request.lease());
  if (before != nullptr) {
    version.create_revision = before->head().create_revision;
    version.version = before->head().version + 1;
    if (request.ignore_lease()) kv.set_lease(before->lease());
  }
  kv.set_create_revision(version.create_revision);
  kv.set_mod_revision(revision.main);
  kv.set_version(version.version);
  kv.set_value(request.ignore_value() ? previous.value() : request.value());
  if (before != nullptr && shows_previous) {
    response_bytes_ += response_bytes(request.key().size(), previous.value().size());
    response.mutable_prev_kv()->Swap(&previous);
  }
  write(std::move(event), version);
  response.mutable_header()->set_revision(now());
  return response;
}

bool Store::Transaction::delete_key(std::string_view key, DeleteRangeResponse* previous_to) {
  const KeyIndex::Entry* before = store_.index_.find_live(key);
  if (before == nullptr) return false;
  if (previous_to != nullptr && has_room()) {
    mvccpb::KeyValue& previous = *previous_to->add_prev_kvs();
    store_.read_record(before->head().modified, previous);
    response_bytes_ += response_bytes(key.size(), previous.value().size());
  }
  mvccpb::Event event;
  event.set_type(mvccpb::Event::DELETE);
  event.mutable_kv()->set_key(key.data(), key.size());
  write(std::move(event), KeyVersion{{store_.current_ + 1, changes_}, 0, 0});
  return true;
}

DeleteRangeResponse Store::Transaction::delete_range(const DeleteRangeRequest& request) {
  DeleteRangeResponse response;
  std::vector<std::string> keys;
  store_.index_.visit(KeyRange(request.key(), request.range_end()),
                      [&](std::string_view key, const KeyIndex::Entry& entry) {
                        if (entry.is_live()) keys.emplace_back(key);
                        return true;
                      });
  for (const std::string& key : keys) delete_key(key, request.prev_kv() ? &response : nullptr);
  response.set_deleted(static_cast<std::int64_t>(keys.size()));
  response.mutable_header()->set_revision(now());
  return response;
}

// False if a read failed.
bool Store::Transaction::range(const RangeRequest& request, RangeResponse& response) {
  if (!has_room()) return true;
  const std::int64_t seen = CONCLAVE_PLANTED(own_changes_unseen) ? store_.current_ : now();
  RangeWalk walk(store_, request, response, seen, store_.compacted_,
                 store_.response_bytes_max_ - response_bytes_);
  WalkBudget budget = WalkBudget::unlimited();
  const api::Reply<bool> done = walk.step(budget);
  response_bytes_ += walk.byte_count();
  CONCLAVE_CHECK(done || store_.failure_ || done.error() == api::Refusal::response_too_large,
                 "a range was refused after the operations were checked");
  if (CONCLAVE_PLANTED(large_answer_ends_txn) && !done) return false;
  return !store_.failure_;
}

bool Store::Transaction::run_operation(const RequestOp& operation, const Branches& branches,
                                       std::size_t& next_branch, ResponseOp& response) {
  switch (operation.request_case()) {
    case RequestOp::kRequestRange:
      return range(operation.request_range(), *response.mutable_response_range());
    case RequestOp::kRequestPut:
      *response.mutable_response_put() = put(operation.request_put());
      break;
    case RequestOp::kRequestDeleteRange:
      *response.mutable_response_delete_range() = delete_range(operation.request_delete_range());
      break;
    case RequestOp::kRequestTxn: {
      TxnResponse& nested = *response.mutable_response_txn();
      nested.mutable_header();  // there, but empty, as etcd's
      return run(operation.request_txn(), branches, next_branch, nested);
    }
    default:
      break;
  }
  return !store_.failure_;
}

bool Store::Transaction::run(const TxnRequest& request, const Branches& branches,
                             std::size_t& next_branch, TxnResponse& response) {
  const bool succeeded = branches[next_branch++];
  response.set_succeeded(succeeded);
  for (const RequestOp& operation : succeeded ? request.success() : request.failure()) {
    if (!run_operation(operation, branches, next_branch, *response.add_responses())) return false;
  }
  return true;
}

template <class Response>
api::Reply<Applied<Response>> Store::Transaction::finish(Response response) {
  if (store_.failure_) return api::Refusal::corrupt;
  if (changes_ > 0) ++store_.current_;
  return Applied<Response>{std::move(response), std::move(events_), std::move(lease_changes_),
                           response_bytes_ > store_.response_bytes_max_};
}

api::Reply<Applied<PutResponse>> Store::put(const PutRequest& request, const LeaseChecker& leases) {
  if (auto checked = check_lease(request, leases); !checked) return checked.error();
  if (auto checked = check_ignored(request); !checked) return checked.error();
  Transaction transaction(*this);
  return transaction.finish(transaction.put(request));
}

api::Reply<Applied<DeleteRangeResponse>> Store::delete_range(const DeleteRangeRequest& request,
                                                             bool is_answered) {
  Transaction transaction(*this, is_answered);
  return transaction.finish(transaction.delete_range(request));
}

api::Reply<Applied<DeleteRangeResponse>> Store::delete_keys(std::span<const std::string> keys) {
  Transaction transaction(*this);
  DeleteRangeResponse response;
  for (const std::string& key : keys) {
    if (transaction.delete_key(key, nullptr)) response.set_deleted(response.deleted() + 1);
  }
  response.mutable_header()->set_revision(transaction.now());
  return transaction.finish(std::move(response));
}

api::Reply<Applied<TxnResponse>> Store::txn(const TxnRequest& request, const LeaseChecker& leases,
                                            bool is_answered) {
  Branches branches;
  choose_branches(request, branches);
  if (failure_) return api::Refusal::corrupt;
  if (auto checked = check_operations(request, leases, branches); !checked) {
    return checked.error();
  }
  Transaction transaction(*this, is_answered);
  TxnResponse response;
  std::size_t next_branch = 0;
  if (!transaction.run(request, branches, next_branch, response)) return api::Refusal::corrupt;
  response.mutable_header()->set_revision(transaction.now());
  return transaction.finish(std::move(response));
}

}  // namespace conclave::mvcc
