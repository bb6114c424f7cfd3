#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/random.h"
#include "conclave/base/result.h"
#include "conclave/mvcc/storage.h"
#include "conclave/raft/node.h"
#include "conclave/replica/auto_compactor.h"
#include "conclave/replica/calls.h"
#include "conclave/replica/cluster_clock.h"
#include "conclave/replica/forwarded_once.h"
#include "conclave/replica/lease_keeper.h"
#include "conclave/replica/membership.h"
#include "conclave/replica/peer_message.h"
#include "conclave/replica/pending_calls.h"
#include "conclave/replica/read_walks.h"
#include "conclave/replica/snapshot.h"
#include "conclave/replica/state_machine.h"
#include "conclave/replica/watch_streams.h"

namespace conclave::replica {

struct Options {
  std::uint64_t cluster_id = 0;
  Member self;
  // Of a new cluster, this one among them; if empty, this member alone. Of no meaning where the
  // store knows a membership.
  std::vector<Member> initial_members;
  // This member joins a cluster that exists: it knows nothing until a leader tells it.
  bool joins = false;
  // What this member once had was damaged and is put aside: it counts again only when it has
  // everything that the others have committed (see Replica::is_repaired()).
  bool repairs = false;
  std::uint64_t incarnation = 0;  // of this run of the process; drawn by the driver
  bool pre_vote = true;
  // Refuse changes of the membership after which too few members would be there to serve.
  bool strict_reconfig_check = true;
  std::size_t max_learners = 1;
  Duration tick{std::chrono::milliseconds(100)};
  int election_ticks = 10;
  int heartbeat_ticks = 1;
  Duration request_timeout{std::chrono::seconds(7)};
  std::size_t max_txn_operations = 128;
  std::uint64_t max_request_bytes = 1572864;
  std::uint64_t quota_bytes = std::uint64_t{2} << 30;
  std::uint64_t max_waiting_calls = 100000;
  // Of the log, and of what waits for the store. The log in memory may have twice as much.
  std::uint64_t max_uncommitted_bytes = 64 << 20;
  // Of the log that the store has, what is kept for members that are behind.
  std::uint64_t kept_log_bytes = 32 << 20;
  std::uint64_t kept_log_entries = 20000;
  ReadWalks::Limits walks;
  std::size_t max_watch_streams = WatchLimits().streams_max;
  std::size_t max_watchers_per_stream = WatchLimits().watchers_per_stream_max;
  HistoryRetention retention;
  Duration progress_interval{std::chrono::minutes(10)};  // of watches that ask for it
  // A batch goes to the store after whichever comes first. Its sync delays the log's: not often,
  // since each has a cost of its own, and not seldom, since a large one takes long. What is not
  // there yet is read from the log after a restart.
  Duration batch_age{std::chrono::milliseconds(250)};
  std::uint64_t batch_entries = 10000;
  std::uint64_t batch_bytes = 16 << 20;
};

// What the world is to do. Taking it empties it.
struct Output {
  // To the log, in this order, and then one sync; afterwards Replica::log_persisted(ready_number).
  struct LogWrite {
    std::uint64_t ready_number = 0;
    std::vector<raft::Entry> entries;
    std::optional<raft::HardState> hard_state;
    bool must_sync = false;
    // Present: the snapshot that has arrived takes the place of store and log. First its store,
    // durably and after what was given to the old one; then the log that begins after it, and this.
    std::optional<raft::LogPosition> install;
  };
  std::vector<LogWrite> log_writes;

  // To the store, as one transaction; afterwards Replica::batch_committed().
  std::shared_ptr<const mvcc::Batch> batch;

  // To the store, after the batches before it; afterwards Replica::defragmented().
  bool defragment = false;

  // To other members, each by itself; losing or doubling any does no harm.
  struct PeerMessage {
    raft::NodeId to = 0;
    PeerContent content;
  };
  std::vector<PeerMessage> to_peers;

