#include <deque>
#include <mutex>

#include "conclave/api/rpc.pb.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/stream_output.h"
#include "conclave/server/stream_pacer.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

using Request = Incoming<pb::LeaseKeepAliveRequest>;
using Reactor = StreamReactor<Request, pb::LeaseKeepAliveResponse>;

// What one LeaseKeepAlive call and the renewals on their way share. Renewals of many leases go to
// the handler without waiting for each other, so that they can travel in one log entry; their
// replies leave in the order of the requests.
class KeepAliveState final : public EndableStream,
                             public std::enable_shared_from_this<KeepAliveState> {
 public:
  KeepAliveState(Reactor* reactor, std::shared_ptr<StreamPacer> pacer)
      : pacer_(std::move(pacer)), output_(reactor) {}

  // Hands the request to the handler; true if the next one may be read.
  bool carry_out(RequestHandler& handler, const pb::LeaseKeepAliveRequest& request) {
    auto renewal = std::make_shared<Renewal>();
    // Not what else a client may have put into the message: hundreds of these wait at a time.
    renewal->request.set_id(request.id());
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return false;
      in_flight_.push_back(renewal);
    }
    handler.lease_keep_alive(
        renewal->request, &renewal->response,
        [self = shared_from_this(), renewal](auto refusal) { self->answered(*renewal, refusal); });
    const std::lock_guard lock(mutex_);
    read_held_ = crowded(kInFlightMax);
    return !read_held_;
  }

  // After a write; true if a read that was held back may begin.
  bool written() {
    output_.written();
    bool read = false;
    {
      const std::lock_guard lock(mutex_);
      read = read_held_ && !crowded(kInFlightMax / 2);
      if (read) read_held_ = false;
    }
    output_.pump();
    return read;
  }

  // The client has asked for the last time: what is in flight is answered, then the stream ends.
  void finish_reading() { end_after_replies(grpc::Status::OK); }
  void refuse_unreadable() { end_after_replies(unreadable_request()); }

  void end(api::Refusal reason) override { end_after_replies(status_of(reason)); }

  void abandon() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      in_flight_.clear();
    }
    output_.abandon(grpc::Status(grpc::StatusCode::CANCELLED, "canceled"));
  }

 private:
  static constexpr std::size_t kInFlightMax = 512;

  struct Renewal {
    pb::LeaseKeepAliveRequest request;
    pb::LeaseKeepAliveResponse response;
    std::optional<api::Refusal> refusal;
    bool answered = false;
  };

  bool crowded(std::size_t limit) const { return in_flight_.size() + output_.waiting() >= limit; }

  void answered(Renewal& renewal, std::optional<api::Refusal> refusal) {
    std::optional<grpc::Status> last;
    bool begin_sending = false;
    {
      const std::lock_guard lock(mutex_);
      renewal.answered = true;
      renewal.refusal = refusal;
      while (!in_flight_.empty() && in_flight_.front()->answered) {
        const std::shared_ptr<Renewal> first = std::move(in_flight_.front());
        in_flight_.pop_front();
        if (first->refusal) {
          // As with etcd an error ends the stream; the client opens another one.
          ending_ = true;
          status_ = status_of(*first->refusal);
          in_flight_.clear();
        } else {
          const pb::LeaseKeepAliveResponse* response = &first->response;
          output_.enqueue({first, response});
        }
      }
      if (ending_ && in_flight_.empty()) last = status_;
      begin_sending = !last && !std::exchange(sending_soon_, true);
    }
    if (last) output_.end(*last);
    // Replies to thousands of streams come at once, on a thread that others wait for.
    if (begin_sending) pacer_->hand_over([self = shared_from_this()] { self->send(); });
  }

  void send() {
    {
      const std::lock_guard lock(mutex_);
      sending_soon_ = false;
    }
    output_.pump();
  }

  void end_after_replies(const grpc::Status& status) {
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
      ending_ = true;
      status_ = status;
      if (!in_flight_.empty()) return;
    }
    output_.end(status);
  }

  const std::shared_ptr<StreamPacer> pacer_;
  StreamOutput<Request, pb::LeaseKeepAliveResponse> output_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<Renewal>> in_flight_;  // in order of request
  bool ending_ = false;                             // takes no further request
  grpc::Status status_;                             // what the stream will end with
  bool read_held_ = false;
  bool sending_soon_ = false;
};

class KeepAliveCall final : public Reactor {
 public:
  KeepAliveCall(std::unique_ptr<Call> call, RequestHandler& handler, OpenCalls& calls,
                std::shared_ptr<StreamPacer> pacer)
      : Reactor(std::move(call)),
        handler_(handler),
        calls_(calls),
        state_(std::make_shared<KeepAliveState>(this, std::move(pacer))) {
    id_ = calls_.add(state_);
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      state_->finish_reading();
    } else if (wants_leader(context()) && lacks_leader()) {
      state_->end(api::Refusal::no_leader);
    } else if (!request_.readable) {
      state_->refuse_unreadable();
    } else if (state_->carry_out(handler_, message_)) {
      StartRead(&request_);
    }
  }
  void OnWriteDone(bool ok) override {
    if (!ok) state_->abandon();
    if (state_->written()) StartRead(&request_);
  }
  void OnCancel() override { state_->abandon(); }
  void OnDone() override {
    calls_.remove(id_);
    delete this;
  }

 private:
  // A stream that has begun outlasts an election.
  bool lacks_leader() {
    return std::exchange(has_begun_, true) ? handler_.is_cut_off() : !handler_.has_leader();
  }

  bool has_begun_ = false;
  RequestHandler& handler_;
  OpenCalls& calls_;
  const std::shared_ptr<KeepAliveState> state_;
  OpenCalls::StreamId id_ = 0;
  pb::LeaseKeepAliveRequest message_;
  Request request_{&message_};
};

class LeaseService final : public HandledService {
 public:
  LeaseService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("etcdserverpb.Lease", handler, calls, loop) {
    serve("LeaseGrant", &RequestHandler::lease_grant);
    serve("LeaseRevoke", &RequestHandler::lease_revoke);
    serve("LeaseTimeToLive", &RequestHandler::lease_time_to_live);
    serve("LeaseLeases", &RequestHandler::lease_leases);
    serve_stream<Request, pb::LeaseKeepAliveResponse>("LeaseKeepAlive", [this](auto call) {
      new KeepAliveCall(std::move(call), this->handler(), this->calls(), pacer_);
    });
  }

  ~LeaseService() override { pacer_->stop(); }
  LeaseService(const LeaseService&) = delete;
  LeaseService& operator=(const LeaseService&) = delete;

 private:
  const std::shared_ptr<StreamPacer> pacer_ = std::make_shared<StreamPacer>();
};

}  // namespace

std::unique_ptr<HandledService> make_lease_service(RequestHandler& handler, OpenCalls& calls,
                                                   GrpcLoop& loop) {
  return std::make_unique<LeaseService>(handler, calls, loop);
}

}  // namespace conclave::server
