#include "conclave/mvcc/store.h"
#include "conclave/mvcc/walk.h"

namespace conclave::mvcc {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

Hold::Hold(const Store& store, std::int64_t revision) : store_(&store), at_(revision) {
  ++store.holds_[revision];
}

Hold::~Hold() {
  if (store_ == nullptr) return;
  const auto it = store_->holds_.find(at_);
  if (--it->second == 0) store_->holds_.erase(it);
}

ReadWalk::ReadWalk(const Store& store, const RangeRequest& request, RangeResponse& response)
    : store_(&store), now_(store.current_), compacted_(store.compacted_) {
  current_.emplace(store, request, response, now_, compacted_, store.response_bytes_max_);
}

ReadWalk::ReadWalk(const Store& store, const TxnRequest& request, TxnResponse& response)
    : store_(&store), now_(store.current_), compacted_(store.compacted_) {
  Store::Branches branches;
  store.choose_branches(request, branches);
  const LeaseChecker no_leases = [](std::int64_t) { return false; };
  if (store.failure_) {
    refusal_ = api::Refusal::corrupt;
  } else if (auto checked = store.check_operations(request, no_leases, branches); !checked) {
    refusal_ = checked.error();
  } else {
    std::size_t next_branch = 0;
    lay_out(request, branches, next_branch, response);
    response.mutable_header()->set_revision(now_);
  }
}

void ReadWalk::lay_out(const TxnRequest& request, const std::vector<bool>& branches,
                       std::size_t& next_branch, TxnResponse& response) {
  const bool succeeded = branches[next_branch++];
  response.set_succeeded(succeeded);
  for (const RequestOp& operation : succeeded ? request.success() : request.failure()) {
    etcdserverpb::ResponseOp& answer = *response.add_responses();
    if (operation.has_request_range()) {
      ranges_.push_back({&operation.request_range(), answer.mutable_response_range()});
    } else if (operation.has_request_txn()) {
      TxnResponse& nested = *answer.mutable_response_txn();
      nested.mutable_header();  // there, but empty, as etcd's
      lay_out(operation.request_txn(), branches, next_branch, nested);
    }
  }
}

api::Reply<bool> ReadWalk::step(WalkBudget& budget) {
  if (refusal_) return *refusal_;
  while (current_ || next_range_ < ranges_.size()) {
    if (!current_) {
      const Range& range = ranges_[next_range_++];
      current_.emplace(*store_, *range.request, *range.response, now_, compacted_,
                       store_->response_bytes_max_ - finished_bytes_);
    }
    const api::Reply<bool> done = current_->step(budget);
    if (!done) return done;
    if (!*done) {
      hold();
      return false;
    }
    finished_bytes_ += current_->byte_count();
    current_.reset();
  }
  hold_.reset();
  return true;
}

// A walk that ends in its first step, as nearly all do, pays for none of this.
void ReadWalk::hold() {
  if (hold_) return;
  std::int64_t oldest = current_->revision();
  for (std::size_t i = next_range_; i < ranges_.size(); ++i) {
    const std::int64_t revision = ranges_[i].request->revision();
    oldest = std::min(oldest, revision > 0 ? revision : now_);
  }
  hold_.emplace(*store_, oldest);
}

}  // namespace conclave::mvcc
