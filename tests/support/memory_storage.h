#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/mvcc/storage.h"

namespace conclave::test {

// The storage port in memory, with power cuts: what simulations run on. The last commit may be lost
// until the next one or sync(), as the port allows.
//
// Threads: as the port says. A visitor may read, and must not commit.
class MemoryStorage final : public mvcc::Storage {
 public:
  Result<void> commit(const mvcc::Batch& batch) override;
  Result<void> sync() override;
  Result<std::optional<std::string>> get(mvcc::Table table, std::string_view key) const override;
  Result<void> scan(mvcc::Table table, std::string_view begin, std::string_view end,
                    const Visitor& visit) const override;
  std::uint64_t size_bytes() const override;
  std::uint64_t size_in_use_bytes() const override;

  // Takes the last commit back if it was not made sure, or leaves it: as the generator says.
  void power_cut(Random& random);
  void power_cut_dropping_all_unsynced();
  // The next commit or sync fails, and with it all further ones.
  void fail_next(Error error) { next_failure_ = std::move(error); }

 private:
  using Records = std::map<std::string, std::string, std::less<>>;
  struct Undo {
    mvcc::Table table;
    std::string key;
    std::optional<std::string> before;
  };

  std::optional<Error> failure();
  Records& of(mvcc::Table table) { return tables_[static_cast<std::size_t>(table)]; }
  const Records& of(mvcc::Table table) const { return tables_[static_cast<std::size_t>(table)]; }
  void put(mvcc::Table table, const std::string& key, const std::optional<std::string>& value);

  mutable std::recursive_mutex mutex_;  // recursive: visitors read
  std::array<Records, 3> tables_;
  std::vector<Undo> undo_last_;  // in the order of the writes
  std::uint64_t bytes_in_use_ = 0;
  std::uint64_t bytes_most_ = 0;
  std::optional<Error> next_failure_;
  std::optional<Error> failed_;
};

}  // namespace conclave::test
