#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/base/result.h"
#include "conclave/raft/config.h"
#include "conclave/raft/log.h"
#include "conclave/raft/message.h"
#include "conclave/raft/progress.h"
#include "conclave/raft/quorum.h"
#include "conclave/raft/read_index.h"
#include "conclave/raft/types.h"

namespace conclave::raft {

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };

struct Options {
  NodeId id = 0;  // required, not 0
  // A follower campaigns after election_ticks to 2*election_ticks-1 ticks without a leader.
  int election_ticks = 10;
  int heartbeat_ticks = 1;  // below election_ticks
  bool pre_vote = true;
  // A leader that has not heard from a quorum for election_ticks steps down, and followers that
  // hear from a leader ignore vote requests.
  bool check_quorum = true;
  // A leader that applies its own removal (or demotion to learner) steps down at once.
  bool step_down_on_removal = true;
  // The driver has each Ready on disk before it calls the node again or applies anything. Then a
  // Ready's `committed` may reach into its own `entries`. For tests and simple drivers.
  bool synchronous_storage = false;
  std::uint64_t max_bytes_per_append = 1 << 20;  // payload bytes; one entry always fits
  std::uint64_t max_bytes_per_apply = 64
                                      << 20;    // in one Ready's `committed`; one entry always fits
  int max_inflight_messages = 256;              // appends with entries per follower, above 0
  std::uint64_t max_inflight_bytes = 64 << 20;  // 0: no bound
  std::uint64_t max_uncommitted_bytes = 256 << 20;  // above it, proposals are refused; 0: no bound
};

// What a node starts with.
//
// A new group: its first voters all start with the same `config` of themselves, compacted = {1, 1}
// and applied = 1, as if from a snapshot at index 1. A node that joins later starts with nothing at
// all; its leader finds out and sends it a snapshot, with the configuration. (From {0, 0} the log
// itself would do, and the joining node would never learn of the first voters.)
struct InitialState {
  HardState hard_state;
  ConfigState config;          // as of `applied`
  LogPosition compacted = {};  // the entry before `entries`; {0, 0} for a log from its beginning
  std::vector<Entry> entries;  // everything on disk above `compacted`
  Index applied = 0;           // what the state machine has; at least compacted.index
  // The node has lost what it promised, votes and acknowledged entries: it follows, but neither
  // votes nor campaigns until regain_vote().
  bool voteless = false;
};

struct SoftState {
  NodeId leader = 0;  // 0: none known
  Role role = Role::follower;

  friend bool operator==(const SoftState&, const SoftState&) = default;
};

// The answer to Node::read_index(): once the state machine has applied `index`, it may answer the
// reads of `context`, linearizably.
struct ReadState {
  std::string context;
  Index index = 0;

  friend bool operator==(const ReadState&, const ReadState&) = default;
};

// What the driver is to do. The order it must keep:
//
//   1. `messages` may leave at once, before or while anything below happens.
//   2. On disk, in the order of the Readies, and within one Ready in this order: `snapshot`, then
//      `entries`, then `hard_state`. One sync covers them all; it may cover several Readies.
//   3. When a Ready is on disk: send its `messages_after_persist`, and call
//      Node::persisted(number). A Ready with nothing to write counts as on disk once all before it
//      are: its messages_after_persist wait for those, too.
//   4. `committed` may be applied at once, in order, whatever the disk is doing: it never reaches
//      beyond what the node knows to be on its own disk (but see Options::synchronous_storage). For
//      each entry of kind config_change, call Node::apply_config_change(); when done,
//      Node::applied(index).
//
// The next Ready may be taken, and the node be called, while earlier ones are still being written.
struct Ready {
  std::uint64_t number = 0;  // 1, 2, 3, …

  // Present if changed since the last Ready. Volatile; for those who want to know the leader.
  std::optional<SoftState> soft_state;

  // Present if changed. To be on disk before messages_after_persist leave.
  std::optional<HardState> hard_state;

  // Append to the log on disk. The first entry's index says where: anything at or above it that is
  // there already is overwritten.
  std::vector<Entry> entries;

  // Make the state machine and the log on disk those of this snapshot: the log is empty and begins
  // after snapshot->index. Its bytes are with the driver, which has them before it steps the
  // message. Until persisted(), nothing beyond it is committed out of this node.
  std::optional<SnapshotMetadata> snapshot;

  // Send as soon as you like; losing or doubling any of them does no harm. A `snapshot` message
  // asks the driver to stream the state; it may send a snapshot of a later applied index than the
  // message's, if it says so in the message. Report the end of it with report_snapshot().
  std::vector<Message> messages;

  // Send only when this Ready and all before it are on disk: votes and acknowledgements.
  std::vector<Message> messages_after_persist;

  std::vector<Entry> committed;
  std::vector<ReadState> read_states;

