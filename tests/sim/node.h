#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "conclave/replica/replica.h"
#include "conclave/wal/log.h"

#include "tests/sim/drifting_clock.h"
#include "tests/sim/ledger.h"
#include "tests/sim/network.h"
#include "tests/sim/plan.h"
#include "tests/sim/trace.h"
#include "tests/support/memory_storage.h"
#include "tests/support/sim_world.h"
#include "tests/support/simulated_disk.h"

namespace conclave::sim {

class SimNode;

// How a process that was told to stop came to its end.
struct DrainEnd {
  raft::NodeId node = 0;
  bool in_time = false;        // there was nothing more to do
  std::uint64_t unknown = 0;   // answers that left their callers in doubt
  std::size_t unanswered = 0;  // calls that went without an answer
  Duration took{};
};

// What all members of a run share.
struct Site {
  World& world;
  Trace& trace;
  const Plan& plan;
  SimNetwork& network;
  Ledger& ledger;
  std::function<SimNode*(raft::NodeId)> find;
  std::function<void(raft::NodeId)> process_ended;
  std::function<void(const DrainEnd&)> drained;
  // What it returns is kept until the renewal is answered, or will never be.
  std::function<std::shared_ptr<void>(std::int64_t lease)> renewal_asked;
};

// What a caller is told, and the response where there is no refusal.
template <class Response>
using Done = std::function<void(std::optional<api::Refusal>, const Response&)>;

// One member as a process on a machine: the replica, its real log on a simulated disk, its store in
// memory, driven as the server drives it. Log writes and store commits are jobs that take time and
// end out of step with each other; what a job would have done is cut short where the machine dies.
//
// Lifetime: it must outlive the world's events. Callbacks of calls never come once the process is
// gone.
class SimNode {
 public:
  enum class State { stopped, running, paused };
  struct Identity {
    raft::NodeId id = 0;
    std::vector<replica::Member> initial_members;  // of a new cluster
    bool joins = false;
  };
  static constexpr Duration kTick = std::chrono::milliseconds(100);
  static constexpr int kElectionTicks = 10;

  SimNode(Site& site, Identity identity);

  // The process. start() may fail, for want of space say, and then tries again by itself.
  void start();
  void kill();
  void power_cut();
  // As SIGTERM does: it serves to the end what it has begun, hands leadership over, ends, and comes
  // back after a while.
  void drain();
  bool drains() const { return drain_.has_value(); }
  // If its links break, too, what the others send meanwhile is lost; otherwise it waits.
  void pause(bool links_break = false);
  void resume();
  State state() const { return state_; }
  bool is_running() const { return state_ == State::running; }
  bool removed() const { return removed_; }

  // The machine.
  DriftingClock& clock() { return clock_; }
  void jump_clock(Duration ahead);
  Duration jumped() const { return jumped_; }
  void set_disk_slowness(Duration job_max) { slow_job_max_ = job_max; }
  // The log waits for a slow disk.
  bool writes_slowly() const { return log_busy_ && log_slow_; }
  void fail_next_sync();
  void fill_disk();
  void free_disk();
  // A stopped node's: one bit, anywhere in the log.
  void damage_log();
  void wipe();
  // It was removed from the cluster, and somebody has switched it off.
  void decommission();
  bool is_damaged() const { return damaged_ || repairing_ || wiped_; }
  // Serves as well as it can.
  bool is_well() const {
    return is_running() && !drain_ && !is_damaged() && !disk_trouble_ &&
           slow_job_max_ == Duration(0);
  }
  bool wiped() const { return wiped_; }

  // The network.
  void receive(raft::NodeId from, std::uint64_t data_incarnation, const std::string& bytes);
  void peer_unreachable(raft::NodeId peer);
  void peer_gone(raft::NodeId peer);
  // A snapshot's stream begins; false where it is not wanted.
  bool begin_snapshot(std::uint64_t stream);
  bool add_snapshot_piece(std::uint64_t stream, const std::string& bytes);
  bool end_snapshot(std::uint64_t stream, std::uint64_t data_incarnation);

  // Clients. A call at a process that is gone gives nothing.
  template <class Request, class Response>
  void call(Request request, Done<Response> done) {
    auto ticket = std::make_unique<Ticket<Request, Response>>();
    if constexpr (std::is_same_v<Request, etcdserverpb::LeaseKeepAliveRequest>) {
      ticket->renewal = site_.renewal_asked(request.id());
    }
    ticket->request = std::move(request);
    ticket->done = std::move(done);
    // One that is about to be gone says that it did nothing.
    if (drain_ && drain_->ends) return ticket->finish(api::Refusal::no_leader);
    post([this, ticket = std::shared_ptr<Ticket<Request, Response>>(std::move(ticket))] {
      const replica::RequestId id = next_request_++;
      tickets_[id] = ticket;
      replica_->submit(id, replica::Call<Request, Response>{&ticket->request, &ticket->response},
                       local_now());
    });
  }
  struct StreamSink {
    std::function<void(const etcdserverpb::WatchResponse&)> message;
    std::function<void()> closed;  // the process is gone
  };
  replica::StreamId open_stream(StreamSink sink);
  void create_watch(replica::StreamId stream, etcdserverpb::WatchCreateRequest request);
  void cancel_watch(replica::StreamId stream, std::int64_t watch_id);
  void request_progress(replica::StreamId stream);
  void close_stream(replica::StreamId stream);

