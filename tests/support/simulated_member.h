#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conclave/replica/replica.h"
#include "conclave/wal/log.h"

namespace conclave::test {

// One request and what came of it.
template <class Request, class Response>
struct Ticket {
  Request request;
  Response response;
  bool answered = false;
  std::optional<api::Refusal> refusal;

  bool acknowledged() const { return answered && !refusal; }
};

// One member without a thread: the replica, its real log on any Disk and any Storage, on virtual
// time. What the server's disk threads do happens in step(), in the order in which it would, and
// can be held back.
//
// Lifetime: disk and storage must outlive it. Destroying it is a crash: nothing is flushed.
class SimulatedMember {
 public:
  struct Setup {
    std::uint64_t seed = 1;
    std::string log_directory = "member/log";
    Instant start{std::chrono::hours(1)};
    wal::Options log;
    std::function<void(replica::Options&)> adjust;  // may be empty
  };
  static Result<std::unique_ptr<SimulatedMember>> start(wal::Disk& disk, mvcc::Storage& storage,
                                                        Setup setup);

  template <class Request, class Response>
  std::shared_ptr<Ticket<Request, Response>> submit(Request request) {
    auto ticket = std::make_shared<Ticket<Request, Response>>();
    ticket->request = std::move(request);
    const replica::RequestId id = next_id_++;
    waiting_[id] = [ticket](std::optional<api::Refusal> refusal) {
      ticket->answered = true;
      ticket->refusal = refusal;
    };
    replica_->submit(id, replica::Call<Request, Response>{&ticket->request, &ticket->response},
                     now_);
    return ticket;
  }
  // submit(), then steps until the answer is there; ten seconds of virtual time at most.
  template <class Request, class Response>
  std::shared_ptr<Ticket<Request, Response>> call(Request request) {
    auto ticket = submit<Request, Response>(std::move(request));
    for (int ticks = 0; !ticket->answered && ticks < 100 && step(); ++ticks) {
      if (!ticket->answered && !advance(std::chrono::milliseconds(100))) break;
    }
    return ticket;
  }
  std::shared_ptr<Ticket<etcdserverpb::PutRequest, etcdserverpb::PutResponse>> put(
      const std::string& key, const std::string& value, std::int64_t lease = 0);
  // The value, or empty for an absent key.
  std::string get(const std::string& key);

  // Everything that waits for nothing but the disks. An error is a fail-stop: destroy the member.
  Result<void> step();
  // Lets time pass, tick by tick, with a step after each.
  Result<void> advance(Duration duration);

  // While held, what goes to the log (the store) waits in front of it.
  void hold_log(bool held) { log_held_ = held; }
  void hold_store(bool held) { store_held_ = held; }

  replica::Replica& replica() { return *replica_; }
  const replica::StateMachine& state() const { return replica_->state(); }
  Instant now() const { return now_; }
  const std::vector<replica::WatchDelivery>& deliveries() const { return deliveries_; }
  void clear_deliveries() { deliveries_.clear(); }
  int batches_committed() const { return batches_committed_; }
  // Snapshots that may be read from the store by now.
  std::size_t snapshots_handed_out() const { return snapshots_handed_out_; }

 private:
  SimulatedMember(mvcc::Storage& storage, Duration tick, Instant start)
      : storage_(storage), tick_(tick), now_(start), next_tick_(start + tick) {}

  void keep(replica::Output output);
  Result<void> write_log();
  Result<void> write_store();

  mvcc::Storage& storage_;
  const Duration tick_;
  Instant now_;
  Instant next_tick_;
  std::unique_ptr<wal::Log> log_;
  std::unique_ptr<replica::Replica> replica_;
  replica::RequestId next_id_ = 1;
  std::map<replica::RequestId, std::function<void(std::optional<api::Refusal>)>> waiting_;
  bool log_held_ = false;
  bool store_held_ = false;
  std::vector<replica::Output::LogWrite> log_writes_;
  std::optional<raft::Index> release_;
  bool defragmentation_ = false;
  std::shared_ptr<const mvcc::Batch> batch_;
  std::vector<replica::WatchDelivery> deliveries_;
  int batches_committed_ = 0;
  std::size_t snapshots_handed_out_ = 0;
};

}  // namespace conclave::test
