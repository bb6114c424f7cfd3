#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "conclave/replica/replica.h"
#include "conclave/server/data_directory.h"
#include "conclave/server/held_responses.h"
#include "conclave/server/node.h"
#include "conclave/server/node_threads.h"
#include "conclave/server/peer_links.h"

namespace conclave::server {

// Drives the replica: takes requests and the disk threads' reports from a bounded queue, lets time
// pass, and hands out what the replica wants done. The core thread does it, or the thread that has
// attached; the replica belongs to one at a time.
class CoreThread final : public Node {
 public:
  struct Parts {
    std::unique_ptr<replica::Replica> replica;
    std::shared_ptr<lmdb::Store> store;
    std::unique_ptr<wal::Disk> disk;
    std::unique_ptr<wal::Log> log;
    Duration tick;
    std::size_t queue_length_max;
    DataDirectory directory;
    std::uint64_t quota_bytes;
    bool repairs;
    std::function<void(const std::string&)> notice;  // may be empty
    Duration snapshot_patience{std::chrono::seconds(60)};
  };

  CoreThread(Parts parts, OnFailure on_failure);
  ~CoreThread() override;

  // Links to the other members, once, before anything else; `others` as PeerLinks::start().
  Result<void> connect(transport::Options options, const replica::Membership& others);

  void begin_stop() override;
  void stop() override;
  void attach(Host host) override;
  std::chrono::steady_clock::time_point drive() override;
  void detach() override;
  bool is_ready() const override { return ready_.load(std::memory_order_acquire); }

