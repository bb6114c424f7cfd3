#include "conclave/lmdb/store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conclave/base/bytes.h"
#include "conclave/base/crc32c.h"
#include "conclave/lmdb/handles.h"
#include "conclave/lmdb/page_check.h"

namespace conclave::lmdb {
namespace {

using mvcc::Table;

constexpr MDB_dbi kFreeList = 0;
constexpr std::size_t kKeyBytesMax = 511;
constexpr std::size_t kCrcBytes = sizeof(std::uint32_t);

std::uint32_t value_crc(std::string_view key, std::string_view value) {
  return crc32c(value, crc32c(key));
}

// The value without its CRC; absent if that is wrong.
std::optional<std::string_view> checked_value(std::string_view key, std::string_view stored) {
  if (stored.size() < kCrcBytes) return std::nullopt;
  const std::string_view value = stored.substr(0, stored.size() - kCrcBytes);
  const auto crc = ByteReader(stored.substr(value.size())).le<std::uint32_t>();
  if (crc != value_crc(key, value)) return std::nullopt;
  return value;
}

}  // namespace

// One open file. Reads share it, so that it stays open until the last of them ends.
struct Store::Environment {
  Environment(std::shared_ptr<Descriptor> directory_lock, std::string directory_name)
      : lock(std::move(directory_lock)), directory(std::move(directory_name)) {}
  ~Environment() {
    for (MDB_txn* idle : idle_reads) mdb_txn_abort(idle);
  }

  Result<void> open(std::uint64_t map_bytes);
  Result<void> open_copy(const std::string& file, std::uint64_t map_bytes);
  Result<void> copy_to(const std::string& file) const;
  Result<void> read_all();
  Result<void> put(MDB_txn* transaction, MDB_cursor* records, const mvcc::Write& write);
  Result<void> apply(MDB_txn* transaction, const mvcc::Batch& batch);
  Result<MDB_txn*> begin_read();
  void end_read(MDB_txn* transaction);
  MDB_dbi table(Table which) const { return tables[static_cast<std::size_t>(which)]; }

  std::shared_ptr<Descriptor> lock;  // last to go
  const std::string directory;
  std::string path;
  EnvironmentHandle handle;
  std::array<MDB_dbi, std::size(kTableNames)> tables{};

  // Read transactions that wait to be used again: renewing one is cheaper than making one.
  std::mutex idle_mutex;
  std::vector<MDB_txn*> idle_reads;
};

namespace {

// A read for the length of a call.
template <class EnvironmentType>
class Read {
 public:
  Read(EnvironmentType& environment, MDB_txn* transaction)
      : environment_(environment), transaction_(transaction) {}
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;
  ~Read() { environment_.end_read(transaction_); }
  MDB_txn* get() const { return transaction_; }