  // Whether the write needs a sync before persisted(): there are entries, or the term or vote
  // changed. (A changed commit index alone may be written without; a `snapshot` is always to be
  // synced.)
  bool must_sync = false;
};

// Why a proposal or request was turned down. Nothing was changed.
enum class Refusal : std::uint8_t {
  not_leader = 1,
  no_leader,             // read_index on a follower that knows none
  transferring,          // leadership is being handed over; ask again
  too_many_uncommitted,  // Options::max_uncommitted_bytes is reached; ask again
  change_in_progress,    // an earlier configuration change is not applied yet
  impossible_change,     // the change does not fit the configuration
  not_a_member,          // this node, or the one named, has no vote here
};
std::string_view name_of(Refusal refusal);

// What a leader knows about one node. For status pages and tests.
struct ProgressView {
  ProgressState state = ProgressState::probe;
  Index match = 0;
  Index next = 0;
  bool learner = false;
  bool paused = false;
  bool recently_active = false;
  Index pending_snapshot = 0;
  std::size_t inflight = 0;
};

// A member of a Raft group, as a pure state machine: Ongaro and Ousterhout, "In Search of an
// Understandable Consensus Algorithm" (2014), with PreVote, CheckQuorum, leadership transfer,
// ReadIndex and learners of Ongaro's thesis, and joint consensus of the paper's section 6, entered
// and left by applied entries.
//
// No clock, thread, disk or socket: time is tick(), the network is step() and Ready::messages, the
// disk is Ready::entries and persisted(). Same calls and same seed, same results.
//
// Not thread-safe: one thread at a time. No call blocks. Broken invariants (a committed entry
// overwritten, a Ready persisted out of order) end the process.
//
//   Node node(options, std::move(initial), random);
//   for (;;) {
//     // On a timer: node.tick(). On a message: node.step(std::move(message)).
//     // On a request: node.propose(…).
//     while (node.has_ready()) {
//       Ready ready = node.take_ready();
//       send(ready.messages);
//       log_thread.write(ready, [number = ready.number] {  // back on this thread
//         send(messages_after_persist);
//         node.persisted(number);
//       });
//       for (const Entry& entry : ready.committed) apply(entry);
//       if (!ready.committed.empty()) node.applied(ready.committed.back().index);
//     }
//   }
class Node {
 public:
  // Starts as a follower. Ends the process if the state does not fit together (a gap in the
  // entries, a commit index beyond them): check what comes from disk first.
  Node(Options options, InitialState initial, Random random);

  // Time passes, by one unit of Options::election_ticks.
  void tick();
  // A message came in. Anything may come: old, doubled, from strangers.
  void step(Message message);
  // Begin an election now. No effect on a leader or on one that must not lead: no voter, a snapshot
  // in progress, a committed configuration change not applied yet.
  void campaign();

  // Appends one entry per payload and returns the first one's position; the others follow it. That
  // an entry has a position does not say that it will commit: watch Ready::committed for its term
  // and index; another term at that index means that it is lost.
  Result<LogPosition, Refusal> propose(std::vector<std::string> payloads);
  // One change at a time: refused while an earlier one is not applied.
  Result<LogPosition, Refusal> propose_config_change(const ConfigChange& change);

  // To be called for every committed entry of kind config_change, in order, as it is applied, with
  // the entry's index. Returns the configuration from there on: store it with the state of that
  // index. A change that does not fit (two leaders may each have proposed one) changes nothing, the
  // same everywhere. Nothing is returned if a snapshot has overtaken the index; drop the entry,
  // too.
  std::optional<ConfigState> apply_config_change(Index index, const ConfigChange& change);

  // Asks at which index a read is linearizable; the answer is a Ready::read_states with `context`.
  // On a follower, the question goes to the leader. An answer may never come (a lost message, a new
  // leader): ask again with another context, never the same.
  Result<void, Refusal> read_index(std::string context);

  // Hands leadership to `successor`, once its log is up to date. Proposals are refused until then,
  // or until an election timeout has passed without success.
  Result<void, Refusal> transfer_leadership(NodeId successor);
  // The leader is known to be gone (its process ended): forget it, so that a pre-vote of any node
  // can succeed before the election timeout. No effect on a leader.
  void forget_leader();

  // A voteless node has on disk everything that the group had committed at some time after it came
  // back: it counts again. It must have heard that from the leader (read_index()).
  void regain_vote();
  bool voteless() const { return voteless_; }
  // `peer` has lost its log: what it acknowledged does not count any more. Leader only.
  void forget_match(NodeId peer);

  // Messages to `peer` were surely lost: go back to probing it.
  void report_unreachable(NodeId peer);
  // The stream of a snapshot to `peer` ended. Success means that it is installed or soon will be.
  void report_snapshot(NodeId peer, bool success);

  bool has_ready() const;
  // has_ready() must be true.
  Ready take_ready();
  // Everything of Ready `number`, and of all before it, is on disk. In order; numbers may be
  // skipped.
  void persisted(std::uint64_t number);
  // The state machine has everything up to and including `index`.
  void applied(Index index);