  void range(const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse* response,
             Done done) override;
  void put(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response,
           Done done) override;
  void delete_range(const etcdserverpb::DeleteRangeRequest& request,
                    etcdserverpb::DeleteRangeResponse* response, Done done) override;
  void txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response,
           Done done) override;
  void compact(const etcdserverpb::CompactionRequest& request,
               etcdserverpb::CompactionResponse* response, Done done) override;
  void lease_grant(const etcdserverpb::LeaseGrantRequest& request,
                   etcdserverpb::LeaseGrantResponse* response, Done done) override;
  void lease_revoke(const etcdserverpb::LeaseRevokeRequest& request,
                    etcdserverpb::LeaseRevokeResponse* response, Done done) override;
  void lease_keep_alive(const etcdserverpb::LeaseKeepAliveRequest& request,
                        etcdserverpb::LeaseKeepAliveResponse* response, Done done) override;
  void lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request,
                          etcdserverpb::LeaseTimeToLiveResponse* response, Done done) override;
  void lease_leases(const etcdserverpb::LeaseLeasesRequest& request,
                    etcdserverpb::LeaseLeasesResponse* response, Done done) override;
  void status(const etcdserverpb::StatusRequest& request, etcdserverpb::StatusResponse* response,
              Done done) override;
  void hash_kv(const etcdserverpb::HashKVRequest& request, etcdserverpb::HashKVResponse* response,
               Done done) override;
  void alarm(const etcdserverpb::AlarmRequest& request, etcdserverpb::AlarmResponse* response,
             Done done) override;
  void defragment(const etcdserverpb::DefragmentRequest& request,
                  etcdserverpb::DefragmentResponse* response, Done done) override;
  void member_list(const etcdserverpb::MemberListRequest& request,
                   etcdserverpb::MemberListResponse* response, Done done) override;
  void member_add(const etcdserverpb::MemberAddRequest& request,
                  etcdserverpb::MemberAddResponse* response, Done done) override;
  void member_remove(const etcdserverpb::MemberRemoveRequest& request,
                     etcdserverpb::MemberRemoveResponse* response, Done done) override;
  void member_update(const etcdserverpb::MemberUpdateRequest& request,
                     etcdserverpb::MemberUpdateResponse* response, Done done) override;
  void member_promote(const etcdserverpb::MemberPromoteRequest& request,
                      etcdserverpb::MemberPromoteResponse* response, Done done) override;
  void move_leader(const etcdserverpb::MoveLeaderRequest& request,
                   etcdserverpb::MoveLeaderResponse* response, Done done) override;
  void snapshot(std::function<void(std::shared_ptr<SnapshotPieces>)> opened) override;
  void abandon(const google::protobuf::Message* response, std::function<void()> forgotten) override;
  std::unique_ptr<WatchStream> open_watch(std::shared_ptr<WatchSink> sink,
                                          bool wants_leader) override;
  bool has_leader() const override { return has_leader_.load(std::memory_order_acquire); }
  bool is_cut_off() const override { return is_cut_off_.load(std::memory_order_acquire); }

 private:
  class Stream;
  class Pieces;
  struct Submission {
    replica::AnyCall call;
    Done done;
  };
  struct Sink {
    std::shared_ptr<WatchSink> to;
    bool wants_leader;
  };
  using Event = std::function<void()>;

  void submit(const replica::AnyCall& call, Done done);
  bool post(Event event);  // false, and dropped, once the core takes nothing more

  void wake_driver();  // mutex_ must be held

  void run();
  void wait_for_work();
  void step();
  bool sync_here();
  void let_go();
  void carry_out(replica::Output output);
  void answer(replica::Output& output);
  void give(replica::Output& output);
  void give_apart(replica::Output& output);
  Done take_done(const replica::Answer& answer);
  void count_until_sent(const replica::Answer& answer);
  void carry_out_for_peers(replica::Output& output);
  void write_log();
  void install_if_due();
  void take_arrived(std::shared_ptr<ArrivedSnapshot> arrived);
  void discard_arrival();
  void end_arrival(std::function<Result<void>()> see_to_files);
  void log_persisted(std::uint64_t number);
  void finish_installation(std::uint64_t persisted);
  void open_pieces(replica::Output::Snapshot snapshot);
  void close_pieces(std::uint64_t number);
  void close_silent_snapshots(Instant now);
  void refuse_snapshots();                      // those that wait to be opened
  bool run_beside(std::function<void()> work);  // false, and dropped, once the core has ended
  void notice(const std::string& text) const;
  void fail(const Error& error);
  void tell_failure(const Error& error);
  bool finished();
  void note_leader(Instant now);
  void note_space();
  void close_streams();

  const Duration tick_;
  const std::size_t queue_length_max_;
  const OnFailure on_failure_;
  HeldResponses held_responses_;

  // Protected by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Submission> submissions_;
  std::vector<Event> events_;
  bool closed_ = false;               // the core takes nothing more
  bool ending_ = false;               // nobody may attach any more
  bool driven_ = false;               // the replica belongs to a thread
  std::shared_ptr<const Host> host_;  // whose thread has attached
  std::thread::id attached_;          // none: the core thread drives
  std::chrono::steady_clock::time_point next_step_{};
  std::uint64_t next_stream_ = 1;

  std::atomic<bool> ready_{false};
  std::atomic<bool> has_leader_{false};
  std::atomic<bool> is_cut_off_{false};
  std::atomic<bool> failure_told_{false};

  // Of the thread that drives the replica. A request's id is its slot; slots are used again.
  std::unique_ptr<replica::Replica> replica_;
  bool stopping_ = false;
  bool deaf_ = false;  // to other members
  bool is_short_of_space_ = false;
  std::size_t unanswered_ = 0;
  std::shared_ptr<const Host> taken_host_;
  std::vector<Submission> taken_submissions_;
  std::vector<Event> taken_events_;
  std::vector<replica::Output::LogWrite> log_writes_;  // not yet given to the log
  std::vector<Done> slots_;
  std::vector<std::uint64_t> free_slots_;
  std::unordered_map<replica::StreamId, Sink> sinks_;
  std::optional<Error> failure_;
  std::chrono::steady_clock::time_point next_tick_;
  std::chrono::steady_clock::time_point drain_until_;

  // Of the links to other members. A snapshot's store takes the place of store_ when the log has
  // followed; until then log writes from the installation on wait.
  std::unique_ptr<PeerLinks> links_;
  std::shared_ptr<ArrivedSnapshot> arrived_;
  bool installing_ = false;         // the store thread exchanges the stores
  std::uint64_t installed_by_ = 0;  // the Ready whose log write ends an installation; 0: none
  bool repairs_ = false;
  std::map<std::uint64_t, std::function<void(std::shared_ptr<SnapshotPieces>)>> snapshot_calls_;
  std::map<std::uint64_t, std::weak_ptr<Pieces>> open_pieces_;

  const DataDirectory directory_;
  const Duration snapshot_patience_;
  const std::uint64_t quota_bytes_;
  const std::function<void(const std::string&)> notice_;
  std::shared_ptr<lmdb::Store> store_;
  std::unique_ptr<wal::Disk> disk_;
  std::unique_ptr<StoreThread> store_thread_;
  std::unique_ptr<LogThread> log_thread_;
  std::unique_ptr<AnswerThread> answer_thread_;
  AnswerThread reply_thread_;  // of answers that are many, not long; detach() may come after stop()
  std::mutex stop_mutex_;
  std::thread thread_;
};

}  // namespace conclave::server