 private:
  EnvironmentType& environment_;
  MDB_txn* transaction_;
};

}  // namespace

// LMDB maps the file, and a read beyond its end would end the process. A file may be shorter than
// its last page by pages that no tree uses, or because it was cut: lengthened, LMDB reads zeros
// there instead, which no tree and no value can be.
Result<void> Store::Environment::open(std::uint64_t map_bytes) {
  path = directory + std::string(kDataFile);
  if (::access(path.c_str(), F_OK) != 0) {
    if (errno != ENOENT) return system_error("cannot open", path);
    if (Result<void> made = create_store(directory, map_bytes); !made) return made;
  }
  // What a crash left of a copy.
  remove_file(directory + std::string(kNewFile));
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return system_error("cannot stat", path);
  // LMDB would take an empty file for a new one.
  if (file.st_size == 0) return Error{Errc::corrupt, path + " is empty"};
  // A larger quota may have let in more than the map of this one has room for.
  map_bytes = std::max(map_bytes, static_cast<std::uint64_t>(file.st_size) + map_bytes / 4);
  if (Result<void> checked = check_pages(path); !checked) return checked;
  Result<EnvironmentHandle> opened = open_environment(path, map_bytes);
  if (!opened) return opened.error();
  handle = *std::move(opened);
  MDB_envinfo info{};
  MDB_stat status{};
  mdb_env_info(handle.get(), &info);
  mdb_env_stat(handle.get(), &status);
  const std::uint64_t needed = (info.me_last_pgno + 1) * std::uint64_t{status.ms_psize};
  const bool is_short = static_cast<std::uint64_t>(file.st_size) < needed;
  if (is_short && ::truncate(path.c_str(), static_cast<off_t>(needed)) != 0) {
    return system_error("cannot lengthen", path);
  }
  int stale = 0;
  if (const int rc = mdb_reader_check(handle.get(), &stale); rc != 0) {
    return error_of("cannot check the readers of " + path, rc);
  }
  Result<void> read = open_tables(handle.get(), path, tables.data());
  if (read && is_short) read = read_all();
  if (read || !is_short) return read;
  if (::truncate(path.c_str(), file.st_size) != 0) return system_error("cannot cut", path);
  return Error{Errc::corrupt, path + " is cut short: it has " + std::to_string(file.st_size) +
                                  " bytes of " + std::to_string(needed)};
}

Result<void> Store::Environment::copy_to(const std::string& file) const {
  const Descriptor descriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (descriptor.get() < 0) return system_error("cannot create", file);
  const int rc = mdb_env_copyfd2(handle.get(), descriptor.get(), MDB_CP_COMPACT);
  if (rc != 0) return error_of("cannot write " + file, rc);
  if (::fsync(descriptor.get()) != 0) return system_error("cannot sync", file);
  return {};
}

// A file that is to be renamed while it is open. LMDB finds its lock file by the name, but needs
// neither once it has both open.
Result<void> Store::Environment::open_copy(const std::string& file, std::uint64_t map_bytes) {
  Result<EnvironmentHandle> opened = open_environment(file, map_bytes);
  remove_lock_file(file);
  if (!opened) return opened.error();
  handle = *std::move(opened);
  path = directory + std::string(kDataFile);
  return open_tables(handle.get(), file, tables.data());
}

Result<void> Store::Environment::read_all() {
  Result<MDB_txn*> transaction = begin_read();
  if (!transaction) return transaction.error();
  const Read read(*this, *transaction);
  for (std::size_t i = 0; i <= tables.size(); ++i) {
    const bool is_free_list = i == tables.size();
    MDB_cursor* raw = nullptr;
    int rc = mdb_cursor_open(read.get(), is_free_list ? kFreeList : tables[i], &raw);
    const Cursor cursor(raw);
    MDB_val key{};
    MDB_val value{};
    while (rc == 0 && (rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) == 0) {
      if (!is_free_list && !checked_value(bytes_of(key), bytes_of(value))) rc = MDB_CORRUPTED;
    }
    if (rc != MDB_NOTFOUND) return error_of("cannot read " + path, rc);
  }
  return {};
}

Result<std::unique_ptr<Store>> Store::open(const std::string& directory, const Options& options) {
  const std::uint64_t map_bytes =
      options.map_size_bytes != 0 ? options.map_size_bytes : 4 * options.quota_bytes;
  if (map_bytes < options.quota_bytes) {
    return Error{Errc::invalid_argument, "the map of a store must not be smaller than its quota"};
  }
  if (Result<void> made = make_directory(directory); !made) return made.error();
  Result<Descriptor> lock = open_directory(directory);
  if (!lock) return lock.error();
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Errc::unavailable, directory + " is in use by another process"};
  }
  auto environment =
      std::make_shared<Environment>(std::make_shared<Descriptor>(*std::move(lock)), directory);
  if (Result<void> opened = environment->open(map_bytes); !opened) return opened.error();
  return std::unique_ptr<Store>(new Store(std::move(environment)));
}

Store::Store(std::shared_ptr<Environment> environment)
    : environment_(std::move(environment)), directory_(environment_->directory) {}
Store::~Store() = default;

std::shared_ptr<Store::Environment> Store::environment() const {
  const std::lock_guard guard(mutex_);
  return environment_;
}

Error Store::fail(Error error) {
  if (!failure_) failure_ = std::move(error);
  return *failure_;
}

Result<void> Store::Environment::put(MDB_txn* transaction, MDB_cursor* records,
                                     const mvcc::Write& write) {
  // LMDB itself would take a longer key for a shorter one in some calls, and stop in a check in
  // others.
  if (write.key.empty() || write.key.size() > kKeyBytesMax) {
    return error_of("a key of " + std::to_string(write.key.size()) + " bytes", MDB_BAD_VALSIZE);
  }
  MDB_val key = view_of(write.key);
  if (!write.value) {
    const int rc = mdb_del(transaction, table(write.table), &key, nullptr);
    if (rc != 0 && rc != MDB_NOTFOUND) return error_of("cannot erase in " + path, rc);
    return {};
  }
  MDB_val value{write.value->size() + kCrcBytes, nullptr};
  int rc = MDB_KEYEXIST;
  // Records come in the order of their keys: appending fills pages to the end and searches for
  // nothing.
  if (write.table == Table::records) {
    rc = mdb_cursor_put(records, &key, &value, MDB_APPEND | MDB_RESERVE);
  }
  if (rc == MDB_KEYEXIST) {
    key = view_of(write.key);
    value = {write.value->size() + kCrcBytes, nullptr};
    rc = mdb_put(transaction, table(write.table), &key, &value, MDB_RESERVE);
  }
  if (rc != 0) return error_of("cannot write to " + path, rc);
  const std::uint32_t crc = value_crc(write.key, *write.value);
  auto* place = static_cast<char*>(value.mv_data);
  std::memcpy(std::copy(write.value->begin(), write.value->end(), place), &crc, kCrcBytes);
  return {};
}

