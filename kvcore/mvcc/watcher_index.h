#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/mvcc/key_index.h"

namespace conclave::mvcc {

using WatcherId = std::uint64_t;

// Finds the watchers of a key: single keys by hash, ranges by a tree over their beginnings in which
// every node knows the farthest end below it (an interval tree; Cormen et al., Introduction to
// Algorithms, 14.3), balanced as a treap. Watchers of the same range share a node.
//
// Not thread-safe.
class WatcherIndex {
 public:
  WatcherIndex();
  ~WatcherIndex();
  WatcherIndex(const WatcherIndex&) = delete;
  WatcherIndex& operator=(const WatcherIndex&) = delete;

  // `id` must be above all that were added before.
  void add(WatcherId id, std::string_view key, std::string_view range_end);
  // With the arguments it was added with.
  void remove(WatcherId id, std::string_view key, std::string_view range_end);

  // Appends the watchers whose range holds `key`, in no particular order, but for those that were
  // found before for the same `question`. So many keys of one question give each watcher once.
  void find(std::string_view key, std::int64_t question, std::vector<WatcherId>& found);

 private:
  struct Node;
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  // The watchers of one range. Removing takes no time that grows with their number: the removed are
  // marked, and swept out when they are the half.
  class Group {
   public:
    // Ids grow with time, which keeps them sorted.
    void add(WatcherId id);
    void remove(WatcherId id);
    bool empty() const { return ids_.size() == removed_count_; }
    void append_to(std::int64_t question, std::vector<WatcherId>& found);

   private:
    struct Member {
      WatcherId id;
      bool removed;
    };
    std::vector<Member> ids_;
    std::size_t removed_count_ = 0;
    std::int64_t answered_ = 0;  // the last question
  };

  std::unordered_map<std::string, Group, KeyHash, std::equal_to<>> single_;
  std::unique_ptr<Node> ranges_;
  Random priorities_{0};  // only shapes the tree
};

}  // namespace conclave::mvcc
