#pragma once

#include <cstddef>
#include <cstdint>
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

  void add(WatcherId id, std::string_view key, std::string_view range_end);
  // With the arguments it was added with.
  void remove(WatcherId id, std::string_view key, std::string_view range_end);

  // Appends the watchers whose range holds `key`, each once, in no particular order.
  void find(std::string_view key, std::vector<WatcherId>& found) const;

 private:
  struct Node;

  std::unordered_map<std::string, std::vector<WatcherId>> single_;
  std::unique_ptr<Node> ranges_;
  Random priorities_{0};  // only shapes the tree
};

}  // namespace conclave::mvcc
