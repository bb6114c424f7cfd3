#pragma once

#include <cstdint>
#include <deque>
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
#include "conclave/replica/lease_keeper.h"
#include "conclave/replica/pending_calls.h"
#include "conclave/replica/read_walks.h"
#include "conclave/replica/state_machine.h"
#include "conclave/replica/watch_streams.h"

namespace conclave::replica {

struct Member {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls;
  std::vector<std::string> client_urls;
};

struct Options {
  std::uint64_t cluster_id = 0;
  Member self;
  std::uint64_t incarnation = 0;  // of this run of the process; drawn by the driver
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
  ReadWalks::Limits walks;
  std::size_t max_watch_streams = WatchLimits().streams_max;
  std::size_t max_watchers_per_stream = WatchLimits().watchers_per_stream_max;
  HistoryRetention retention;
  Duration progress_interval{std::chrono::minutes(10)};  // of watches that ask for it
  // A batch goes to the store after whichever comes first.
  Duration batch_age{std::chrono::milliseconds(100)};
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
  };
  std::vector<LogWrite> log_writes;

  // To the store, as one transaction; afterwards Replica::batch_committed().
  std::shared_ptr<const mvcc::Batch> batch;

  // To the store, after the batches before it; afterwards Replica::defragmented().
  bool defragment = false;

  std::vector<Answer> answers;
  std::vector<WatchDelivery> deliveries;

  // The log up to here is in a store commit that no power cut can take back.
  std::optional<raft::Index> release_log;

  bool empty() const {
    return log_writes.empty() && batch == nullptr && !defragment && answers.empty() &&
           deliveries.empty() && !release_log;
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
    std::vector<raft::Entry> entries;
  };
  static Result<std::unique_ptr<Replica>> create(Options options, const mvcc::Storage& storage,
                                                 Recovered recovered, Random random, Instant now);

  // Time passes: elections, expiries, timeouts, automatic compaction. Once every Options::tick.
  void tick(Instant now);

  // A request; its answer comes in an Output, perhaps the next one.
  void submit(RequestId id, const AnyCall& call, Instant now);

  // From now on requests are refused as stopped; those under way are still answered.
  void drain() { draining_ = true; }
  bool idle() const {
    return pending_.empty() && keeper_.idle() && waiting_reads_.empty() &&
           reads_in_round_.empty() && confirmed_reads_.empty() && walks_.empty() &&
           physical_compactions_.empty() && defragmentations_.empty();
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
  // When process() has something to do that no call announces: a batch comes of age, or renewals
  // that waited together are to go.
  std::optional<Instant> next_deadline() const;

  // Errc::corrupt: this member met an entry that it cannot apply, or its store failed a read. It
  // answers nothing from then on; the driver stops it.
  Result<void> process(Instant now);
  Output take_output();

  bool is_ready() const;
  const raft::Node& raft() const { return raft_; }
  const StateMachine& state() const { return state_; }

 private:
  struct WaitingRead {
    RequestId id;
    AnyCall call;
    Instant deadline;
  };

  Replica(Options options, const mvcc::Storage& storage, raft::InitialState initial,
          StateMachine state, Random random, Instant now);

  // calls.cc: requests in, answers out
  struct Submission;
  std::optional<api::Refusal> refuse_for_load(const AnyCall& call) const;
  std::uint64_t size_in_use() const;
  void refuse_for_space(RequestId id, Instant now);
  bool propose_quota_alarm(bool raise, Instant now);
  std::optional<api::Refusal> propose(RequestId id, google::protobuf::Message* response,
                                      Proposal proposal, Instant now);
  bool propose_own(Proposal proposal, Instant now);
  void answer(RequestId id, std::optional<api::Refusal> refusal);
  void serve_read(RequestId id, const AnyCall& call, Instant now);
  template <class Response, class Walk>
  void walk(RequestId id, Response* response, Walk walk, Instant now);
  std::optional<api::Refusal> read(const AnyCall& call);
  void fill_header(etcdserverpb::ResponseHeader* header) const;
  void list_errors(etcdserverpb::StatusResponse& response) const;

  // replica.cc: the way of an entry
  void take_raft_ready(Instant now);
  Result<void> apply(const raft::Entry& entry);
  void begin_read_round(Instant now);
  void serve_confirmed_reads(Instant now);
  void step_walks(Instant now);
  void answer_proposed(const PendingCalls::Pending& call, const Proposal& proposal,
                       std::optional<api::Refusal> refusal);
  void answer_applied(const Proposal& proposal, const StateMachine::Outcome& outcome);
  void notice_role(Instant now);
  void propose_lease_work(Instant now);
  void take_back_quota_alarm(Instant now);
  void expire_calls(Instant now);
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
  PendingCalls pending_;
  WatchStreams watches_;
  ReadWalks walks_;

  std::uint64_t next_sequence_ = 1;
  std::uint64_t alarm_sequence_ = 0;  // of a quota alarm's entry under way; 0: none
  bool draining_ = false;
  bool was_leader_ = false;

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
