#include "tests/support/model_store.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace conclave::sim {
namespace {

std::int64_t number_of(const KeyValue& kv, SortTarget target) {
  switch (target) {
    case SortTarget::version:
      return kv.version;
    case SortTarget::create_revision:
      return kv.create_revision;
    default:
      return kv.mod_revision;
  }
}

bool compare_numbers(std::int64_t left, Compare::Relation relation, std::int64_t right) {
  switch (relation) {
    case Compare::Relation::equal:
      return left == right;
    case Compare::Relation::greater:
      return left > right;
    case Compare::Relation::less:
      return left < right;
    case Compare::Relation::not_equal:
      return left != right;
  }
  return false;
}

bool compare_one(const KeyValue& kv, const Compare& compare) {
  switch (compare.target) {
    case Compare::Target::version:
      return compare_numbers(kv.version, compare.relation, compare.number);
    case Compare::Target::create_revision:
      return compare_numbers(kv.create_revision, compare.relation, compare.number);
    case Compare::Target::mod_revision:
      return compare_numbers(kv.mod_revision, compare.relation, compare.number);
    case Compare::Target::lease:
      return compare_numbers(kv.lease, compare.relation, compare.number);
    case Compare::Target::value:
      return compare_numbers(kv.value.compare(compare.value), compare.relation, 0);
  }
  return false;
}

}  // namespace

bool in_range(const std::string& key, const std::string& from, const std::string& range_end) {
  if (range_end.empty()) return key == from;
  return key >= from && (range_end == std::string(1, '\0') || key < range_end);
}

const KeyValue* ModelStore::find(const std::string& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &found->second;
}

Result<GetResult> ModelStore::get(const Get& get) const {
  if (get.revision > revision_)
    return Error{Errc::refused, "required revision is a future revision"};
  if (get.revision != 0 && get.revision < compact_revision_) {
    return Error{Errc::compacted, "required revision has been compacted"};
  }
  std::map<std::string, KeyValue> past;
  if (get.revision != 0) {
    for (const Event& event : history_) {
      if (event.kv.mod_revision > get.revision) break;
      past.erase(event.kv.key);
      if (event.type == Event::Type::put) past[event.kv.key] = event.kv;
    }
  }
  GetResult result;
  result.revision = revision_;
  for (const auto& [key, kv] : get.revision == 0 ? keys_ : past) {
    if (!in_range(key, get.key, get.range_end)) continue;
    ++result.count;
    if (get.max_create_revision != 0 && kv.create_revision > get.max_create_revision) continue;
    if (get.min_create_revision != 0 && kv.create_revision < get.min_create_revision) continue;
    if (get.max_mod_revision != 0 && kv.mod_revision > get.max_mod_revision) continue;
    if (get.min_mod_revision != 0 && kv.mod_revision < get.min_mod_revision) continue;
    result.kvs.push_back(kv);
    if (get.keys_only) result.kvs.back().value.clear();
  }
  if (get.sort_target != SortTarget::key && get.sort_order != SortOrder::none) {
    std::ranges::stable_sort(result.kvs, [&](const KeyValue& left, const KeyValue& right) {
      return number_of(left, get.sort_target) < number_of(right, get.sort_target);
    });
  }
  if (get.sort_order == SortOrder::descending) std::ranges::reverse(result.kvs);
  if (get.limit != 0 && std::ssize(result.kvs) > get.limit) {
    result.kvs.resize(static_cast<std::size_t>(get.limit));
    result.more = true;
  }
  return result;
}

bool ModelStore::holds(const Compare& compare) const {
  bool found = false;
  for (const auto& [key, kv] : keys_) {
    if (!in_range(key, compare.key, compare.range_end)) continue;
    found = true;
    if (!compare_one(kv, compare)) return false;
  }
  if (found) return true;
  return compare.target != Compare::Target::value && compare_one(KeyValue{}, compare);
}

bool ModelStore::leases_exist(const std::vector<Op>& operations) const {
  return std::ranges::all_of(operations, [&](const Op& op) {
    const Put* put = std::get_if<Put>(&op);
    return put == nullptr || put->lease == 0 || expiries_.contains(put->lease);
  });
}