  // To be read from the store and sent; afterwards Replica::snapshot_ended(number). What the store
  // needs for it is committed.
  struct Snapshot {
    std::uint64_t number = 0;
    raft::NodeId to = 0;  // 0: to whoever called begin_snapshot()
    SnapshotState state;
  };
  std::vector<Snapshot> snapshots;
  // The snapshot that has arrived is of no use.
  bool discard_arrived = false;

  std::vector<Answer> answers;
  std::vector<WatchDelivery> deliveries;

  // The log up to here is in a store commit that no power cut can take back.
  std::optional<raft::Index> release_log;

  bool empty() const {
    return log_writes.empty() && batch == nullptr && !defragment && answers.empty() &&
           deliveries.empty() && to_peers.empty() && snapshots.empty() && !discard_arrived &&
           !release_log;
  }
};

// One member: consensus, state machine, leases and watches as one deterministic object. The same
// calls with the same arguments give the same outputs; a simulation drives it as the server does.
//
// The order that makes an acknowledgement mean something: an entry is applied, and answered, only
// after log_persisted() confirmed it on a quorum's disks (raft::Ready); a store batch never holds
// an entry that this member's own log has not synced, since only such entries are applied.
//
// Not thread-safe: one thread owns it. No call blocks, except reads of the Storage port.
class Replica {
 public:
  // What was found on disk. `storage` must outlive the replica.
  struct Recovered {
    raft::HardState hard_state;
    raft::LogPosition previous;  // the entry before `entries`
    std::vector<raft::Entry> entries;
  };
  static Result<std::unique_ptr<Replica>> create(Options options, const mvcc::Storage& storage,
                                                 Recovered recovered, Random random, Instant now);

  // Time passes: elections, expiries, timeouts, automatic compaction. Once every Options::tick.
  void tick(Instant now);

  // A request; its answer comes in an Output, perhaps the next one.
  void submit(RequestId id, const AnyCall& call, Instant now);

  // What another member says. `data_incarnation` is that of its data directory, as it told when the
  // link was made.
  void receive(raft::NodeId from, std::uint64_t data_incarnation, PeerContent content, Instant now);
  // Messages to it are surely or probably lost.
  void peer_unreachable(raft::NodeId peer);
  // Its process is gone, for sure: if it led, nobody does.
  void peer_gone(raft::NodeId peer, Instant now);
  // `peer` says that this member has no place in the cluster any more. Once more than half of the
  // other voters say so, process() fails with `reason`. A single one may be what is left of a
  // cluster that was restored or founded again with the same ids.
  void dismiss(raft::NodeId peer, std::string reason);
  // It takes that back.
  void accept(raft::NodeId peer) { dismissed_by_.erase(peer); }

  // A snapshot of the state as it is now; it comes in an Output under the number returned.
  std::uint64_t begin_snapshot() { return begin_snapshot(0, 0); }
  void snapshot_ended(std::uint64_t number, bool sent);
  // The bytes of a snapshot have come from another member, and `state` is loaded from them. An
  // Output says whether it is installed or discarded; only one is here at a time. Until
  // log_persisted() of the installation the storage below `state` is not the member's.
  void snapshot_arrived(std::uint64_t data_incarnation, const SnapshotHead& head,
                        std::unique_ptr<StateMachine> state, Instant now);

  // From now on requests are refused; those under way are still answered. A leader hands its
  // leadership over.
  void drain();
  bool idle() const {
    // One that still leads others hands over first.
    if (raft_.role() == raft::Role::leader && best_successor() != 0) return false;
    return pending_.empty() && keeper_.idle() && waiting_reads_.empty() &&
           reads_in_round_.empty() && confirmed_reads_.empty() && walks_.empty() &&
           physical_compactions_.empty() && defragmentations_.empty() && parked_.empty() &&
           leader_moves_.empty();
  }
  // Everything applied is in the store, and everything appended in the log.
  bool settled() const {
    return !batch_out_ && batch_entry_count_ == 0 &&
           raft_.log().persisted() == raft_.log().last_index();
  }
  // Answers everything that still waits; the outcome of what was proposed is unknown to the caller.
  void abandon(api::Refusal refusal);

