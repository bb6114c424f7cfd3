#include "conclave/mvcc/key_index.h"

#include <algorithm>
#include <utility>

#include "conclave/base/check.h"

namespace conclave::mvcc {

const KeyVersion* KeyIndex::Entry::at(std::int64_t revision) const {
  const KeyVersion* found = nullptr;
  if (head.modified.main <= revision) {
    found = &head;
  } else if (history) {
    const auto after = std::upper_bound(
        history->begin(), history->end(), revision,
        [](std::int64_t wanted, const KeyVersion& v) { return wanted < v.modified.main; });
    if (after != history->begin()) found = &*std::prev(after);
  }
  return found != nullptr && !found->is_deletion() ? found : nullptr;
}

const KeyIndex::Entry* KeyIndex::find_live(std::string_view key) const {
  const auto it = entries_.find(key);
  return it != entries_.end() && !it->second.head.is_deletion() ? &it->second : nullptr;
}

const KeyVersion* KeyIndex::find(std::string_view key, std::int64_t revision) const {
  const auto it = entries_.find(key);
  return it != entries_.end() ? it->second.at(revision) : nullptr;
}

std::int64_t KeyIndex::add(std::string_view key, const KeyVersion& version, std::int64_t lease) {
  std::int64_t old_lease = 0;
  auto it = entries_.lower_bound(key);
  if (it == entries_.end() || it->first != key) {
    it = entries_.emplace_hint(it, std::string(key), Entry{version, lease, nullptr});
  } else {
    Entry& entry = it->second;
    CONCLAVE_CHECK(entry.head.modified < version.modified, "revisions of a key must ascend");
    if (!entry.head.is_deletion()) superseded_.push_back({version.modified.main, it});
    if (!entry.history) entry.history = std::make_unique<std::vector<KeyVersion>>();
    entry.history->push_back(entry.head);
    entry.head = version;
    old_lease = std::exchange(entry.lease, lease);
  }
  if (version.is_deletion()) deletions_.push_back({version.modified, it});
  return old_lease;
}

bool KeyIndex::removal_pending(std::int64_t compacted) const {
  return (!superseded_.empty() && superseded_.front().due <= compacted) ||
         (!deletions_.empty() && deletions_.front().revision.main < compacted);
}

void KeyIndex::prune(Entry& entry, std::int64_t compacted, std::vector<Removed>& removed) {
  if (!entry.history) return;
  std::vector<KeyVersion>& history = *entry.history;
  std::size_t count = 0;
  for (; count < history.size(); ++count) {
    const KeyVersion& version = history[count];
    const KeyVersion& successor = count + 1 < history.size() ? history[count + 1] : entry.head;
    const bool can_go = version.is_deletion() ? version.modified.main < compacted
                                              : successor.modified.main <= compacted;
    if (!can_go) break;
    removed.push_back({version.modified, version.is_deletion()});
  }
  if (count == history.size()) {
    entry.history.reset();
  } else {
    history.erase(history.begin(), history.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

std::vector<KeyIndex::Removed> KeyIndex::remove_compacted(std::int64_t compacted, std::size_t max) {
  std::vector<Removed> removed;
  while (removed.size() < max && !superseded_.empty() && superseded_.front().due <= compacted) {
    prune(superseded_.front().entry->second, compacted, removed);
    superseded_.pop_front();
  }
  // A deletion goes only after what it deleted, so that nothing comes to life again if the node
  // stops in between; and an entry only when nothing in superseded_ refers to it any more.
  while (removed.size() < max && !deletions_.empty() &&
         deletions_.front().revision.main < compacted) {
    const auto [revision, it] = deletions_.front();
    deletions_.pop_front();
    prune(it->second, compacted, removed);
    if (it->second.head.modified == revision) {
      removed.push_back({revision, true});
      entries_.erase(it);
    }
  }
  return removed;
}

}  // namespace conclave::mvcc