Result<TxnResult> ModelStore::branch(const Txn& txn) {
  TxnResult result;
  result.succeeded =
      std::ranges::all_of(txn.compares, [&](const Compare& compare) { return holds(compare); });
  const std::vector<Op>& operations = result.succeeded ? txn.success : txn.failure;
  if (!leases_exist(operations)) return Error{Errc::not_found, "requested lease not found"};
  for (const Op& op : operations) {
    if (const Txn* nested = std::get_if<Txn>(&op)) {
      Result<TxnResult> inner = branch(*nested);
      if (!inner) return inner;
      result.results.emplace_back(*std::move(inner));
    } else {
      result.results.push_back(carry_out(op));
    }
  }
  return result;
}

Result<TxnResult> ModelStore::txn(const Txn& txn) {
  Result<TxnResult> result = branch(txn);
  commit();
  if (result) result->revision = revision_;
  return result;
}

OpResult ModelStore::carry_out(const Op& op) {
  if (const Get* range = std::get_if<Get>(&op)) return get(*range).value();
  if (const Put* write = std::get_if<Put>(&op)) {
    put(*write);
    return PutResult{};
  }
  const Delete& gone = std::get<Delete>(op);
  DeleteResult result;
  result.deleted = erase(gone.key, gone.range_end);
  return result;
}

void ModelStore::put(const Put& put) {
  KeyValue& kv = keys_[put.key];
  kv.key = put.key;
  kv.value = put.value;
  kv.lease = put.lease;
  kv.mod_revision = revision_ + 1;
  if (kv.version++ == 0) kv.create_revision = kv.mod_revision;
  pending_.push_back({Event::Type::put, kv, {}});
}

std::int64_t ModelStore::erase(const std::string& key, const std::string& range_end) {
  return static_cast<std::int64_t>(std::erase_if(keys_, [&](const auto& entry) {
    if (!in_range(entry.first, key, range_end)) return false;
    Event event;
    event.type = Event::Type::erase;
    event.kv.key = entry.first;
    event.kv.mod_revision = revision_ + 1;
    pending_.push_back(std::move(event));
    return true;
  }));
}

void ModelStore::commit() {
  if (pending_.empty()) return;
  ++revision_;
  const std::vector<Event> events = std::exchange(pending_, {});
  history_.insert(history_.end(), events.begin(), events.end());
  if (on_change) on_change(events);
}

void ModelStore::compact(std::int64_t revision) {
  compact_revision_ = std::max(compact_revision_, std::min(revision, revision_));
}

Result<Grant> ModelStore::grant(Duration ttl, LeaseId id, Instant now) {
  if (expiries_.contains(id)) return Error{Errc::refused, "lease already exists"};
  expiries_[id] = now + ttl;
  ttls_[id] = ttl;
  return Grant{id, ttl, {}};
}

Result<Duration> ModelStore::renew(LeaseId id, Instant now) {
  const auto found = expiries_.find(id);
  if (found == expiries_.end() || now >= found->second) {
    return Error{Errc::not_found, "requested lease not found"};
  }
  found->second = now + ttls_[id];
  return ttls_[id];
}

Result<void> ModelStore::revoke(LeaseId id) {
  if (expiries_.erase(id) == 0) return Error{Errc::not_found, "requested lease not found"};
  ttls_.erase(id);
  std::vector<std::string> attached;
  for (const auto& [key, kv] : keys_) {
    if (kv.lease == id) attached.push_back(key);
  }
  for (const std::string& key : attached) erase(key, {});
  commit();
  return {};
}

Instant ModelStore::expires_at(LeaseId id) const {
  const auto found = expiries_.find(id);
  return found == expiries_.end() ? Instant::max() : found->second;
}

std::vector<Event> ModelStore::events(const Watch& watch, std::int64_t from,
                                      std::int64_t to) const {
  std::vector<Event> result;
  const auto begin = std::ranges::lower_bound(
      history_, from, {}, [](const Event& event) { return event.kv.mod_revision; });
  for (auto event = begin; event != history_.end() && event->kv.mod_revision <= to; ++event) {
    if (!in_range(event->kv.key, watch.key, watch.range_end)) continue;
    if (watch.no_put && event->type == Event::Type::put) continue;
    if (watch.no_delete && event->type == Event::Type::erase) continue;
    result.push_back(*event);
  }
  return result;
}

}  // namespace conclave::sim
