// The calls of the request handler, on their way to the core.
#include <mutex>
#include <utility>

#include "conclave/server/core_thread.h"

namespace conclave::server {

// Calls travel to the core as events; once the core is closed they go nowhere.
class CoreThread::Stream final : public WatchStream {
 public:
  Stream(CoreThread& core, replica::StreamId id) : core_(core), id_(id) {}
  ~Stream() override {
    core_.post([&core = core_, id = id_] {
      core.replica_->watches().close(id);
      core.sinks_.erase(id);
    });
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void create(etcdserverpb::WatchCreateRequest request) override {
    core_.post([&core = core_, id = id_, request = std::move(request)]() mutable {
      core.replica_->watches().create(id, std::move(request));
    });
  }
  void cancel(std::int64_t watch_id) override {
    core_.post(
        [&core = core_, id = id_, watch_id] { core.replica_->watches().cancel(id, watch_id); });
  }
  void request_progress() override {
    core_.post([&core = core_, id = id_] { core.replica_->watches().request_progress(id); });
  }
  void acknowledge() override {
    core_.post([&core = core_, id = id_] { core.replica_->watches().acknowledge(id); });
  }

 private:
  CoreThread& core_;
  const replica::StreamId id_;
};

std::unique_ptr<WatchStream> CoreThread::open_watch(std::shared_ptr<WatchSink> sink,
                                                    bool wants_leader) {
  replica::StreamId id = 0;
  bool ending = false;
  {
    const std::lock_guard guard(mutex_);
    id = next_stream_++;
    ending = ending_;
  }
  // Who opens streams faster than they are closed must not keep a node from ending.
  const bool posted = !ending && post([this, id, sink, wants_leader] {
    if (failure_) return sink->close(api::Refusal::stopped);
    if (const auto refusal = replica_->refuse_watches()) return sink->close(*refusal);
    if (wants_leader && !replica_->has_leader()) return sink->close(api::Refusal::no_leader);
    replica_->watches().open(id);
    sinks_.emplace(id, Sink{sink, wants_leader});
  });
  if (!posted) sink->close(api::Refusal::stopped);
  return std::make_unique<Stream>(*this, id);
}

void CoreThread::abandon(const google::protobuf::Message* response,
                         std::function<void()> forgotten) {
  const bool posted = post([this, response, forgotten] {
    replica_->abandon_read(response);
    forgotten();
  });
  if (!posted) forgotten();
}

void CoreThread::range(const etcdserverpb::RangeRequest& request,
                       etcdserverpb::RangeResponse* response, Done done) {
  submit(replica::RangeCall{&request, response}, std::move(done));
}
void CoreThread::put(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response,
                     Done done) {
  submit(replica::PutCall{&request, response}, std::move(done));
}
void CoreThread::delete_range(const etcdserverpb::DeleteRangeRequest& request,
                              etcdserverpb::DeleteRangeResponse* response, Done done) {
  submit(replica::DeleteRangeCall{&request, response}, std::move(done));
}
void CoreThread::txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response,
                     Done done) {
  submit(replica::TxnCall{&request, response}, std::move(done));
}
void CoreThread::compact(const etcdserverpb::CompactionRequest& request,
                         etcdserverpb::CompactionResponse* response, Done done) {
  submit(replica::CompactCall{&request, response}, std::move(done));
}
void CoreThread::lease_grant(const etcdserverpb::LeaseGrantRequest& request,
                             etcdserverpb::LeaseGrantResponse* response, Done done) {
  submit(replica::LeaseGrantCall{&request, response}, std::move(done));
}
void CoreThread::lease_revoke(const etcdserverpb::LeaseRevokeRequest& request,
                              etcdserverpb::LeaseRevokeResponse* response, Done done) {
  submit(replica::LeaseRevokeCall{&request, response}, std::move(done));
}
void CoreThread::lease_keep_alive(const etcdserverpb::LeaseKeepAliveRequest& request,
                                  etcdserverpb::LeaseKeepAliveResponse* response, Done done) {
  submit(replica::LeaseKeepAliveCall{&request, response}, std::move(done));
}
void CoreThread::lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request,
                                    etcdserverpb::LeaseTimeToLiveResponse* response, Done done) {
  submit(replica::LeaseTimeToLiveCall{&request, response}, std::move(done));
}
void CoreThread::lease_leases(const etcdserverpb::LeaseLeasesRequest& request,
                              etcdserverpb::LeaseLeasesResponse* response, Done done) {
  submit(replica::LeaseLeasesCall{&request, response}, std::move(done));
}
void CoreThread::status(const etcdserverpb::StatusRequest& request,
                        etcdserverpb::StatusResponse* response, Done done) {
  submit(replica::StatusCall{&request, response}, std::move(done));
}
void CoreThread::hash_kv(const etcdserverpb::HashKVRequest& request,
                         etcdserverpb::HashKVResponse* response, Done done) {
  submit(replica::HashKvCall{&request, response}, std::move(done));
}
void CoreThread::alarm(const etcdserverpb::AlarmRequest& request,
                       etcdserverpb::AlarmResponse* response, Done done) {
  submit(replica::AlarmCall{&request, response}, std::move(done));
}
void CoreThread::defragment(const etcdserverpb::DefragmentRequest& request,
                            etcdserverpb::DefragmentResponse* response, Done done) {
  submit(replica::DefragmentCall{&request, response}, std::move(done));
}
void CoreThread::member_list(const etcdserverpb::MemberListRequest& request,
                             etcdserverpb::MemberListResponse* response, Done done) {
  submit(replica::MemberListCall{&request, response}, std::move(done));
}

