#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "conclave/mvcc/key_entry.h"
#include "conclave/mvcc/key_tree.h"
#include "conclave/mvcc/revision.h"

namespace conclave::mvcc {

// Which revisions every key has: the live state and the history since the last compaction, so that
// counting, keys-only reads, compares and most sorts never touch a value.
//
// A key of up to 16 bytes costs about 85 bytes in all, and each older version 48 until it is
// compacted away. Not thread-safe.
class KeyIndex {
 public:
  using Entry = KeyEntry;

  // The live version of the key, or null.
  const Entry* find_live(std::string_view key) const;
  // The version that a reader at `revision` sees.
  std::optional<KeyVersion> find(std::string_view key, std::int64_t revision) const;

  // Calls visit(std::string_view key, const Entry&) in key order until it returns false. `visit`
  // must not change the index.
  template <class Visit>
  void visit(const KeyRange& range, Visit&& visit) const {
    tree_.visit(range, std::forward<Visit>(visit));
  }
  template <class Visit>
  void visit_all(Visit&& visit) const {
    tree_.visit_all(std::forward<Visit>(visit));
  }

  // Changes come in the order of their revisions. Returns the lease of the version before, 0 if it
  // had none.
  std::int64_t add(std::string_view key, const KeyVersion& version, std::int64_t lease);

  // Deleted keys count until the deletion is compacted away.
  std::size_t size() const { return tree_.size(); }

  // Whether there are versions that no reader at or above `compacted` can see. A deletion made at
  // `compacted` itself is kept, for a watch that starts there.
  bool removal_pending(std::int64_t compacted) const;
  struct Removed {
    Revision revision;
    bool deletion;
  };
  // Forgets such versions, and returns them, in about `max` steps of work; fewer are needed if none
  // is left.
  std::vector<Removed> remove_compacted(std::int64_t compacted, std::size_t max);

 private:
  // An entry is erased only with the removal of the deletion that is its last version, when no
  // other removal of that key is left.
  struct Superseded {
    std::int64_t due;  // the successor's main revision; the version can go once that is compacted
    Entry* entry;
  };
  struct Deletion {
    Revision revision;  // can go once a later main revision is compacted
    Entry* entry;
  };

  // Whether all that can go is gone: false if `max` was reached before.
  static bool prune(Entry& entry, std::int64_t compacted, std::size_t max,
                    std::vector<Removed>& removed);

  KeyTree tree_;
  std::deque<Superseded> superseded_;  // ascending
  std::deque<Deletion> deletions_;     // ascending
};

}  // namespace conclave::mvcc
