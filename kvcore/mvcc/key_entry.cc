#include "conclave/mvcc/key_entry.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "conclave/base/check.h"

namespace conclave::mvcc {

KeyEntry::Owner KeyEntry::make(std::string_view key, const KeyVersion& version,
                               std::int64_t lease) {
  CONCLAVE_CHECK(key.size() <= std::numeric_limits<std::uint32_t>::max(), "a key of 4 GiB");
  void* memory = ::operator new(sizeof(KeyEntry) + key.size());
  auto* entry = new (memory) KeyEntry(static_cast<std::uint32_t>(key.size()), version, lease);
  std::memcpy(static_cast<char*>(memory) + sizeof(KeyEntry), key.data(), key.size());
  return Owner(entry);
}

void KeyEntry::Destroy::operator()(KeyEntry* entry) const {
  entry->~KeyEntry();
  ::operator delete(entry);
}

KeyEntry::KeyEntry(std::uint32_t key_size, const KeyVersion& version, std::int64_t lease)
    : key_size_(key_size) {
  set_head(version);
  set_lease(lease);
}

void KeyEntry::set_head(const KeyVersion& version) {
  CONCLAVE_CHECK(version.modified.sub <= std::numeric_limits<std::uint32_t>::max(),
                 "a revision of four billion changes");
  main_ = version.modified.main;
  sub_ = static_cast<std::uint32_t>(version.modified.sub);
  create_revision_ = version.create_revision;
  version_ = version.version;
}

void KeyEntry::set_lease(std::int64_t lease) {
  if (lease != 0 && !extra_) extra_ = std::make_unique<Extra>();
  if (!extra_) return;
  extra_->lease = lease;
  drop_unused_extra();
}

void KeyEntry::drop_unused_extra() {
  if (extra_->lease == 0 && older_count() == 0) extra_.reset();
}

std::optional<KeyVersion> KeyEntry::at(std::int64_t revision) const {
  if (main_ <= revision) {
    return is_live() ? std::optional(head()) : std::nullopt;
  }
  if (older_count() == 0) return std::nullopt;
  const auto begin = extra_->older.begin() + static_cast<std::ptrdiff_t>(extra_->forgotten);
  const auto after = std::upper_bound(
      begin, extra_->older.end(), revision,
      [](std::int64_t wanted, const KeyVersion& older) { return wanted < older.modified.main; });
  if (after == begin || std::prev(after)->is_deletion()) return std::nullopt;
  return *std::prev(after);
}

void KeyEntry::replace_head(const KeyVersion& version, std::int64_t lease) {
  CONCLAVE_CHECK(head().modified < version.modified, "revisions of a key must ascend");
  if (!extra_) extra_ = std::make_unique<Extra>();
  extra_->older.push_back(head());
  set_head(version);
  set_lease(lease);
}

void KeyEntry::forget_oldest() {
  ++extra_->forgotten;
  drop_unused_extra();
  // Shifting each time would make the removal of a long history quadratic.
  if (!extra_ || extra_->forgotten < extra_->older.size() / 2) return;
  extra_->older.erase(extra_->older.begin(),
                      extra_->older.begin() + static_cast<std::ptrdiff_t>(extra_->forgotten));
  extra_->forgotten = 0;
  if (extra_->older.capacity() > 2 * extra_->older.size() + 4) extra_->older.shrink_to_fit();
}

}  // namespace conclave::mvcc
