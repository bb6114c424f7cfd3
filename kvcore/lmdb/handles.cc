#include "conclave/lmdb/handles.h"

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "conclave/base/bytes.h"

namespace conclave::lmdb {
namespace {

constexpr std::uint32_t kFormatVersion = 1;
constexpr std::string_view kVersionKey = "version";
constexpr const char* kFormatTable = "format";
constexpr std::string_view kLockSuffix = "-lock";
constexpr unsigned kReadersMax = 1024;
// NOMETASYNC: a commit syncs its pages, and its meta page goes to disk with the next commit's
// pages. So a power cut may take back one commit and never tears one. NOTLS: a read belongs to no
// thread.
constexpr unsigned kFlags = MDB_NOSUBDIR | MDB_NOMETASYNC | MDB_NOTLS;

Result<void> write_version(MDB_env* environment, const std::string& path) {
  Result<Transaction> transaction = begin(environment, 0, path);
  if (!transaction) return transaction.error();
  MDB_dbi format = 0;
  int rc = mdb_dbi_open(transaction->get(), kFormatTable, MDB_CREATE, &format);
  std::string version;
  append_le(version, kFormatVersion);
  MDB_val key = view_of(kVersionKey);
  MDB_val value = view_of(version);
  if (rc == 0) rc = mdb_put(transaction->get(), format, &key, &value, 0);
  for (const char* name : kTableNames) {
    MDB_dbi table = 0;
    if (rc == 0) rc = mdb_dbi_open(transaction->get(), name, MDB_CREATE, &table);
  }
  if (rc == 0) rc = mdb_txn_commit(transaction->release());
  if (rc == 0) rc = mdb_env_sync(environment, 1);
  if (rc != 0) return error_of("cannot write " + path, rc);
  return {};
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

bool disk_is_full(const std::string& path) {
  constexpr std::uint64_t kPracticallyNothing = 1 << 20;
  struct statvfs room {};
  return ::statvfs(path.c_str(), &room) == 0 &&
         room.f_bavail * std::uint64_t{room.f_frsize} < kPracticallyNothing;
}

Error error_of(const std::string& what, int rc) {
  Errc code = Errc::io;
  switch (rc) {
    case MDB_MAP_FULL:
      code = Errc::resource_exhausted;
      break;
    case MDB_BAD_VALSIZE:
      code = Errc::invalid_argument;
      break;
    case MDB_VERSION_MISMATCH:
      code = Errc::refused;
      break;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
      code = Errc::corrupt;
      break;
    default:
      break;
  }
  return Error{code, what + ": " + mdb_strerror(rc)};
}

Error system_error(const std::string& what, const std::string& path) {
  return Error{Errc::io, what + " " + path + ": " + std::generic_category().message(errno)};
}

Result<Transaction> begin(MDB_env* environment, unsigned flags, const std::string& path) {
  MDB_txn* transaction = nullptr;
  if (const int rc = mdb_txn_begin(environment, nullptr, flags, &transaction); rc != 0) {
    return error_of("cannot begin a transaction on " + path, rc);
  }
  return Transaction(transaction);
}

Result<Descriptor> open_directory(const std::string& directory) {
  Descriptor descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0) return system_error("cannot open the directory", directory);
  return descriptor;
}

Result<void> sync_directory(const std::string& directory) {
  Result<Descriptor> descriptor = open_directory(directory);
  if (!descriptor) return descriptor.error();
  if (::fsync(descriptor->get()) != 0) return system_error("cannot sync the directory", directory);
  return {};
}

void remove_file(const std::string& file) {
  ::unlink(file.c_str());
  remove_lock_file(file);
}

void remove_lock_file(const std::string& file) {
  ::unlink((file + std::string(kLockSuffix)).c_str());
}

Result<void> make_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0) {
    if (errno == EEXIST) return {};
    return system_error("cannot make the directory", directory);
  }
  const std::filesystem::path parent = std::filesystem::path(directory).parent_path();
  return sync_directory(parent.empty() ? "." : parent.string());
}

Result<EnvironmentHandle> open_environment(const std::string& file, std::uint64_t map_bytes) {
  MDB_env* raw = nullptr;
  if (const int rc = mdb_env_create(&raw); rc != 0) return error_of("cannot open " + file, rc);
  EnvironmentHandle environment(raw);
  int rc = mdb_env_set_mapsize(raw, map_bytes);
  if (rc == 0) rc = mdb_env_set_maxdbs(raw, std::size(kTableNames) + 1);
  if (rc == 0) rc = mdb_env_set_maxreaders(raw, kReadersMax);
  if (rc == 0) rc = mdb_env_open(raw, file.c_str(), kFlags, 0600);
  if (rc != 0) return error_of("cannot open " + file, rc);
  return environment;
}

// Made under another name and renamed when it is whole: LMDB does not sync the first pages of a new
// file before it uses them.
Result<void> create_store(const std::string& directory, std::uint64_t map_bytes) {
  const std::string file = directory + std::string(kNewFile);
  remove_file(file);
  {
    Result<EnvironmentHandle> environment = open_environment(file, map_bytes);
    if (!environment) return environment.error();
    if (Result<void> written = write_version(environment->get(), file); !written) return written;
  }
  remove_lock_file(file);
  const std::string data_file = directory + std::string(kDataFile);
  if (::rename(file.c_str(), data_file.c_str()) != 0) return system_error("cannot rename", file);
  return sync_directory(directory);
}

Result<void> open_tables(MDB_env* environment, const std::string& path, MDB_dbi* tables) {
  Result<Transaction> transaction = begin(environment, MDB_RDONLY, path);
  if (!transaction) return transaction.error();
  MDB_dbi format = 0;
  MDB_val key = view_of(kVersionKey);
  MDB_val value{};
  int rc = mdb_dbi_open(transaction->get(), kFormatTable, 0, &format);
  if (rc == 0) rc = mdb_get(transaction->get(), format, &key, &value);
  if (rc == MDB_NOTFOUND) {
    return Error{Errc::corrupt, path + " is an LMDB file, but not one of this program's"};
  }
  if (rc != 0) return error_of("cannot read " + path, rc);
  const auto version = ByteReader(bytes_of(value)).le<std::uint32_t>();
  if (version != kFormatVersion) {
    return Error{Errc::refused, path + " has version " + std::to_string(version.value_or(0)) +
                                    " of the store's format, which this program does not know"};
  }
  for (std::size_t i = 0; i < std::size(kTableNames); ++i) {
    rc = mdb_dbi_open(transaction->get(), kTableNames[i], 0, &tables[i]);
    if (rc == MDB_NOTFOUND) rc = MDB_CORRUPTED;
    if (rc != 0) return error_of("cannot read " + path, rc);
  }
  // Only a commit makes the handles last beyond this transaction.
  rc = mdb_txn_commit(transaction->release());
  if (rc != 0) return error_of("cannot read " + path, rc);
  return {};
}

}  // namespace conclave::lmdb