  // Drops the log up to and including `index`, which must be applied (and, for the driver's sake,
  // in a durable snapshot or state). A follower that needs older entries gets a snapshot.
  void compact(Index index);

  NodeId id() const { return options_.id; }
  Term term() const { return hard_state_.term; }
  NodeId vote() const { return hard_state_.vote; }
  Role role() const { return role_; }
  NodeId leader() const { return leader_; }  // 0: none known
  NodeId transferring_to() const { return transferee_; }
  const Log& log() const { return log_; }
  const ConfigState& config() const { return config_; }
  std::uint64_t uncommitted_bytes() const { return uncommitted_bytes_; }
  // By node; empty unless this one leads.
  std::map<NodeId, ProgressView> progress() const;

  // Fixes the random election timeout until the next change of role or term. For scenario tests.
  void set_randomized_election_ticks(int ticks) { randomized_election_ticks_ = ticks; }

 private:
  enum class Campaign : std::uint8_t { pre_election, election, transfer };

  // What a taken Ready will have put on disk.
  struct Unpersisted {
    std::uint64_t number = 0;
    Index last_index = 0;  // 0: no entries; lowered if the log is cut in the meantime
    Index snapshot_index = 0;
    Term vote_term = 0;  // the term in which this node votes for itself with it, or 0
  };

  // node.cc
  void reset(Term term);
  void become_follower(Term term, NodeId leader);
  void truncate_log(Index from);
  void randomize_election_timeout();
  void send(Message message);
  HardState hard_state() const;
  Index committable() const;  // how far `committed` may reach now
  void check_invariants() const;

  // election.cc
  bool step_other_term(const Message& message);
  void start_campaign(Campaign kind);
  void send_vote_requests(Campaign kind);
  void handle_vote_request(const Message& message);
  void record_vote(NodeId from, bool granted);
  void learn_commit(const Message& refusal);
  bool can_campaign() const;
  bool in_lease() const;
  void become_leader();

  // replication.cc: the leader's side
  void tick_leader();
  void check_quorum_active();
  void step_leader(Message message);
  void handle_append_response(const Message& message);
  void handle_append_rejection(Progress& progress, const Message& message);
  void handle_heartbeat_response(const Message& message);
  LogPosition append_own(std::vector<Entry> entries);
  bool try_commit();
  bool send_append(NodeId to, bool even_if_empty = true);
  bool send_snapshot(NodeId to);
  void broadcast_append();
  void broadcast_heartbeat();
  void queue_read(ReadRequest request);
  void begin_read_round();
  void confirm_reads();
  bool committed_in_own_term() const;

  // follower.cc
  void step_follower(Message message);
  void handle_append(Message message);
  void handle_heartbeat(const Message& message);
  void handle_snapshot(const Message& message);
  bool restore(const SnapshotMetadata& snapshot);
  void append_from_leader(std::vector<Entry> entries);

  // membership.cc
  void switch_config(ConfigState config);
  void rebuild_progress();
  Progress new_progress(Index next) const;
  Progress* progress_of(NodeId id);
  void leave_joint_if_due();
  bool counts(const Progress& progress) const;
  bool votes() const { return config_.is_voter(options_.id) && !voteless_; }

  const Options options_;
  Random random_;
  Log log_;
  ConfigState config_;
  Index config_index_ = 0;      // of the entry or snapshot that config_ is from
  ConfigState applied_config_;  // as of log_.applied(); what a snapshot message names

  bool voteless_ = false;

  HardState hard_state_;  // its commit is log_.committed(); see hard_state()
  Role role_ = Role::follower;
  NodeId leader_ = 0;
  int election_elapsed_ = 0;
  int heartbeat_elapsed_ = 0;
  int randomized_election_ticks_ = 0;
  Votes votes_received_;

  // A leader's.
  std::map<NodeId, Progress> progress_;  // kept for every member by every node; used by leaders
  NodeId transferee_ = 0;
  Index pending_config_index_ = 0;  // no configuration change may be proposed until it is applied
  std::uint64_t uncommitted_bytes_ = 0;
  ReadIndexQueue reads_;

  // On the way out.
  std::vector<Message> messages_;
  std::vector<Message> messages_after_persist_;
  std::vector<ReadState> read_states_;
  Term own_vote_wanted_ = 0;  // counted once the Ready that carries it is on disk
  std::optional<SnapshotMetadata> snapshot_to_install_;  // until a Ready takes it
  Index installing_ = 0;                                 // until persisted() confirms it
  Index taken_ = 0;                                      // entries up to here went out in Readies
  Index applying_ = 0;                                   // committed entries up to here, too
  HardState hard_state_taken_;
  SoftState soft_state_taken_;
  std::uint64_t last_number_ = 0;
  std::deque<Unpersisted> unpersisted_;
};

}  // namespace conclave::raft
