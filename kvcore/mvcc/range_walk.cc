#include <limits>

#include "conclave/mvcc/store.h"
#include "conclave/mvcc/walk.h"

namespace conclave::mvcc {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;

constexpr std::uint64_t kRunBytesMax = 16 << 20;
constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
bool has_filter(const RangeRequest& request) {
  return request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
         request.min_create_revision() != 0 || request.max_create_revision() != 0;
}

bool passes(const RangeRequest& request, const KeyVersion& version) {
  const auto within = [](std::int64_t value, std::int64_t min, std::int64_t max) {
    return (min == 0 || value >= min) && (max == 0 || value <= max);
  };
  return within(version.modified.main, request.min_mod_revision(), request.max_mod_revision()) &&
         within(version.create_revision, request.min_create_revision(),
                request.max_create_revision());
}

// How many of the keys in the range are looked at further. As in etcd, a limit cuts before an
// implied sort (a target without an order), but after an ordered one and after the filters. One
// more than the limit, to know whether there is more.
std::size_t fetch_limit(const RangeRequest& request) {
  if (request.count_only()) return 0;
  if (request.limit() <= 0 || request.sort_order() != RangeRequest::NONE || has_filter(request)) {
    return kNoLimit;
  }
  return static_cast<std::size_t>(request.limit()) + 1;
}

void fill_without_value(std::string_view key, const KeyVersion& version, mvccpb::KeyValue& record) {
  record.set_key(key.data(), key.size());
  record.set_create_revision(version.create_revision);
  record.set_mod_revision(version.modified.main);
  record.set_version(version.version);
}

}  // namespace

RangeWalk::RangeWalk(const Store& store, const RangeRequest& request, RangeResponse& response,
                     std::int64_t now, std::int64_t compacted, std::uint64_t bytes_max)
    : store_(&store),
      request_(&request),
      response_(&response),
      revision_(request.revision() > 0 ? request.revision() : now),
      bytes_max_(bytes_max),
      limit_(request.limit() > 0 ? static_cast<std::size_t>(request.limit()) : kNoLimit),
      max_found_(fetch_limit(request)),
      sorts_(request.sort_target() != RangeRequest::KEY ||
             request.sort_order() == RangeRequest::DESCEND) {
  if (revision_ > now) refusal_ = api::Refusal::future_revision;
  if (revision_ < compacted) refusal_ = api::Refusal::compacted;
  response.mutable_header()->set_revision(now);
}

api::Reply<bool> RangeWalk::step(WalkBudget& budget) {
  if (refusal_) return *refusal_;
  const bool done = (collected_ || collect(budget)) && (!sorts_ || merge(budget));
  if (refusal_) return *refusal_;
  return done;
}

bool RangeWalk::collect(WalkBudget& budget) {
  const KeyRange range(next_key_ ? *next_key_ : request_->key(), request_->range_end());
  bool stopped = false;
  std::string next;
  store_->index_.visit(range, [&](std::string_view key, const KeyIndex::Entry& entry) {
    if (budget.spent()) {
      next = key;
      stopped = true;
      return false;
    }
    budget.take(1);
    const std::optional<KeyVersion> version = entry.at(revision_);
    return !version || look_at(key, *version, budget);
  });
  if (sorts_) close_run();
  if (refusal_) return false;
  if (stopped) {
    next_key_ = std::move(next);
    return false;
  }
  collected_ = true;
  response_->set_count(count_);
  if (found_count_ > limit_) response_->set_more(true);
  return true;
}

bool RangeWalk::look_at(std::string_view key, const KeyVersion& version, WalkBudget& budget) {
  ++count_;
  if (found_count_ == max_found_ || !passes(*request_, version)) return true;
  ++found_count_;
  if (!sorts_) return emitted_ == limit_ || emit(key, version, budget);
  run_.push_back({key, version, nullptr});
  if (request_->sort_target() != RangeRequest::VALUE) return true;
  auto record = std::make_unique<mvccpb::KeyValue>();
  if (!store_->read_record(version.modified, *record)) {
    refusal_ = api::Refusal::corrupt;
    return false;
  }
  budget.take(WalkBudget::kWorkOfValue, record->value().size());
  run_bytes_ += key.size() + record->value().size();
  run_.back().record = std::move(record);
  if (run_bytes_ > kRunBytesMax) close_run();
  return !refusal_;
}

