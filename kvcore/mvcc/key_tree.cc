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
    : blocks_(std::exchange(other.blocks_, {})),
      prefix_size_(other.prefix_size_),
      size_(std::exchange(other.size_, 0)) {}

KeyTree& KeyTree::operator=(KeyTree&& other) noexcept {
  std::swap(blocks_, other.blocks_);
  std::swap(prefix_size_, other.prefix_size_);
  std::swap(size_, other.size_);
  return *this;
}

KeyTree::~KeyTree() {
  for (const Block& block : blocks_) {
    for (const Slot& slot : block.slots) KeyEntry::Destroy()(slot.entry);
  }
}

std::size_t KeyTree::Block::lower_bound(std::string_view key) const {
  const std::string_view prefix = first_key().substr(0, prefix_size);
  const int order = key.substr(0, prefix_size).compare(prefix);
  if (order != 0) return order < 0 ? 0 : slots.size();
  const std::uint64_t wanted_head = head_of(key, prefix_size);
  const auto it = std::lower_bound(
      slots.begin(), slots.end(), key, [wanted_head](const Slot& slot, std::string_view wanted) {
        return slot.head != wanted_head ? slot.head < wanted_head : slot.entry->key() < wanted;
      });
  return static_cast<std::size_t>(it - slots.begin());
}

// The last block whose first key is not above; of a tree that is not empty.
std::size_t KeyTree::block_of(std::string_view key) const {
  const std::string_view prefix = blocks_.front().first_key().substr(0, prefix_size_);
  const int order = key.substr(0, prefix_size_).compare(prefix);
  if (order != 0) return order < 0 ? 0 : blocks_.size() - 1;
  const std::uint64_t wanted_head = head_of(key, prefix_size_);
  const auto after = std::upper_bound(
      blocks_.begin(), blocks_.end(), key,
      [wanted_head](std::string_view wanted, const Block& block) {
        return block.head != wanted_head ? wanted_head < block.head : wanted < block.first_key();
      });
  return after == blocks_.begin() ? 0 : static_cast<std::size_t>(after - blocks_.begin()) - 1;
}

KeyTree::Place KeyTree::locate(std::string_view key) const {
  if (blocks_.empty()) return {0, 0, nullptr};
  const std::size_t index = block_of(key);
  const std::vector<Slot>& slots = blocks_[index].slots;
  const std::size_t slot = blocks_[index].lower_bound(key);
  const bool found = slot < slots.size() && slots[slot].entry->key() == key;
  return {index, slot, found ? slots[slot].entry : nullptr};
}

KeyEntry& KeyTree::insert(Place place, KeyEntry::Owner owner) {
  KeyEntry& entry = *owner;
  const std::string_view key = entry.key();
  CONCLAVE_CHECK(place.entry == nullptr, "a key that is there already");
  if (!blocks_.empty() && blocks_[place.block].slots.size() == kSlotsMax) {
    const bool at_end = place.block + 1 == blocks_.size() && place.slot == kSlotsMax;
    if (at_end) {
      // Keys that come in ascending order leave full blocks behind.
      blocks_[place.block].slots.shrink_to_fit();
      place = {blocks_.size(), 0, nullptr};
    } else {
      split(place.block);
      place = locate(key);
    }
  }
  share_prefix(key);
  if (place.block == blocks_.size()) {
    blocks_.emplace_back();
    blocks_.back().prefix_size = key.size();
  }
  Block& block = blocks_[place.block];
  if (!block.slots.empty()) {
    const std::size_t common = common_size(block.first_key().substr(0, block.prefix_size), key);
    if (common < block.prefix_size) block.set_prefix(common);
  }
  if (block.slots.size() == block.slots.capacity()) {
    block.slots.reserve(block.slots.size() + kGrowth);
  }
  block.slots.insert(block.slots.begin() + static_cast<std::ptrdiff_t>(place.slot),
                     {head_of(key, block.prefix_size), owner.release()});
  if (place.slot == 0) block.head = head_of(key, prefix_size_);
  ++size_;
  return entry;
}

void KeyTree::erase(const KeyEntry& entry) {
  const Place place = locate(entry.key());
  CONCLAVE_CHECK(place.entry == &entry, "an entry of another tree");
  std::vector<Slot>& slots = blocks_[place.block].slots;
  slots.erase(slots.begin() + static_cast<std::ptrdiff_t>(place.slot));
  KeyEntry::Destroy()(place.entry);
  --size_;
  if (slots.empty()) {
    blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(place.block));
    return;
  }
  if (place.slot == 0) {
    blocks_[place.block].head = head_of(blocks_[place.block].first_key(), prefix_size_);
  }
  merge_small(place.block);
}

// What all keys have in common, with this one among them.
void KeyTree::share_prefix(std::string_view key) {
  const std::size_t common =
      blocks_.empty() ? key.size()
                      : common_size(blocks_.front().first_key().substr(0, prefix_size_), key);
  if (!blocks_.empty() && common == prefix_size_) return;
  prefix_size_ = common;
  for (Block& block : blocks_) block.head = head_of(block.first_key(), prefix_size_);
}

void KeyTree::Block::set_prefix(std::size_t size) {
  prefix_size = size;
  for (Slot& slot : slots) slot.head = head_of(slot.entry->key(), size);
}

void KeyTree::Block::tighten_prefix() {
  set_prefix(common_size(first_key(), slots.back().entry->key()));
}

void KeyTree::split(std::size_t index) {
  Block upper;
  std::vector<Slot>& slots = blocks_[index].slots;
  const auto middle = slots.begin() + static_cast<std::ptrdiff_t>(slots.size() / 2);
  upper.slots.reserve(kSlotsMax / 2 + kGrowth);
  upper.slots.assign(middle, slots.end());
  slots.erase(middle, slots.end());
  slots.shrink_to_fit();
  blocks_[index].tighten_prefix();
  upper.tighten_prefix();
  upper.head = head_of(upper.first_key(), prefix_size_);
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
  blocks_[index].tighten_prefix();
}

}  // namespace conclave::mvcc
