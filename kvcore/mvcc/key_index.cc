#include "conclave/mvcc/key_index.h"

#include "conclave/base/planted_bugs.h"

namespace conclave::mvcc {

const KeyIndex::Entry* KeyIndex::find_live(std::string_view key) const {
  const Entry* entry = tree_.find(key);
  return entry != nullptr && entry->is_live() ? entry : nullptr;
}

std::optional<KeyVersion> KeyIndex::find(std::string_view key, std::int64_t revision) const {
  const Entry* entry = tree_.find(key);
  return entry != nullptr ? entry->at(revision) : std::nullopt;
}

std::int64_t KeyIndex::add(std::string_view key, const KeyVersion& version, std::int64_t lease) {
  std::int64_t old_lease = 0;
  const KeyTree::Place place = tree_.locate(key);
  Entry* entry = place.entry;
  if (entry == nullptr) {
    entry = &tree_.insert(place, Entry::make(key, version, lease));
  } else {
    if (entry->is_live()) superseded_.push_back({version.modified.main, entry});
    old_lease = entry->lease();
    entry->replace_head(version, lease);
  }
  if (version.is_deletion()) deletions_.push_back({version.modified, entry});
  return old_lease;
}

bool KeyIndex::removal_pending(std::int64_t compacted) const {
  return (!superseded_.empty() && superseded_.front().due <= compacted) ||
         (!deletions_.empty() && deletions_.front().revision.main < compacted);
}

bool KeyIndex::prune(Entry& entry, std::int64_t compacted, std::size_t max,
                     std::vector<Removed>& removed) {
  while (entry.older_count() > 0) {
    const KeyVersion version = entry.oldest();
    const bool can_go = version.is_deletion() ? version.modified.main < compacted
                        : CONCLAVE_PLANTED(compaction_takes_visible)
                            ? version.modified.main <= compacted
                            : entry.second_oldest().modified.main <= compacted;
    if (!can_go) return true;
    if (removed.size() >= max) return false;
    removed.push_back({version.modified, version.is_deletion()});
    entry.forget_oldest();
  }
  return true;
}

std::vector<KeyIndex::Removed> KeyIndex::remove_compacted(std::int64_t compacted, std::size_t max) {
  std::vector<Removed> removed;
  // A key that changed often is in the queue as often, and its first turn does the work of all.
  std::size_t turns = 0;
  while (turns < max && !superseded_.empty() && superseded_.front().due <= compacted) {
    if (!prune(*superseded_.front().entry, compacted, max, removed)) return removed;
    superseded_.pop_front();
    ++turns;
  }
  if (CONCLAVE_PLANTED(compaction_takes_deletion)) ++compacted;
  // A deletion goes only after what it deleted, so that nothing comes to life again if the node
  // stops in between; and an entry only when nothing in superseded_ refers to it any more.
  while (turns < max && !deletions_.empty() && deletions_.front().revision.main < compacted) {
    const auto [revision, entry] = deletions_.front();
    if (!prune(*entry, compacted, max, removed)) return removed;
    deletions_.pop_front();
    ++turns;
    if (entry->head().modified == revision) {
      removed.push_back({revision, true});
      tree_.erase(*entry);
    }
  }
  return removed;
}

}  // namespace conclave::mvcc