bool RangeWalk::emit(std::string_view key, const KeyVersion& version, WalkBudget& budget) {
  mvccpb::KeyValue& record = *response_->add_kvs();
  std::size_t work = 1;
  if (request_->keys_only()) {
    fill_without_value(key, version, record);
  } else if (store_->read_record(version.modified, record)) {
    work = WalkBudget::kWorkOfValue;
  } else {
    refusal_ = api::Refusal::corrupt;
    return false;
  }
  ++emitted_;
  const std::uint64_t bytes = response_bytes(key.size(), record.value().size());
  byte_count_ += bytes;
  budget.take(work, bytes);
  if (byte_count_ > bytes_max_) refusal_ = api::Refusal::response_too_large;
  return !refusal_;
}

bool RangeWalk::comes_before(const Found& left, const Found& right) const {
  const bool descending = request_->sort_order() == RangeRequest::DESCEND;
  const auto decide = [&](const auto& of_left, const auto& of_right) {
    if (of_left != of_right) return descending ? of_right < of_left : of_left < of_right;
    return left.key < right.key;
  };
  switch (request_->sort_target()) {
    case RangeRequest::VERSION:
      return decide(left.version.version, right.version.version);
    case RangeRequest::CREATE:
      return decide(left.version.create_revision, right.version.create_revision);
    case RangeRequest::MOD:
      return decide(left.version.modified.main, right.version.modified.main);
    case RangeRequest::VALUE:
      return decide(left.record->value(), right.record->value());
    default:
      return decide(left.key, right.key);
  }
}

// No more of a run than the limit can be answered, which for the first of many keys is little work.
void RangeWalk::close_run() {
  if (run_.empty()) return;
  const auto wanted = run_.begin() + static_cast<std::ptrdiff_t>(std::min(limit_, run_.size()));
  std::partial_sort(
      run_.begin(), wanted, run_.end(),
      [this](const Found& left, const Found& right) { return comes_before(left, right); });
  run_.erase(wanted, run_.end());
  run_bytes_ = 0;
  byte_count_ += run_.size() * sizeof(Found);
  for (const Found& found : run_) {
    if (found.record) byte_count_ += found.key.size() + found.record->value().size();
  }
  // Values that are compared lie here already, those beyond a later limit included.
  const bool holds_values = request_->sort_target() == RangeRequest::VALUE;
  if (holds_values && byte_count_ > bytes_max_) refusal_ = api::Refusal::response_too_large;
  heap_.push_back({runs_.size(), 0});
  runs_.push_back(std::exchange(run_, {}));
}

bool RangeWalk::merge(WalkBudget& budget) {
  const auto comes_later = [this](const Cursor& left, const Cursor& right) {
    return comes_before(runs_[right.run][right.position], runs_[left.run][left.position]);
  };
  if (emitted_ == 0) std::make_heap(heap_.begin(), heap_.end(), comes_later);
  while (!heap_.empty() && emitted_ < limit_) {
    if (budget.spent()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), comes_later);
    Cursor& cursor = heap_.back();
    Found& found = runs_[cursor.run][cursor.position];
    if (found.record && !request_->keys_only()) {
      ++emitted_;
      response_->add_kvs()->Swap(found.record.get());
      budget.take(1);
    } else if (!emit(found.key, found.version, budget)) {
      return false;
    }
    if (++cursor.position < runs_[cursor.run].size()) {
      std::push_heap(heap_.begin(), heap_.end(), comes_later);
    } else {
      heap_.pop_back();
    }
  }
  runs_.clear();
  return true;
}

}  // namespace conclave::mvcc