Result<void> Store::Environment::apply(MDB_txn* transaction, const mvcc::Batch& batch) {
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(transaction, table(Table::records), &raw); rc != 0) {
    return error_of("cannot write to " + path, rc);
  }
  const Cursor records(raw);
  for (const mvcc::Write& write : batch.writes) {
    if (Result<void> written = put(transaction, raw, write); !written) return written;
  }
  return {};
}

Result<void> Store::commit(const mvcc::Batch& batch) {
  if (failure_) return *failure_;
  const std::shared_ptr<Environment> environment = this->environment();
  Result<Transaction> transaction = begin(environment->handle.get(), 0, environment->path);
  if (!transaction) return fail(transaction.error());
  if (Result<void> applied = environment->apply(transaction->get(), batch); !applied) {
    return fail(applied.error());
  }
  if (const int rc = mdb_txn_commit(transaction->release()); rc != 0) {
    // LMDB reports a write that was cut short, which is what a full disk does to it, as EIO.
    const bool full = rc == ENOSPC || (rc == EIO && disk_is_full(environment->path));
    return fail(error_of("cannot commit to " + environment->path, full ? ENOSPC : rc));
  }
  return {};
}

Result<void> Store::sync() {
  if (failure_) return *failure_;
  const std::shared_ptr<Environment> environment = this->environment();
  if (const int rc = mdb_env_sync(environment->handle.get(), 1); rc != 0) {
    return fail(error_of("cannot sync " + environment->path, rc));
  }
  return {};
}

Result<MDB_txn*> Store::Environment::begin_read() {
  MDB_txn* transaction = nullptr;
  {
    const std::lock_guard guard(idle_mutex);
    if (!idle_reads.empty()) {
      transaction = idle_reads.back();
      idle_reads.pop_back();
    }
  }
  if (transaction != nullptr) {
    if (const int rc = mdb_txn_renew(transaction); rc != 0) {
      mdb_txn_abort(transaction);
      return error_of("cannot read " + path, rc);
    }
    return transaction;
  }
  Result<Transaction> made = begin(handle.get(), MDB_RDONLY, path);
  if (!made) return made.error();
  return made->release();
}

void Store::Environment::end_read(MDB_txn* transaction) {
  mdb_txn_reset(transaction);
  const std::lock_guard guard(idle_mutex);
  idle_reads.push_back(transaction);
}

Result<std::optional<std::string>> Store::get(Table table, std::string_view key) const {
  if (key.empty() || key.size() > kKeyBytesMax) return std::optional<std::string>();
  const std::shared_ptr<Environment> environment = this->environment();
  Result<MDB_txn*> transaction = environment->begin_read();
  if (!transaction) return transaction.error();
  const Read read(*environment, *transaction);
  MDB_val wanted = view_of(key);
  MDB_val found{};
  const int rc = mdb_get(read.get(), environment->table(table), &wanted, &found);
  if (rc == MDB_NOTFOUND) return std::optional<std::string>();
  if (rc != 0) return error_of("cannot read " + environment->path, rc);
  const std::optional<std::string_view> value = checked_value(key, bytes_of(found));
  if (!value) return Error{Errc::corrupt, environment->path + " holds a damaged value"};
  return std::optional<std::string>(*value);
}

