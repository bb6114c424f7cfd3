#include "conclave/server/data_directory.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include <errno.h>
#include <sys/stat.h>

#include "conclave/base/bytes.h"
#include "conclave/base/crc32c.h"
#include "conclave/wal/disk.h"

namespace conclave::server {
namespace {

namespace fs = std::filesystem;

Error failed(const std::string& what, const std::error_code& why) {
  return {Errc::io, what + ": " + why.message()};
}

Result<void> remove_all(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return failed("cannot remove " + path, error);
  return {};
}

Result<void> rename(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return failed("cannot rename " + from + " to " + to, error);
  return {};
}

std::string parent_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

std::string with_checksum(std::string bytes) {
  append_le(bytes, crc32c(bytes));
  return bytes;
}

// What with_checksum() was given; nothing if it was not written to its end, or is damaged.
std::optional<std::string> read_checked(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  std::string bytes = content.str();
  constexpr std::size_t kChecksumBytes = 4;
  if (bytes.size() < kChecksumBytes) return std::nullopt;
  const std::string checksum = bytes.substr(bytes.size() - kChecksumBytes);
  bytes.resize(bytes.size() - kChecksumBytes);
  if (ByteReader(checksum).le<std::uint32_t>() != crc32c(bytes)) return std::nullopt;
  return bytes;
}

// What cannot be looked at may well be there, and a mark that is overlooked gives a vote back.
Result<bool> exists(const std::string& path) {
  std::error_code error;
  const bool is_there = fs::exists(path, error);
  if (error) return failed("cannot look at " + path, error);
  return is_there;
}

}  // namespace

Result<void> DataDirectory::make() const {
  std::error_code error;
  const bool was_there = fs::is_directory(path_, error);
  wal::PosixDisk disk;
  if (Result<void> made = disk.make_directory(path_); !made) {
    return Error{Errc::io, "data directory " + path_ + " cannot be made: " + made.error().message +
                               "; choose another with --data-dir"};
  }
  // Whoever made it may have ended before its name was synced. A parent that may not be opened is
  // taken as it is.
  if (was_there) (void)disk.sync_directory(parent_of(path_));
  return {};
}

Result<std::optional<std::string>> DataDirectory::read_member() const {
  const Result<bool> is_there = exists(member());
  if (!is_there) return is_there.error();
  if (!*is_there) return std::optional<std::string>();
  std::error_code error;
  if (fs::is_directory(member(), error)) {
    return Error{Errc::refused,
                 path_ + " is a data directory of etcd's; choose another with " + "--data-dir"};
  }
  std::optional<std::string> bytes = read_checked(member());
  if (bytes) return bytes;
  return Error{Errc::corrupt, member() + " is damaged; it says which member this is"};
}

Result<void> DataDirectory::write_member(const std::string& bytes) const {
  // Beside it and renamed: never half of it.
  const std::string fresh = member() + ".new";
  if (Result<void> written = write_durably(fresh, with_checksum(bytes)); !written) return written;
  if (Result<void> renamed = rename(fresh, member()); !renamed) return renamed;
  return wal::PosixDisk().sync_directory(path_);
}

Result<void> DataDirectory::clear_incoming() const {
  return remove_all(incoming());
}

Result<void> DataDirectory::write_durably(const std::string& file, const std::string& bytes) const {
  if (Result<void> removed = remove_all(file); !removed) return removed;
  wal::PosixDisk disk;
  auto created = disk.create(file);
  if (!created) return created.error();
  if (Result<void> written = (*created)->write(0, bytes); !written) return written;
  if (Result<void> synced = (*created)->sync(); !synced) return synced;
  return disk.sync_directory(path_);
}

Result<void> DataDirectory::remove_durably(const std::string& file) const {
  const Result<bool> is_there = exists(file);
  if (!is_there) return is_there.error();
  if (!*is_there) return {};
  if (Result<void> removed = remove_all(file); !removed) return removed;
  return wal::PosixDisk().sync_directory(path_);
}

Result<void> DataDirectory::install(raft::LogPosition position) const {
  std::string bytes;
  append_le(bytes, position.index);
  append_le(bytes, position.term);
  const std::string marker = with_checksum(std::move(bytes));
  if (Result<void> written = write_durably(installing(), marker); !written) return written;
  return exchange_stores();
}

// Again after a crash, as far as it had not come.
Result<void> DataDirectory::exchange_stores() const {
  const Result<bool> has_come = exists(incoming());
  if (!has_come) return has_come.error();
  if (!*has_come) return {};
  const Result<bool> has_store = exists(store());
  if (!has_store) return has_store.error();
  if (*has_store) {
    if (Result<void> removed = remove_all(replaced()); !removed) return removed;
    if (Result<void> renamed = rename(store(), replaced()); !renamed) return renamed;
  }
  if (Result<void> renamed = rename(incoming(), store()); !renamed) return renamed;
  return wal::PosixDisk().sync_directory(path_);
}

Result<void> DataDirectory::end_installation() const {
  if (Result<void> removed = remove_durably(installing()); !removed) return removed;
  return remove_all(replaced());
}

Result<std::optional<raft::LogPosition>> DataDirectory::resume_installation() const {
  const Result<bool> is_installing = exists(installing());
  if (!is_installing) return is_installing.error();
  if (!*is_installing) {
    // What was not complete, or is not needed any more.
    if (Result<void> removed = clear_incoming(); !removed) return removed.error();
    if (Result<void> removed = remove_all(replaced()); !removed) return removed.error();
    return std::optional<raft::LogPosition>();
  }
  const std::optional<std::string> bytes = read_checked(installing());
  ByteReader reader(bytes ? std::string_view(*bytes) : std::string_view());
  const auto index = reader.le<std::uint64_t>();
  const auto term = reader.le<std::uint64_t>();
  if (!term) {
    // It was not written to its end, so nothing had been exchanged yet.
    if (Result<void> removed = remove_durably(installing()); !removed) return removed.error();
    if (Result<void> removed = clear_incoming(); !removed) return removed.error();
    return std::optional<raft::LogPosition>();
  }
  if (Result<void> exchanged = exchange_stores(); !exchanged) return exchanged.error();
  return std::optional(raft::LogPosition{*term, *index});
}

Result<void> DataDirectory::mark_damaged(const std::string& reason) const {
  const Result<void> written = write_durably(damaged(), with_checksum(reason));
  if (written) return {};
  // On a disk that is full the name alone is a mark.
  const Result<bool> is_named = exists(damaged());
  if (!is_named || !*is_named) return written;
  return wal::PosixDisk().sync_directory(path_);
}

Result<std::optional<std::string>> DataDirectory::damage() const {
  const Result<bool> is_marked = exists(damaged());
  if (!is_marked) return is_marked.error();
  if (!*is_marked) return std::optional<std::string>();
  // A mark that is damaged itself is a mark all the same.
  return std::optional(read_checked(damaged()).value_or("it was found while it ran"));
}

Result<void> DataDirectory::mark_removed() const {
  return write_durably(removed(), "1\n");
}

Result<bool> DataDirectory::is_removed() const {
  return exists(removed());
}

Result<bool> DataDirectory::is_repairing() const {
  return exists(repairing());
}

Result<std::string> DataDirectory::put_aside() const {
  if (Result<void> marked = write_durably(repairing(), "1\n"); !marked) return marked.error();
  int number = 1;
  for (;; ++number) {
    const Result<bool> is_taken = exists(path_ + "/damaged-" + std::to_string(number));
    if (!is_taken) return is_taken.error();
    if (!*is_taken) break;
  }
  const std::string aside = path_ + "/damaged-" + std::to_string(number);
  std::error_code error;
  fs::create_directory(aside, error);
  if (error) return failed("cannot make " + aside, error);
  for (const char* name : {"log", "store"}) {
    const Result<bool> is_there = exists(path_ + "/" + name);
    if (!is_there) return is_there.error();
    if (!*is_there) continue;
    if (Result<void> moved = rename(path_ + "/" + name, aside + "/" + name); !moved) {
      return moved.error();
    }
  }
  if (Result<void> removed = remove_durably(installing()); !removed) return removed.error();
  if (Result<void> synced = wal::PosixDisk().sync_directory(path_); !synced) return synced.error();
  if (Result<void> removed = remove_durably(damaged()); !removed) return removed.error();
  return aside;
}

Result<void> DataDirectory::end_repair() const {
  return remove_durably(repairing());
}

}  // namespace conclave::server