  void log_persisted(std::uint64_t ready_number);
  void batch_committed(std::uint64_t size_bytes, std::uint64_t size_in_use_bytes);
  // False: no copy could be made, and the store is as it was. A failure that is more than that ends
  // the member.
  void defragmented(bool done, std::uint64_t size_bytes, std::uint64_t size_in_use_bytes);
  // Nobody wants the answer any more that this is the response of: a read that goes on is ended.
  void abandon_read(const google::protobuf::Message* response);
  // What an Answer held is not in memory any more.
  void response_sent(std::uint64_t held_bytes) { walks_.sent(held_bytes); }
  // Asks for a batch with everything applied so far, however small and young it is.
  void flush() { flush_wanted_ = true; }

  WatchStreams& watches() { return watches_; }
  // There is more to do that waits for nothing: call process() again soon.
  bool has_more() const {
    return watches_.has_more() || walks_.has_more() || may_remove_compacted();
  }
  // When process() has something to do that no call announces: a batch comes of age, renewals that
  // waited together are to go, or watchers may read on in the past.
  std::optional<Instant> next_deadline() const;

  // Errc::corrupt: this member met an entry that it cannot apply, its store failed a read, or its
  // log has lost entries that it had acknowledged. It answers nothing from then on; the driver
  // stops it.
  Result<void> process(Instant now);
  Output take_output();

  bool is_ready() const;
  bool has_leader() const { return raft_.leader() != 0; }
  // Nobody has led, as far as this member knows, for so long that an election would be over: its
  // state may be old without end, and who wants to hear what is new asks another member.
  bool is_cut_off(Instant now) const;
  // What a stream of watches ends with that is opened here now.
  std::optional<api::Refusal> refuse_watches() const;
  // An entry that removes this member is applied: it serves nothing any more.
  // Who led until then goes on for some election timeouts: it may be the only one that knows.
  bool is_removed() const { return state_.membership().removed(options_.self.id); }
  // Its log was cut off at an earlier place than where it had acknowledged; process() has failed.
  bool has_lost_log() const { return log_lost_; }
  // One that began with Options::repairs counts again, durably.
  bool is_repaired() const { return !raft_.voteless() && unsynced_.empty(); }
  const raft::Node& raft() const { return raft_; }
  const StateMachine& state() const { return state_; }

 private:
  // The latest that was heard of it.
  struct LeaderTime {
    raft::Term term = 0;
    std::int64_t time_ms = 0;
    friend auto operator<=>(const LeaderTime&, const LeaderTime&) = default;
  };

  struct WaitingRead {
    RequestId id;
    AnyCall call;
    Instant deadline;
  };

  // A write before it is in anybody's log.
  struct Write {
    RequestId id = 0;  // with a response
    google::protobuf::Message* response = nullptr;
    Proposal proposal;
    Instant deadline{};
  };
  struct LeaderMove {
    RequestId id;
    raft::NodeId to;
    Instant deadline;
  };

  Replica(Options options, const mvcc::Storage& storage, raft::InitialState initial,
          StateMachine state, Random random, Instant now);

  // calls.cc: requests in, answers out
  struct Submission;
  std::optional<api::Refusal> refuse_for_role(const AnyCall& call) const;
  std::optional<api::Refusal> refuse_for_load(const AnyCall& call) const;
  std::optional<api::Refusal> refuse_for_growth() const;
  void send_again(Instant now);
  std::uint64_t size_in_use() const;
  void refuse_for_space(RequestId id, Instant now);
  bool propose_quota_alarm(bool raise, Instant now);
  std::optional<api::Refusal> propose(RequestId id, google::protobuf::Message* response,
                                      Proposal proposal, Instant now);
  bool propose_own(Proposal proposal, Instant now);
  void answer(RequestId id, std::optional<api::Refusal> refusal);
  void serve_read(RequestId id, const AnyCall& call, Instant now);
  template <class Response, class Begin>
  void walk(RequestId id, Response* response, Begin begin, Instant now);
  std::optional<api::Refusal> read(const AnyCall& call, Instant now);
  void fill_header(etcdserverpb::ResponseHeader* header) const;
  void list_errors(etcdserverpb::StatusResponse& response) const;

