#include "conclave/base/crc32c.h"
#include "conclave/mvcc/store.h"
#include "conclave/mvcc/walk.h"

namespace conclave::mvcc {
namespace {

// etcd's name for the table of records, which its hash begins with.
constexpr std::string_view kRecordsName = "key";

}  // namespace

HashWalk::HashWalk(const Store& store, std::int64_t revision,
                   etcdserverpb::HashKVResponse& response)
    : store_(&store),
      response_(&response),
      // As in etcd, a negative revision is one before everything: there is nothing to hash.
      revision_(revision != 0 ? revision : store.current_),
      compacted_(store.compacted_),
      kept_at_(revision_),
      hash_(crc32c(kRecordsName)) {
  if (revision > 0 && revision < compacted_) refusal_ = api::Refusal::compacted;
  if (revision > store.current_) refusal_ = api::Refusal::future_revision;
  if (refusal_) return;
  response.mutable_header()->set_revision(store.current_);
  response.set_compact_revision(compacted_);
  response.set_hash_revision(revision_);
  hold_.emplace(store, compacted_);
}

// Of the records at or below the compact revision only those count that a compaction at the hash's
// revision would keep, whatever is physically removed. If it would keep none at all, etcd takes
// what is still there.
bool HashWalk::find_any_live(WalkBudget& budget) {
  const std::string to_the_end(1, '\0');
  const std::string from = next_key_;
  bool found = false;
  bool stopped = false;
  store_->index_.visit(KeyRange(from, to_the_end),
                       [&](std::string_view key, const KeyIndex::Entry& entry) {
                         if (budget.spent()) {
                           next_key_ = key;
                           stopped = true;
                           return false;
                         }
                         budget.take(1);
                         found = entry.at(revision_).has_value();
                         return !found;
                       });
  if (stopped) return false;
  if (!found) kept_at_ = compacted_;
  return true;
}

bool HashWalk::is_kept(Revision revision, std::string_view value) {
  mvccpb::KeyValue record;
  if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    store_->fail({Errc::corrupt, "the store holds a record that cannot be read"});
    return false;
  }
  const std::optional<KeyVersion> seen = store_->index_.find(record.key(), kept_at_);
  return seen && seen->modified == revision;
}

bool HashWalk::add(std::string_view key_bytes, std::string_view value, WalkBudget& budget) {
  if (budget.spent()) {
    next_record_ = key_bytes;
    stopped_ = true;
    return false;
  }
  budget.take(WalkBudget::kWorkOfValue, value.size());
  const std::optional<RecordKey> key = parse_record_key(key_bytes);
  if (!key) {
    store_->fail({Errc::corrupt, "the store holds a record whose key cannot be read"});
    return false;
  }
  if (key->revision.main > revision_) return false;
  // Some releases of etcd remove a deletion at the compact revision, others keep it.
  if (key->revision.main <= compacted_ && (key->deletion || !is_kept(key->revision, value))) {
    return !store_->failure_;
  }
  hash_ = crc32c(value, crc32c(key_bytes, hash_));
  return true;
}

api::Reply<bool> HashWalk::step(WalkBudget& budget) {
  if (refusal_) return *refusal_;
  if (!kept_known_ && !find_any_live(budget)) return false;
  kept_known_ = true;
  stopped_ = false;
  const auto visit = [&](std::string_view key, std::string_view value) {
    return add(key, value, budget);
  };
  // What was uncommitted in the last step may be in the storage by now.
  const std::optional<std::int64_t> uncommitted = store_->overlay_.first_main();
  const std::string end = uncommitted ? record_key({*uncommitted, 0}, false) : std::string();
  const std::string from = next_record_;
  if (end.empty() || from < end) {
    Result<void> scanned = store_->storage_->scan(Table::records, from, end, visit);
    if (!scanned) return store_->fail(scanned.error());
  }
  if (!stopped_ && !store_->failure_) {
    const std::optional<RecordKey> key = parse_record_key(from);
    store_->overlay_.visit(key ? key->revision.main : 0,
                           [&](std::string_view each, std::string_view value) {
                             return each < from || visit(each, value);
                           });
  }
  if (store_->failure_) return api::Refusal::corrupt;
  if (stopped_) return false;
  hold_.reset();
  response_->set_hash(hash_);
  return true;
}

}  // namespace conclave::mvcc