// Nothing in LMDB's pages tells that a bit of them is another than it was. One that says where a
// page's children are leads to records that are out of order, or past some, and then there are
// fewer than LMDB has counted.
Result<void> Store::scan(Table table, std::string_view begin_key, std::string_view end_key,
                         const Visitor& visit) const {
  const std::shared_ptr<Environment> environment = this->environment();
  Result<MDB_txn*> transaction = environment->begin_read();
  if (!transaction) return transaction.error();
  const Read read(*environment, *transaction);
  MDB_cursor* raw = nullptr;
  int rc = mdb_cursor_open(read.get(), environment->table(table), &raw);
  if (rc != 0) return error_of("cannot read " + environment->path, rc);
  const Cursor cursor(raw);
  MDB_val key = view_of(begin_key);
  MDB_val found{};
  std::string_view previous;
  std::size_t count = 0;
  rc = mdb_cursor_get(raw, &key, &found, begin_key.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (rc == 0) {
    const std::string_view at = bytes_of(key);
    if (count++ != 0 && at <= previous) {
      return Error{Errc::corrupt, environment->path + " holds records out of their order"};
    }
    previous = at;
    if (!end_key.empty() && at >= end_key) return {};
    const std::optional<std::string_view> value = checked_value(at, bytes_of(found));
    if (!value) return Error{Errc::corrupt, environment->path + " holds a damaged value"};
    if (!visit(at, *value)) return {};
    rc = mdb_cursor_get(raw, &key, &found, MDB_NEXT);
  }
  if (rc != MDB_NOTFOUND) return error_of("cannot read " + environment->path, rc);
  if (!begin_key.empty() || !end_key.empty()) return {};
  MDB_stat whole{};
  mdb_stat(read.get(), environment->table(table), &whole);
  if (count != whole.ms_entries) {
    return Error{Errc::corrupt, environment->path + " has lost records: there are " +
                                    std::to_string(count) + " of " +
                                    std::to_string(whole.ms_entries)};
  }
  return {};
}

std::uint64_t Store::size_bytes() const {
  // By the descriptor: the file may have been renamed.
  mdb_filehandle_t descriptor = -1;
  struct stat file {};
  const std::shared_ptr<Environment> environment = this->environment();
  if (mdb_env_get_fd(environment->handle.get(), &descriptor) != 0) return 0;
  if (::fstat(descriptor, &file) != 0) return 0;
  return static_cast<std::uint64_t>(file.st_size);
}

// Pages in use: all up to the last one, less those in LMDB's list of free pages, whose values begin
// with their count. Pages that only a read still holds count as free.
std::uint64_t Store::size_in_use_bytes() const {
  const std::shared_ptr<Environment> environment = this->environment();
  Result<MDB_txn*> transaction = environment->begin_read();
  if (!transaction) return 0;
  const Read read(*environment, *transaction);
  MDB_envinfo info{};
  MDB_stat status{};
  mdb_env_info(environment->handle.get(), &info);
  mdb_env_stat(environment->handle.get(), &status);
  std::uint64_t pages = info.me_last_pgno + 1;
  MDB_cursor* raw = nullptr;
  if (mdb_cursor_open(read.get(), kFreeList, &raw) != 0) return 0;
  const Cursor cursor(raw);
  MDB_val key{};
  MDB_val value{};
  while (mdb_cursor_get(raw, &key, &value, MDB_NEXT) == 0) {
    const auto free_pages = ByteReader(bytes_of(value)).le<std::size_t>().value_or(0);
    pages -= std::min<std::uint64_t>(pages, free_pages);
  }
  return pages * status.ms_psize;
}

Result<void> Store::compact_to(const std::string& directory) const {
  if (Result<void> made = make_directory(directory); !made) return made;
  const std::string data_file = directory + std::string(kDataFile);
  if (::access(data_file.c_str(), F_OK) == 0) {
    return Error{Errc::invalid_argument, "there is a store in " + directory + " already"};
  }
  const std::string file = directory + std::string(kNewFile);
  if (Result<void> copied = environment()->copy_to(file); !copied) return copied;
  if (::rename(file.c_str(), data_file.c_str()) != 0) return system_error("cannot rename", file);
  return sync_directory(directory);
}

Result<void> Store::defragment() {
  if (failure_) return *failure_;
  const std::shared_ptr<Environment> old = environment();
  MDB_envinfo info{};
  mdb_env_info(old->handle.get(), &info);
  const std::string file = directory_ + std::string(kNewFile);
  auto copy = std::make_shared<Environment>(old->lock, directory_);
  Result<void> made = old->copy_to(file);
  if (made) made = copy->open_copy(file, info.me_mapsize);
  if (!made) {
    remove_file(file);
    return made;
  }
  if (::rename(file.c_str(), (directory_ + std::string(kDataFile)).c_str()) != 0) {
    return fail(system_error("cannot rename", file));
  }
  // The next commit goes to the copy only, so its name must last first.
  if (Result<void> synced = sync_directory(directory_); !synced) return fail(synced.error());
  const std::lock_guard guard(mutex_);
  environment_ = std::move(copy);
  return {};
}

}  // namespace conclave::lmdb
