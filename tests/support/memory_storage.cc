#include "tests/support/memory_storage.h"

#include <algorithm>
#include <utility>

namespace conclave::test {

std::optional<Error> MemoryStorage::failure() {
  if (!failed_ && next_failure_) failed_ = std::exchange(next_failure_, std::nullopt);
  return failed_;
}

void MemoryStorage::put(mvcc::Table table, const std::string& key,
                        const std::optional<std::string>& value) {
  Records& records = of(table);
  const auto found = records.find(key);
  if (found != records.end()) {
    bytes_in_use_ -= found->first.size() + found->second.size();
    records.erase(found);
  }
  if (!value) return;
  bytes_in_use_ += key.size() + value->size();
  records.emplace(key, *value);
}

Result<void> MemoryStorage::commit(const mvcc::Batch& batch) {
  const std::lock_guard guard(mutex_);
  if (const std::optional<Error> error = failure()) return *error;
  for (const mvcc::Write& write : batch.writes) {
    if (!write.key.empty() && write.key.size() <= 511) continue;
    failed_ =
        Error{Errc::invalid_argument, "a key of " + std::to_string(write.key.size()) + " bytes"};
    return *failed_;
  }
  undo_last_.clear();
  for (const mvcc::Write& write : batch.writes) {
    Undo undo{write.table, write.key, std::nullopt};
    const auto found = of(write.table).find(write.key);
    if (found != of(write.table).end()) undo.before = found->second;
    undo_last_.push_back(std::move(undo));
    put(write.table, write.key, write.value);
  }
  bytes_most_ = std::max(bytes_most_, bytes_in_use_);
  return {};
}

Result<void> MemoryStorage::sync() {
  const std::lock_guard guard(mutex_);
  if (const std::optional<Error> error = failure()) return *error;
  undo_last_.clear();
  return {};
}

Result<std::optional<std::string>> MemoryStorage::get(mvcc::Table table,
                                                      std::string_view key) const {
  const std::lock_guard guard(mutex_);
  const auto found = of(table).find(key);
  if (found == of(table).end()) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

Result<void> MemoryStorage::scan(mvcc::Table table, std::string_view begin, std::string_view end,
                                 const Visitor& visit) const {
  const std::lock_guard guard(mutex_);
  const Records& records = of(table);
  for (auto at = records.lower_bound(begin); at != records.end(); ++at) {
    if (!end.empty() && at->first >= end) break;
    if (!visit(at->first, at->second)) break;
  }
  return {};
}

std::uint64_t MemoryStorage::size_bytes() const {
  const std::lock_guard guard(mutex_);
  return bytes_most_;
}

std::uint64_t MemoryStorage::size_in_use_bytes() const {
  const std::lock_guard guard(mutex_);
  return bytes_in_use_;
}

void MemoryStorage::power_cut(Random& random) {
  if (random.chance(1, 2)) {
    power_cut_dropping_all_unsynced();
    return;
  }
  const std::lock_guard guard(mutex_);
  undo_last_.clear();
  failed_.reset();
}

void MemoryStorage::power_cut_dropping_all_unsynced() {
  const std::lock_guard guard(mutex_);
  for (auto undo = undo_last_.rbegin(); undo != undo_last_.rend(); ++undo) {
    put(undo->table, undo->key, undo->before);
  }
  undo_last_.clear();
  failed_.reset();
}

}  // namespace conclave::test