  // peers.cc: between members
  bool is_grouped() const;  // there are others
  std::optional<api::Refusal> send_to_log(Write write, Instant now);
  std::optional<api::Refusal> append(Write& write, std::string& payload, Instant now);
  bool may_send() const;
  void send_parked(Instant now);
  void handle_forward(raft::NodeId from, Forward forward, Instant now);
  void handle_forward_refused(const ForwardRefused& refused);
  void lose_before(raft::Term term);
  void send_messages(std::vector<raft::Message> messages);
  void send_persisted_messages();
  void notice_leader(Instant now);
  bool ends_as_removed(Instant now);
  void replace_leader(Instant now);
  void give_way(const raft::Message& message, Instant now);
  Duration campaign_wait();
  void publish_self(Instant now);
  void hand_over();
  void hand_over_if_disk_hangs(Instant now);
  raft::NodeId best_successor() const;

  // repair.cc
  bool notice_lost_log(const raft::Message& message, Instant now);
  void ask_for_vote(Instant now);
  bool take_repair_answer(const raft::ReadState& state);
  void regain_vote_if_due();

  // snapshots.cc
  struct Sending {
    std::uint64_t number = 0;
    raft::NodeId to = 0;
    raft::Index index = 0;
    std::uint64_t batch = 0;  // that has to be committed before
    std::optional<SnapshotState> state;
    mvcc::Hold hold;
  };
  std::uint64_t begin_snapshot(raft::NodeId to, raft::Term term);
  void hand_out_snapshots();
  void install_arrived(const raft::Ready& ready);
  void finish_installation(std::uint64_t ready_number);
  std::uint64_t batches_committed() const {
    return batch_out_ ? batches_taken_ - 1 : batches_taken_;
  }

  // member_calls.cc: changes of the membership
  std::optional<api::Refusal> propose_member_change(const MemberChange& change, std::string context,
                                                    Instant now);
  std::optional<api::Refusal> refusal_of_change(const MemberChange& change, Instant now) const;
  std::optional<api::Refusal> refuse_addition(const etcdserverpb::Member& member,
                                              Instant now) const;
  std::optional<api::Refusal> refuse_removal(const Member& member, Instant now) const;
  std::optional<api::Refusal> refuse_promotion(const Member& member) const;
  bool is_active(raft::NodeId member, Instant now) const;
  std::size_t voters_started() const;
  std::size_t voters_active(Instant now) const;
  std::optional<api::Refusal> move_leader(RequestId id, raft::NodeId to, Instant now);
  void answer_leader_moves();
  Result<void> apply_config(const raft::Entry& entry);
  void show_members(const MemberChange& change, google::protobuf::Message& response) const;

  // replica.cc: the way of an entry
  Result<void> take_ready(Instant now);
  Result<void> apply(const raft::Entry& entry);
  void begin_read_round(Instant now);
  void confirm_reads(const std::vector<raft::ReadState>& states);
  void serve_confirmed_reads(Instant now);
  void step_walks(Instant now);
  void answer_proposed(const PendingCalls::Pending& call, const Proposal& proposal,
                       std::optional<api::Refusal> refusal);
  void answer_applied(const Proposal& proposal, const StateMachine::Outcome& outcome);
  void propose_lease_work(Instant now);
  void stamp_log(Instant now);
  void note_leader_time(const raft::Message& message);
  std::int64_t time_before_leading() const;
  void take_back_quota_alarm(Instant now);
  void expire_calls(Instant now);
  raft::Index compactable(raft::Index proven) const;
  std::string read_context() const;
  void maybe_take_batch(Instant now);

  // replica.cc: what a compaction leaves to remove
  bool may_remove_compacted() const;
  void remove_compacted();
  void answer_physical_compactions();