void CoreThread::member_add(const etcdserverpb::MemberAddRequest& request,
                            etcdserverpb::MemberAddResponse* response, Done done) {
  submit(replica::MemberAddCall{&request, response}, std::move(done));
}
void CoreThread::member_remove(const etcdserverpb::MemberRemoveRequest& request,
                               etcdserverpb::MemberRemoveResponse* response, Done done) {
  submit(replica::MemberRemoveCall{&request, response}, std::move(done));
}
void CoreThread::member_update(const etcdserverpb::MemberUpdateRequest& request,
                               etcdserverpb::MemberUpdateResponse* response, Done done) {
  submit(replica::MemberUpdateCall{&request, response}, std::move(done));
}
void CoreThread::member_promote(const etcdserverpb::MemberPromoteRequest& request,
                                etcdserverpb::MemberPromoteResponse* response, Done done) {
  submit(replica::MemberPromoteCall{&request, response}, std::move(done));
}
void CoreThread::move_leader(const etcdserverpb::MoveLeaderRequest& request,
                             etcdserverpb::MoveLeaderResponse* response, Done done) {
  submit(replica::MoveLeaderCall{&request, response}, std::move(done));
}

// Pieces are read on the thread that encodes long responses. While they are open, no history is
// removed: so a reader that does not read for too long gets no more.
class CoreThread::Pieces final : public SnapshotPieces,
                                 public std::enable_shared_from_this<Pieces> {
 public:
  Pieces(CoreThread& core, std::uint64_t number, replica::SnapshotState state,
         std::shared_ptr<const mvcc::Storage> storage)
      : core_(core), number_(number), writer_(std::move(state), std::move(storage)) {}
  ~Pieces() override {
    core_.post([&core = core_, number = number_] { core.close_pieces(number); });
  }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  void next(std::function<void(Piece)> done) override {
    {
      const std::lock_guard guard(mutex_);
      if (closed_) return done(Error{Errc::timed_out, "what was sent was not read for too long"});
      is_reading_ = true;
    }
    const bool runs = core_.run_beside([self = shared_from_this(), done] {
      Piece piece = self->writer_.next();
      self->wait_for_reader();
      done(std::move(piece));
    });
    if (!runs) done(Error{Errc::cancelled, "the server stops"});
  }

  // Whether the reader wants nothing since then; if so, it gets nothing any more.
  bool close_if_idle_since(Instant time) {
    const std::lock_guard guard(mutex_);
    closed_ = closed_ || (!is_reading_ && idle_since_ <= time);
    return closed_;
  }

 private:
  void wait_for_reader() {
    const std::lock_guard guard(mutex_);
    is_reading_ = false;
    idle_since_ = BootClock::now();
  }

  CoreThread& core_;
  const std::uint64_t number_;
  replica::SnapshotWriter writer_;

  std::mutex mutex_;
  bool is_reading_ = false;
  bool closed_ = false;
  Instant idle_since_ = BootClock::now();
};

bool CoreThread::run_beside(std::function<void()> work) {
  const std::lock_guard guard(mutex_);
  if (closed_) return false;
  answer_thread_->run_soon(std::move(work));
  return true;
}

void CoreThread::snapshot(std::function<void(std::shared_ptr<SnapshotPieces>)> opened) {
  const bool posted = post([this, opened] {
    if (failure_ || stopping_) return opened(nullptr);
    snapshot_calls_.emplace(replica_->begin_snapshot(), opened);
  });
  if (!posted) opened(nullptr);
}

void CoreThread::refuse_snapshots() {
  for (const auto& [number, opened] : std::exchange(snapshot_calls_, {})) opened(nullptr);
}

void CoreThread::open_pieces(replica::Output::Snapshot snapshot) {
  const auto call = snapshot_calls_.extract(snapshot.number);
  auto pieces = std::make_shared<Pieces>(*this, snapshot.number, std::move(snapshot.state), store_);
  open_pieces_.emplace(snapshot.number, pieces);
  call.mapped()(std::move(pieces));
}

void CoreThread::close_pieces(std::uint64_t number) {
  if (open_pieces_.erase(number) > 0 && !failure_) replica_->snapshot_ended(number, true);
}

void CoreThread::close_silent_snapshots(Instant now) {
  for (auto next = open_pieces_.begin(); next != open_pieces_.end();) {
    const auto [number, pieces] = *next++;
    const std::shared_ptr<Pieces> open = pieces.lock();
    if (open != nullptr && open->close_if_idle_since(now - snapshot_patience_)) {
      close_pieces(number);
    }
  }
}

}  // namespace conclave::server
