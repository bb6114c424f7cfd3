#include "conclave/server/restore.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "conclave/lmdb/store.h"
#include "conclave/replica/snapshot.h"
#include "conclave/server/data_directory.h"
#include "conclave/server/identity.h"
#include "conclave/wal/log.h"

namespace conclave::server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 1 << 20;

// How bbolt's files begin, which etcd's snapshots are.
bool is_of_etcd(std::string_view bytes) {
  constexpr std::string_view kMagic = "\xed\xda\x0c\xed";
  constexpr std::size_t kMagicAt = 16;
  return bytes.size() > kMagicAt && bytes.substr(kMagicAt).starts_with(kMagic);
}

Result<SnapshotSummary> read_all(const std::string& path, replica::SnapshotReader& reader) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{Errc::io, "cannot read " + path};
  std::vector<char> piece(kPieceBytes);
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(file.gcount()));
    if (reader.byte_count() == 0 && is_of_etcd(bytes)) {
      return Error{Errc::refused, path + " is a snapshot of etcd's, which only etcd can read; " +
                                      "etcdctl make-mirror copies keys from a running etcd"};
    }
    if (Result<void> added = reader.add(bytes); !added) {
      return Error{added.error().code, path + ": " + added.error().message};
    }
  }
  if (file.bad()) return Error{Errc::io, "cannot read " + path};
  if (Result<void> finished = reader.finish(); !finished) {
    return Error{finished.error().code, path + ": " + finished.error().message};
  }
  return SnapshotSummary{reader.head()->revision(), reader.head()->place().index(),
                         reader.record_count(),     reader.lease_count(),
                         reader.byte_count(),       reader.checksum()};
}

Result<void> make_log(const DataDirectory& directory, const Identity& identity,
                      const replica::SnapshotHead& head) {
  wal::PosixDisk disk;
  wal::Options options;
  options.metadata = encode(identity);
  Result<wal::Recovered> created = wal::Log::open(disk, directory.log(), options);
  if (!created) return created.error();
  wal::Log& log = *created->log;
  const auto restarted = log.restart_after(head.place().index(), head.place().term());
  if (!restarted) return restarted;
  return log.close();
}

Result<SnapshotSummary> restore_into(const DataDirectory& directory, const std::string& file,
                                     const NodeOptions& options) {
  std::vector<replica::Member> members = initial_members(options);
  auto store = lmdb::Store::open(directory.store(), {.quota_bytes = options.quota_bytes});
  if (!store) return store.error();
  replica::SnapshotReader reader(store->get());
  reader.replace_membership(replica::Membership(members).encode());
  const Result<SnapshotSummary> summary = read_all(file, reader);
  if (!summary) return summary;
  const Result<Identity> identity = settle_identity(options, directory);
  if (!identity) return identity.error();
  if (Result<void> made = make_log(directory, *identity, *reader.head()); !made) {
    return made.error();
  }
  return summary;
}

}  // namespace

Result<SnapshotSummary> inspect_snapshot(const std::string& file) {
  replica::SnapshotReader reader(nullptr);
  return read_all(file, reader);
}

Result<SnapshotSummary> restore_snapshot(const std::string& file, const NodeOptions& options) {
  const DataDirectory directory(options.data_dir);
  if (Result<void> made = directory.make(); !made) return made.error();
  std::error_code error;
  if (!fs::is_empty(options.data_dir, error)) {
    return Error{Errc::refused,
                 options.data_dir + " has something in it; choose a directory that does not exist"};
  }
  const Result<SnapshotSummary> restored = restore_into(directory, file, options);
  if (!restored) fs::remove_all(options.data_dir, error);
  return restored;
}

}  // namespace conclave::server
