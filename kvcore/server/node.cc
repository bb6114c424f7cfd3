#include "conclave/server/node.h"

#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "conclave/base/bytes.h"
#include "conclave/server/core_thread.h"

namespace conclave::server {
namespace {

// FNV-1a, 64 bits: names are turned into ids once and the ids stored, so all it takes is that
// different names rarely meet.
std::uint64_t id_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : name) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return hash == 0 ? 1 : hash;
}

// What the log carries from its first day: who this member is.
struct Identity {
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;
};

Identity identity_of(const NodeOptions& options) {
  std::string name = options.cluster_token;
  for (const std::string& url : options.peer_urls) name += " " + url;
  return {id_of("cluster " + name), id_of("member " + name)};
}

std::string encode(const Identity& identity) {
  std::string bytes;
  append_le(bytes, identity.cluster_id);
  append_le(bytes, identity.member_id);
  return bytes;
}

Result<Identity> decode_identity(std::string_view bytes, const std::string& directory) {
  ByteReader reader(bytes);
  const auto cluster_id = reader.le<std::uint64_t>();
  const auto member_id = reader.le<std::uint64_t>();
  if (!member_id || *member_id == 0) {
    return Error{Errc::corrupt, directory + ": the log does not say which member it belongs to"};
  }
  return Identity{*cluster_id, *member_id};
}

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno == EEXIST && std::filesystem::is_directory(path, error)) return {};
  const std::string reason = std::generic_category().message(errno);
  return Error{Errc::io, "data directory " + path + " cannot be made: " + reason +
                             "; choose another with --data-dir"};
}

std::uint64_t drawn_from_system() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

replica::Options replica_options(const NodeOptions& options, const Identity& identity,
                                 std::uint64_t incarnation) {
  replica::Options result;
  result.cluster_id = identity.cluster_id;
  result.self = {identity.member_id, options.name, options.peer_urls, options.client_urls};
  result.incarnation = incarnation;
  result.tick = options.heartbeat_interval;
  result.election_ticks = static_cast<int>(options.election_timeout / options.heartbeat_interval);
  result.request_timeout = std::chrono::seconds(5) + 2 * options.election_timeout;
  result.max_txn_operations = options.max_txn_operations;
  result.max_watch_streams = options.max_watch_streams;
  result.max_watchers_per_stream = options.max_watchers_per_stream;
  result.max_request_bytes = options.max_request_bytes;
  result.quota_bytes = options.quota_bytes;
  result.retention.age = options.history_retention;
  result.retention.revisions = options.history_revisions;
  result.progress_interval = options.watch_progress_interval;
  return result;
}

}  // namespace

Result<std::unique_ptr<Node>> Node::start(NodeOptions options, OnFailure on_failure) {
  if (Result<void> made = make_directory(options.data_dir); !made) return made.error();
  auto store = lmdb::Store::open(options.data_dir + "/store", {.quota_bytes = options.quota_bytes});
  if (!store) return store.error();
  const Result<raft::Index> applied = replica::StateMachine::stored_index(**store);
  if (!applied) return applied.error();

  const std::string log_directory = options.data_dir + "/log";
  std::unique_ptr<wal::Disk> disk = std::make_unique<wal::PosixDisk>();
  wal::Options log_options;
  log_options.metadata = encode(identity_of(options));
  log_options.must_reach = *applied;
  Result<wal::Recovered> recovered = wal::Log::open(*disk, log_directory, log_options);
  if (!recovered) return recovered.error();
  const Result<Identity> identity = decode_identity(recovered->metadata, log_directory);
  if (!identity) return identity.error();

  Random random(options.seed != 0 ? options.seed : drawn_from_system());
  // Never from the seed: by the incarnation this run tells its requests from those of an earlier
  // run that the log still holds.
  const std::uint64_t incarnation = drawn_from_system();
  auto replica = replica::Replica::create(replica_options(options, *identity, incarnation), **store,
                                          {recovered->hard_state, std::move(recovered->entries)},
                                          random, BootClock::now());
  if (!replica) return replica.error();

  CoreThread::Parts parts;
  parts.replica = *std::move(replica);
  parts.store = *std::move(store);
  parts.disk = std::move(disk);
  parts.log = std::move(recovered->log);
  parts.tick = options.heartbeat_interval;
  parts.queue_length_max = options.max_waiting_requests;
  return std::unique_ptr<Node>(
      std::make_unique<CoreThread>(std::move(parts), std::move(on_failure)));
}

}  // namespace conclave::server