  const Options options_;
  Random random_;
  raft::Node raft_;
  StateMachine state_;
  ClusterClock clock_;
  AutoCompactor compactor_;
  LeaseKeeper keeper_;
  LeaderTime leader_time_;
  std::int64_t stamped_ms_ = 0;  // by the last entry that was proposed for its stamp alone
  PendingCalls pending_;
  WatchStreams watches_;
  ReadWalks walks_;

  std::uint64_t next_sequence_ = 1;
  std::uint64_t alarm_sequence_ = 0;  // of a quota alarm's entry under way; 0: none
  Instant alarm_proposed_{};
  bool draining_ = false;
  bool was_leader_ = false;
  raft::LogPosition last_leader_;  // term, and who led in it as `index`
  Instant led_at_{};               // the last tick at which there was a leader

  // Between members. What waits until there is a leader to take it; which messages must not leave
  // before the log is on disk; when whom was heard.
  PendingCalls parked_;  // under numbers of their own
  std::uint64_t next_parked_ = 0;
  struct HeldMessages {
    std::uint64_t ready_number;
    std::vector<raft::Message> messages;
  };
  std::deque<HeldMessages> held_messages_;
  std::deque<std::uint64_t> unsynced_;  // Readies that are to be synced
  std::uint64_t hanging_ = 0;           // the first of them at the last tick
  Instant hangs_since_{};
  std::map<raft::NodeId, Instant> heard_;
  ForwardedOnce forwarded_once_;  // in led_term_
  raft::Term led_term_ = 0;
  std::optional<Instant> campaign_at_;  // a leader is known to be gone
  Instant send_again_at_{};
  std::uint64_t sent_before_ = 0;  // the sequence that was the next one then
  int campaigns_ = 0;              // since then, those of others among them
  Instant publish_again_{};
  std::vector<LeaderMove> leader_moves_;

  // The others count on entries that are not here, and nobody said that this member repairs itself.
  bool log_lost_ = false;
  Instant ends_at_{};  // once it is removed
  std::set<raft::NodeId> dismissed_by_;
  std::optional<std::string> dismissal_;
  // Of a member that repairs itself.
  Instant told_of_lost_log_{};
  Instant asked_for_vote_{};
  std::uint64_t vote_question_ = 0;
  std::optional<raft::Index> vote_at_;  // counts again once its log reaches so far

  // Snapshots on their way out; the one that has come in, and the Ready that installs it.
  std::uint64_t next_snapshot_ = 1;
  std::list<Sending> sending_;
  std::unique_ptr<StateMachine> arrived_;
  std::optional<std::uint64_t> installing_;

  // The way of a linearizable read: it waits for the next round of ReadIndex to begin, then for
  // that round's index, then for the state to be there. A round that got no answer is given up with
  // its number: its reads begin again in a new one.
  std::vector<WaitingRead> waiting_reads_;
  std::vector<WaitingRead> reads_in_round_;
  std::multimap<raft::Index, WaitingRead> confirmed_reads_;
  std::uint64_t round_ = 0;
  Instant round_began_{};

  // A compaction with `physical` is applied like any other; its caller is told only once this
  // member's store has committed the removal.
  struct PhysicalCompaction {
    RequestId id;
    std::int64_t revision;
    Instant deadline;
    std::optional<std::uint64_t> batch;  // that holds the last of the removal; none: not all done
  };
  std::vector<PhysicalCompaction> physical_compactions_;

  std::vector<RequestId> defragmentations_;
  bool defragmentation_out_ = false;

  // The batch on its way to the store, and what it will have made durable.
  bool batch_out_ = false;
  std::uint64_t batches_taken_ = 0;
  bool flush_wanted_ = false;
  Instant batch_since_{};
  std::uint64_t batch_entry_count_ = 0;
  raft::Index batch_applied_ = 0;
  raft::Index committed_applied_ = 0;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t size_in_use_bytes_ = 0;

  Output output_;
};

}  // namespace conclave::replica