  raft::NodeId id() const { return identity_.id; }
  std::uint64_t data_incarnation() const { return data_incarnation_; }
  // Null unless there is a process.
  const replica::Replica* replica() const { return replica_.get(); }
  bool leads() const {
    return replica_ != nullptr && replica_->raft().role() == raft::Role::leader;
  }
  bool has_durable(raft::Index index, raft::Term term) const;
  std::uint64_t lives() const { return life_; }

 private:
  static constexpr raft::Index kNothing = ~raft::Index{0};
  struct AnyTicket {
    virtual ~AnyTicket() = default;
    virtual void finish(std::optional<api::Refusal> refusal) = 0;
  };
  template <class Request, class Response>
  struct Ticket final : AnyTicket {
    Request request;
    Response response;
    Done<Response> done;
    std::shared_ptr<void> renewal;
    void finish(std::optional<api::Refusal> refusal) override { done(refusal, response); }
  };
  using Event = std::function<void()>;

  // node.cc: the core
  Instant local_now() const { return clock_.at(site_.world.now()); }
  Instant steady_now() const { return local_now() - jumped_; }
  void post(Event event);
  void wake();
  void step();
  void plan_step(Duration delay);
  void plan_next_step();
  void carry_out(replica::Output output);
  void fail(const Error& error, bool expected);
  void end_process();

  // node_drain.cc
  struct Drain {
    Instant began;        // true time
    bool served = false;  // nobody waits any more: others are not listened to
    bool ends = false;    // only the disks still have something to do
    std::uint64_t unknown = 0;
  };
  bool drained();
  void end_drained();
  void finish_drain();

  // node_start.cc: what a start finds
  replica::Options replica_options();
  wal::Options log_options() const;
  void open(wal::Recovered recovered);
  Result<void> settle_log(wal::Recovered& recovered);
  bool lost_nothing(const wal::Recovered& recovered) const;
  void note_recovered(const wal::Recovered& recovered);
  void set_aside();
  void retry_start(const Error& error);

  // node_disks.cc: the log and store threads
  void begin_log_job();
  void finish_log_job();
  Result<void> do_log_job();
  Result<void> install(const raft::LogPosition& place);
  void note_durable(const replica::Output::LogWrite& write);
  void begin_store_job();
  void finish_store_job();
  void cut_jobs_short();
  Duration job_time();
  void run_later(Duration delay, Event job);  // held while the process is paused

  // node_snapshots.cc
  struct Outgoing;
  void send_snapshot(replica::Output::Snapshot snapshot);
  void send_piece(const std::shared_ptr<Outgoing>& outgoing);
  void end_outgoing(const std::shared_ptr<Outgoing>& outgoing, bool sent);

  Site& site_;
  Identity identity_;
  Random random_;
  DriftingClock clock_;
  Duration jumped_{};
  State state_ = State::stopped;
  bool links_broken_ = false;  // while paused
  std::uint64_t life_ = 0;     // grows with every start and end of a process
  bool removed_ = false;

  // On disk.
  std::unique_ptr<test::SimulatedDisk> disk_;
  std::shared_ptr<test::MemoryStorage> storage_;
  std::uint64_t data_incarnation_ = 0;
  bool installing_ = false;  // the store is a snapshot's, and the log may not be
  bool repairing_ = false;
  bool damaged_ = false;  // and nobody has noticed yet
  bool wiped_ = false;
  bool disk_trouble_ = false;  // a fault of the disk is meant to happen
  Duration slow_job_max_{};
  // What the log has surely synced: the terms of its entries from index 0 on, and the hard state.
  struct Durable {
    std::vector<raft::Term> terms;
    raft::Index installed = 0;  // up to here as a snapshot
    bool has(raft::Index index, raft::Term term) const {
      return index <= installed || (index < terms.size() && terms[index] == term);
    }
  };
  Durable durable_;
  raft::HardState durable_hard_state_;
  Durable lost_;  // what it had when it was damaged, until it counts again
  raft::Index perhaps_overwritten_ = kNothing;  // from here on, by a job that was cut short

  // The process.
  std::unique_ptr<wal::Log> log_;
  std::unique_ptr<replica::Replica> replica_;
  std::shared_ptr<test::MemoryStorage> old_storage_;  // until the replica lets go of it
  raft::Index seen_ = 0;
  std::vector<Event> events_;
  std::optional<Instant> next_step_;  // true time
  std::uint64_t timer_ = 0;
  std::optional<Drain> drain_;
  Instant next_tick_{};  // by the clock that does not jump
  replica::RequestId next_request_ = 1;
  std::map<replica::RequestId, std::shared_ptr<AnyTicket>> tickets_;
  replica::StreamId next_stream_ = 1;
  std::map<replica::StreamId, StreamSink> sinks_;

  std::vector<replica::Output::LogWrite> log_writes_;  // not yet given to the log
  std::vector<replica::Output::LogWrite> log_queue_;
  std::vector<replica::Output::LogWrite> log_job_;
  std::optional<raft::Index> release_;
  bool log_busy_ = false;
  bool log_slow_ = false;
  std::shared_ptr<const mvcc::Batch> store_job_;
  bool store_busy_ = false;
  bool defragmentation_ = false;
  std::vector<Event> held_jobs_;  // ended while the process was paused

  // A snapshot on its way in.
  std::uint64_t incoming_ = 0;
  std::shared_ptr<test::MemoryStorage> incoming_storage_;
  std::unique_ptr<replica::SnapshotReader> incoming_reader_;
  std::shared_ptr<test::MemoryStorage> arrived_storage_;
};

}  // namespace conclave::sim
