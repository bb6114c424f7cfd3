#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <lmdb.h>

#include "conclave/base/result.h"

// LMDB's and the system's handles as owning types, and their errors in our words. For store.cc
// alone.
namespace conclave::lmdb {

constexpr const char* kTableNames[] = {"records", "leases", "meta"};
constexpr std::string_view kDataFile = "/data.mdb";
constexpr std::string_view kNewFile = "/data.mdb.new";

struct CloseTransaction {
  void operator()(MDB_txn* transaction) const { mdb_txn_abort(transaction); }
};
using Transaction = std::unique_ptr<MDB_txn, CloseTransaction>;

struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CloseCursor>;

struct CloseEnvironment {
  void operator()(MDB_env* environment) const { mdb_env_close(environment); }
};
using EnvironmentHandle = std::unique_ptr<MDB_env, CloseEnvironment>;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_;
};

// Whether the file system that holds `path` has practically no room left.
bool disk_is_full(const std::string& path);
Error error_of(const std::string& what, int rc);                       // LMDB's
Error system_error(const std::string& what, const std::string& path);  // errno's

// LMDB takes pointers to non-const and does not write through them.
inline MDB_val view_of(std::string_view bytes) {
  return MDB_val{bytes.size(), const_cast<char*>(bytes.data())};
}
inline std::string_view bytes_of(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

Result<Transaction> begin(MDB_env* environment, unsigned flags, const std::string& path);
Result<Descriptor> open_directory(const std::string& directory);
Result<void> sync_directory(const std::string& directory);
void remove_file(const std::string& file);  // if it is there, with LMDB's lock file
void remove_lock_file(const std::string& file);
Result<void> make_directory(const std::string& directory);
Result<EnvironmentHandle> open_environment(const std::string& file, std::uint64_t map_bytes);

// Makes `directory`'s data file, with its empty tables and the format's version, as a whole or not
// at all.
Result<void> create_store(const std::string& directory, std::uint64_t map_bytes);
// Opens a store's tables in the order of kTableNames, once its version is known to be ours.
Result<void> open_tables(MDB_env* environment, const std::string& path, MDB_dbi* tables);

}  // namespace conclave::lmdb
