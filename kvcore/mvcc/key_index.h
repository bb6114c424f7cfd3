#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/mvcc/revision.h"

namespace conclave::mvcc {

// The keys that a request names: one key, [begin, end), or everything from begin on. The wire
// writes the last as the end "\0". The views must outlive it.
class KeyRange {
 public:
  KeyRange(std::string_view key, std::string_view range_end)
      : begin_(key),
        end_(range_end),
        single_(range_end.empty()),
        unbounded_(range_end.size() == 1 && range_end[0] == '\0') {}

  std::string_view begin() const { return begin_; }
  bool is_single() const { return single_; }
  // Whether `key`, which must not be below begin(), is beyond the range.
  bool is_past(std::string_view key) const {
    if (unbounded_) return false;
    return single_ ? key != begin_ : key >= end_;
  }
  bool contains(std::string_view key) const { return key >= begin_ && !is_past(key); }
  // No key can be in it.
  bool is_empty() const { return !single_ && !unbounded_ && end_ <= begin_; }

 private:
  std::string_view begin_;
  std::string_view end_;
  bool single_;
  bool unbounded_;
};

// What is known of a key at some revision without reading its value.
struct KeyVersion {
  Revision modified;
  std::int64_t create_revision = 0;
  std::int64_t version = 0;  // 0: deleted

  bool is_deletion() const { return version == 0; }
};

// Which revisions every key has: the live state and the history since the last compaction, so that
// counting, keys-only reads, compares and most sorts never touch a value.
//
// A key costs about 120 bytes besides its own, and each older version 48 until it is compacted
// away. Not thread-safe.
class KeyIndex {
 public:
  // A key's newest version, the lease of that one, and the older ones, oldest first.
  struct Entry {
    KeyVersion head;
    std::int64_t lease = 0;
    std::unique_ptr<std::vector<KeyVersion>> history;

    // The newest version of at most main revision `revision`; null if there is none or it is a
    // deletion.
    const KeyVersion* at(std::int64_t revision) const;
  };

  // The live version of the key, or null.
  const Entry* find_live(std::string_view key) const;
  // The version that a reader at `revision` sees, or null.
  const KeyVersion* find(std::string_view key, std::int64_t revision) const;

  // Calls visit(std::string_view key, const Entry&) in key order until it returns false. `visit`
  // must not change the index.
  template <class Visit>
  void visit(const KeyRange& range, Visit&& visit) const {
    for (auto it = entries_.lower_bound(range.begin()); it != entries_.end(); ++it) {
      if (range.is_past(it->first) || !visit(std::string_view(it->first), it->second)) return;
    }
  }
  template <class Visit>
  void visit_all(Visit&& visit) const {
    for (const auto& [key, entry] : entries_) visit(std::string_view(key), entry);
  }

  // Changes come in the order of their revisions. Returns the lease of the version before, 0 if it
  // had none.
  std::int64_t add(std::string_view key, const KeyVersion& version, std::int64_t lease);

  // Deleted keys count until the deletion is compacted away.
  std::size_t size() const { return entries_.size(); }

  // Whether there are versions that no reader at or above `compacted` can see. A deletion made at
  // `compacted` itself is kept, for a watch that starts there.
  bool removal_pending(std::int64_t compacted) const;
  struct Removed {
    Revision revision;
    bool deletion;
  };
  // Forgets such versions, until about `max` are gone or none is left, and returns them.
  std::vector<Removed> remove_compacted(std::int64_t compacted, std::size_t max);

 private:
  using Entries = std::map<std::string, Entry, std::less<>>;
  // Nodes of a std::map stay where they are. One is erased only with the removal of the deletion
  // that is its last version, when no other removal of that key is left.
  struct Superseded {
    std::int64_t due;  // the successor's main revision; the version can go once that is compacted
    Entries::iterator entry;
  };
  struct Deletion {
    Revision revision;  // can go once a later main revision is compacted
    Entries::iterator entry;
  };

  static void prune(Entry& entry, std::int64_t compacted, std::vector<Removed>& removed);

  Entries entries_;
  std::deque<Superseded> superseded_;  // ascending
  std::deque<Deletion> deletions_;     // ascending
};

}  // namespace conclave::mvcc
