#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "conclave/mvcc/key_entry.h"

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

// Entries in the order of their keys: sorted blocks of up to 256, and a list of the blocks. It
// costs about 18 bytes a key.
//
// A search reads few keys: a block knows what its keys begin with in common, and has the next eight
// bytes of each beside the pointer to it; so has the list of blocks of their first keys. Splitting
// a block moves the list of blocks, which with ten million keys is some 300 KB for every 128 keys
// that come in.
//
// Not thread-safe.
class KeyTree {
 public:
  KeyTree() = default;
  KeyTree(KeyTree&& other) noexcept;
  KeyTree& operator=(KeyTree&& other) noexcept;
  ~KeyTree();

  // Where a key is, or belongs. Holds until the next change of the tree.
  struct Place {
    std::size_t block;
    std::size_t slot;  // the first whose key is not below; may be one behind the block's last
    KeyEntry* entry;   // null: the key is not there
  };
  Place locate(std::string_view key) const;

  KeyEntry* find(std::string_view key) const { return locate(key).entry; }
  // At the place that locate() gave for its key, which must not be there yet.
  KeyEntry& insert(Place place, KeyEntry::Owner entry);
  void erase(const KeyEntry& entry);
  std::size_t size() const { return size_; }

  // Calls visit(std::string_view key, const KeyEntry&) in key order until it returns false. `visit`
  // must not change the tree.
  template <class Visit>
  void visit(const KeyRange& range, Visit&& visit) const {
    const Place start = locate(range.begin());
    std::size_t slot = start.slot;
    for (std::size_t block = start.block; block < blocks_.size(); ++block, slot = 0) {
      const std::vector<Slot>& slots = blocks_[block].slots;
      for (; slot < slots.size(); ++slot) {
        const KeyEntry& entry = *slots[slot].entry;
        if (range.is_past(entry.key()) || !visit(entry.key(), entry)) return;
      }
    }
  }
  template <class Visit>
  void visit_all(Visit&& visit) const {
    for (const Block& block : blocks_) {
      for (const Slot& slot : block.slots) visit(slot.entry->key(), *slot.entry);
    }
  }

 private:
  struct Slot {
    std::uint64_t head;  // the key's eight bytes behind the block's prefix, big-endian
    KeyEntry* entry;
  };
  struct Block {
    std::uint64_t head = 0;       // of its first key, behind what all keys have in common
    std::size_t prefix_size = 0;  // that many bytes all its keys have in common
    std::vector<Slot> slots;      // ascending, never empty

    std::string_view first_key() const { return slots.front().entry->key(); }
    std::size_t lower_bound(std::string_view key) const;
    void set_prefix(std::size_t size);
    void tighten_prefix();
  };

  std::size_t block_of(std::string_view key) const;
  void share_prefix(std::string_view key);
  void split(std::size_t block);
  void merge_small(std::size_t block);

  std::vector<Block> blocks_;
  std::size_t prefix_size_ = 0;  // that many bytes all keys have in common
  std::size_t size_ = 0;
};

}  // namespace conclave::mvcc
