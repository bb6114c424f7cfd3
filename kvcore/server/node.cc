#include "conclave/server/node.h"

#include <algorithm>
#include <utility>

#include "conclave/server/core_thread.h"
#include "conclave/server/identity.h"

namespace conclave::server {
namespace {

// What the first entry of a new cluster's log comes after.
constexpr raft::LogPosition kBeginning{1, 1};

replica::Options replica_options(const NodeOptions& options, const Identity& identity,
                                 std::uint64_t incarnation) {
  replica::Options result;
  result.cluster_id = identity.cluster_id;
  result.self.id = identity.member_id;
  result.self.name = options.name;
  result.self.peer_urls = options.peer_urls;
  result.self.client_urls = options.client_urls;
  result.self.data_incarnation = identity.data_incarnation;
  result.initial_members = initial_members(options);
  if (result.initial_members.size() == 1) result.initial_members = {result.self};
  result.joins = identity.joined;
  result.pre_vote = options.pre_vote;
  result.strict_reconfig_check = options.strict_reconfig_check;
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

// What a member finds on its disk, and is made of it.
struct Found {
  Identity identity;
  std::shared_ptr<lmdb::Store> store;
  std::unique_ptr<wal::Disk> disk;
  wal::Recovered recovered;
  bool repairs = false;
  std::unique_ptr<replica::Replica> replica;
};

Result<void> open_log(const DataDirectory& directory, std::optional<raft::Index> must_reach,
                      Found& found) {
  found.disk = std::make_unique<wal::PosixDisk>();
  wal::Options options;
  options.metadata = encode(found.identity);
  options.must_reach = must_reach;
  Result<wal::Recovered> recovered = wal::Log::open(*found.disk, directory.log(), options);
  if (!recovered) return recovered.error();
  found.recovered = *std::move(recovered);
  const Result<Identity> identity = decode_identity(found.recovered.metadata, directory.log());
  if (!identity) return identity.error();
  if (found.identity.member_id == 0) found.identity = *identity;
  if (identity->member_id != found.identity.member_id) {
    return Error{Errc::refused, directory.path() + " holds the log of another member"};
  }
  return {};
}

// The log goes on after `position`, whatever it held.
Result<void> restart_log(Found& found, raft::LogPosition position) {
  wal::Recovered& recovered = found.recovered;
  if (auto restarted = recovered.log->restart_after(position.index, position.term); !restarted) {
    return restarted;
  }
  if (auto synced = recovered.log->sync(); !synced) return synced.error();
  recovered.entries.clear();
  recovered.previous_index = position.index;
  recovered.previous_term = position.term;
  return {};
}

// Store and log, which must fit together.
Result<void> open_both(const NodeOptions& options, const DataDirectory& directory, Found& found) {
  const auto installed = directory.resume_installation();
  if (!installed) return installed.error();
  auto store = lmdb::Store::open(directory.store(), {.quota_bytes = options.quota_bytes});
  if (!store) return store.error();
  found.store = *std::move(store);
  const Result<raft::Index> applied = replica::StateMachine::stored_index(*found.store);
  if (!applied) return applied.error();
  // A new cluster's members all begin alike, as if from a snapshot before the first entry; who
  // joins later is sent one. The log has that beginning before the store's first commit.
  const bool is_founder_without_store = *applied == 0 && !found.identity.joined && !*installed;
  const bool known = !*installed && !is_founder_without_store;
  const auto must_reach = known ? std::optional(*applied) : std::nullopt;
  if (Result<void> opened = open_log(directory, must_reach, found); !opened) return opened;
  wal::Recovered& recovered = found.recovered;
  if (*installed) {
    if (recovered.previous_index != (*installed)->index) {
      if (Result<void> restarted = restart_log(found, **installed); !restarted) return restarted;
    }
    return directory.end_installation();
  }
  if (is_founder_without_store && recovered.previous_index > kBeginning.index) {
    return Error{Errc::corrupt, "the store in " + directory.path() + " is empty, but the log " +
                                    "begins after index " +
                                    std::to_string(recovered.previous_index)};
  }
  const bool untouched = *applied == 0 && recovered.previous_index == 0 &&
                         recovered.entries.empty() && recovered.hard_state == raft::HardState{};
  if (untouched && !found.identity.joined && !found.repairs) return restart_log(found, kBeginning);
  return {};
}

// Reads all that the store holds, which is where damage to it shows.
Result<void> make_replica(const NodeOptions& options, Random& random, Found& found) {
  // Never from the seed: by the incarnation this run tells its requests from those of an earlier
  // run that the log still holds.
  replica::Options settings = replica_options(options, found.identity, drawn_from_system());
  settings.repairs = found.repairs;
  wal::Recovered& recovered = found.recovered;
  auto replica = replica::Replica::create(std::move(settings), *found.store,
                                          {recovered.hard_state,
                                           {recovered.previous_term, recovered.previous_index},
                                           std::move(recovered.entries)},
                                          random, BootClock::now());
  if (!replica) return replica.error();
  found.replica = *std::move(replica);
  return {};
}

Result<void> open_all(const NodeOptions& options, const DataDirectory& directory, Random& random,
                      Found& found) {
  if (Result<void> opened = open_both(options, directory, found); !opened) return opened;
  return make_replica(options, random, found);
}

// The store knows it better than the flags, which may be of the cluster's beginning.
bool has_others(const NodeOptions& options, const Found& found) {
  if (found.store != nullptr) {
    const auto membership = replica::StateMachine::stored_membership(*found.store);
    if (membership && !membership->empty()) return membership->all().size() > 1;
  }
  return options.initial_cluster.size() > 1 || found.identity.joined;
}

// A damaged member of a cluster gets everything anew from the others; one that is alone says what
// is wrong and leaves it as it is.
Result<Found> open_disks(const NodeOptions& options, const DataDirectory& directory,
                         Random& random) {
  Found found;
  const Result<Identity> identity = settle_identity(options, directory);
  if (!identity) return identity.error();
  found.identity = *identity;
  const Result<bool> removed = directory.is_removed();
  if (!removed) return removed.error();
  if (*removed) {
    return Error{Errc::refused, "this member was removed from the cluster; its data directory, " +
                                    directory.path() + ", is of no more use to it: one that is " +
                                    "added anew begins with an empty one"};
  }
  const Result<bool> repairing = directory.is_repairing();
  if (!repairing) return repairing.error();
  found.repairs = *repairing;
  const Result<std::optional<std::string>> damage = directory.damage();
  if (!damage) return damage.error();
  const Result<void> opened = *damage ? Result<void>(Error{Errc::corrupt, **damage})
                                      : open_all(options, directory, random, found);
  if (opened) return found;
  const bool repairable = opened.error().code == Errc::corrupt && found.identity.member_id != 0 &&
                          (*damage || has_others(options, found));
  if (!repairable) return opened.error();
  found.recovered = {};
  found.store.reset();
  const Result<std::string> aside = directory.put_aside();
  if (!aside) return aside.error();
  if (options.notice) {
    options.notice("this member is damaged (" + opened.error().message + "); it was put aside in " +
                   *aside + ", does not vote, and gets everything anew from the others");
  }
  found.repairs = true;
  const Result<void> again = open_all(options, directory, random, found);
  if (!again) return again.error();
  return found;
}

transport::Options link_options(const NodeOptions& options, const Identity& identity) {
  constexpr std::uint64_t kOverheadBytes = 4 << 20;
  transport::Options result;
  result.self = {identity.cluster_id, identity.member_id, identity.data_incarnation};
  result.listen_urls = options.listen_peer_urls;
  result.tls = options.peer_tls;
  result.host = options.links_host;
  result.packet_bytes_max =
      std::max(result.packet_bytes_max, options.max_request_bytes + kOverheadBytes);
  return result;
}

}  // namespace

Result<std::unique_ptr<Node>> Node::start(NodeOptions options, OnFailure on_failure) {
  DataDirectory directory(options.data_dir);
  if (Result<void> made = directory.make(); !made) return made.error();
  Random random(options.seed != 0 ? options.seed : drawn_from_system());
  Result<Found> found = open_disks(options, directory, random);
  if (!found) return found.error();
  const Identity identity = found->identity;

  // Who waits for a snapshot knows the others from nobody else.
  replica::Membership others;
  if (!options.listen_peer_urls.empty() && (found->repairs || identity.joined)) {
    const auto stored = replica::StateMachine::stored_membership(*found->store);
    if (!stored) return stored.error();
    if (stored->empty()) {
      Result<ClusterDescription> described = ask_others(options);
      if (!described) return described.error();
      others = std::move(described->membership);
    }
  }

  CoreThread::Parts parts{.replica = std::move(found->replica),
                          .store = std::move(found->store),
                          .disk = std::move(found->disk),
                          .log = std::move(found->recovered.log),
                          .tick = options.heartbeat_interval,
                          .queue_length_max = options.max_waiting_requests,
                          .directory = directory,
                          .quota_bytes = options.quota_bytes,
                          .repairs = found->repairs,
                          .notice = options.notice};
  auto core = std::make_unique<CoreThread>(std::move(parts), std::move(on_failure));
  if (!options.listen_peer_urls.empty()) {
    const Result<void> connected = core->connect(link_options(options, identity), others);
    if (!connected) return connected.error();
  }
  return std::unique_ptr<Node>(std::move(core));
}

}  // namespace conclave::server
