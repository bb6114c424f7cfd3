#include "conclave/mvcc/key_tree.h"

#include <algorithm>
#include <utility>

#include "conclave/base/check.h"

namespace conclave::mvcc {
namespace {

constexpr std::size_t kSlotsMax = 256;
// Two neighbours that together have no more than this become one.
constexpr std::size_t kMergedMax = 128;
// A block grows in small steps, so that little of it lies idle.
constexpr std::size_t kGrowth = 32;
constexpr std::size_t kHeadBytes = 8;

std::uint64_t head_of(std::string_view key, std::size_t prefix_size) {
  std::uint64_t head = 0;
  const std::size_t end = std::min(key.size(), prefix_size + kHeadBytes);
  for (std::size_t i = prefix_size; i < end; ++i) {
    head |= std::uint64_t{static_cast<unsigned char>(key[i])}
            << (8 * (kHeadBytes - 1 - (i - prefix_size)));
  }
  return head;
}

std::size_t common_size(std::string_view left, std::string_view right) {
  const auto [end, ignored] = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  return static_cast<std::size_t>(end - left.begin());
}

}  // namespace

KeyTree::KeyTree(KeyTree&& other) noexcept
    : blocks_(std::exchange(other.blocks_, {})), size_(std::exchange(other.size_, 0)) {}

KeyTree& KeyTree::operator=(KeyTree&& other) noexcept {
  std::swap(blocks_, other.blocks_);
  std::swap(size_, other.size_);
  return *this;
}

KeyTree::~KeyTree() {
  for (const Block& block : blocks_) {
    for (const Slot& slot : block.slots) KeyEntry::Destroy()(slot.entry);
  }
}

std::size_t KeyTree::lower_bound(const Block& block, std::string_view key) {
  const std::string_view prefix = block.slots.front().entry->key().substr(0, block.prefix_size);
  const int order = key.substr(0, prefix.size()).compare(prefix);
  if (order != 0) return order < 0 ? 0 : block.slots.size();
  const std::uint64_t head = head_of(key, prefix.size());
  const auto it =
      std::lower_bound(block.slots.begin(), block.slots.end(), key,
                       [head](const Slot& slot, std::string_view wanted) {
                         return slot.head != head ? slot.head < head : slot.entry->key() < wanted;
                       });
  return static_cast<std::size_t>(it - block.slots.begin());
}

KeyTree::Place KeyTree::lower_bound(std::string_view key) const {
  const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), key,
                                      [](std::string_view wanted, const Block& block) {
                                        return wanted < block.slots.front().entry->key();
                                      });
  const auto index =
      static_cast<std::size_t>(std::max<std::ptrdiff_t>(after - blocks_.begin() - 1, 0));
  return {index, lower_bound(blocks_[index], key)};
}

KeyEntry* KeyTree::find(std::string_view key) const {
  if (blocks_.empty()) return nullptr;
  const Place place = lower_bound(key);
  const std::vector<Slot>& slots = blocks_[place.block].slots;
  if (place.slot == slots.size() || slots[place.slot].entry->key() != key) return nullptr;
  return slots[place.slot].entry;
}

KeyEntry& KeyTree::insert(KeyEntry::Owner owner) {
  KeyEntry& entry = *owner;
  const std::string_view key = entry.key();
  if (blocks_.empty()) blocks_.push_back({key.size(), {}});
  Place place = blocks_.front().slots.empty() ? Place{0, 0} : lower_bound(key);
  if (blocks_[place.block].slots.size() == kSlotsMax) {
    const bool at_end = place.block + 1 == blocks_.size() && place.slot == kSlotsMax;
    split(place.block, at_end);
    if (at_end) {
      blocks_.push_back({key.size(), {}});
      place = {place.block + 1, 0};
    } else {
      place = lower_bound(key);
    }
  }
  Block& block = blocks_[place.block];
  if (!block.slots.empty()) {
    const std::size_t common =
        common_size(block.slots.front().entry->key().substr(0, block.prefix_size), key);
    if (common < block.prefix_size) set_prefix(block, common);
  }
  if (block.slots.size() == block.slots.capacity()) {
    block.slots.reserve(block.slots.size() + kGrowth);
  }
  block.slots.insert(block.slots.begin() + static_cast<std::ptrdiff_t>(place.slot),
                     {head_of(key, block.prefix_size), owner.release()});
  ++size_;
  return entry;
}

void KeyTree::erase(const KeyEntry& entry) {
  const Place place = lower_bound(entry.key());
  std::vector<Slot>& slots = blocks_[place.block].slots;
  CONCLAVE_CHECK(place.slot < slots.size() && slots[place.slot].entry == &entry,
                 "an entry of another tree");
  KeyEntry::Destroy()(slots[place.slot].entry);
  slots.erase(slots.begin() + static_cast<std::ptrdiff_t>(place.slot));
  --size_;
  if (slots.empty()) {
    blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(place.block));
  } else {
    merge_small(place.block);
  }
}

void KeyTree::set_prefix(Block& block, std::size_t prefix_size) {
  block.prefix_size = prefix_size;
  for (Slot& slot : block.slots) slot.head = head_of(slot.entry->key(), prefix_size);
}

void KeyTree::tighten_prefix(Block& block) {
  set_prefix(block, common_size(block.slots.front().entry->key(), block.slots.back().entry->key()));
}

// Keys that come in ascending order leave full blocks behind.
void KeyTree::split(std::size_t index, bool at_end) {
  if (at_end) {
    blocks_[index].slots.shrink_to_fit();
    return;
  }
  Block upper{0, {}};
  std::vector<Slot>& slots = blocks_[index].slots;
  const auto middle = slots.begin() + static_cast<std::ptrdiff_t>(slots.size() / 2);
  upper.slots.reserve(kSlotsMax / 2 + kGrowth);
  upper.slots.assign(middle, slots.end());
  slots.erase(middle, slots.end());
  slots.shrink_to_fit();
  tighten_prefix(blocks_[index]);
  tighten_prefix(upper);
  blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(upper));
}

void KeyTree::merge_small(std::size_t index) {
  if (index + 1 == blocks_.size()) {
    if (index == 0) return;
    --index;
  }
  std::vector<Slot>& slots = blocks_[index].slots;
  const std::vector<Slot>& following = blocks_[index + 1].slots;
  if (slots.size() + following.size() > kMergedMax) return;
  slots.insert(slots.end(), following.begin(), following.end());
  blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(index) + 1);
  tighten_prefix(blocks_[index]);
}

}  // namespace conclave::mvcc
