#include <mutex>

#include "conclave/api/rpc.pb.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/stream_output.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

using Request = Incoming<pb::WatchRequest>;
using Reactor = StreamReactor<Request, pb::WatchResponse>;

// What one Watch call and the core share. It outlives the call, because a delivery may be under way
// on the core thread while gRPC lets go of the reactor.
class WatchState final : public WatchSink, public EndableStream {
 public:
  explicit WatchState(Reactor* reactor) : output_(reactor) {}

  void open(std::shared_ptr<WatchStream> stream) {
    const std::lock_guard lock(mutex_);
    stream_ = std::move(stream);
  }

  void deliver(std::shared_ptr<const pb::WatchResponse> response) override {
    bool flooded = false;
    {
      const std::lock_guard lock(mutex_);
      ++outstanding_;
      if (outstanding_ >= WatchStream::kWindow) window_filled_ = true;
      flooded = outstanding_ > kOutstandingMax;
    }
    if (flooded) {
      output_.end(status_of(api::Refusal::too_many_requests));
    } else if (output_.enqueue(std::move(response))) {
      output_.pump();
    }
  }

  // The stream is let go when the call is done: the core must not be called from here.
  void close(api::Refusal reason) override { output_.end(status_of(reason)); }

  void end(api::Refusal reason) override {
    cancel_watchers();
    output_.end(status_of(reason));
  }

  void refuse_unreadable() {
    cancel_watchers();
    output_.end(unreadable_request());
  }

  void abandon() {
    cancel_watchers();
    output_.abandon(status_of(api::Refusal::watch_canceled));
  }

  void cancel_watchers() {
    std::shared_ptr<WatchStream> dropped;
    const std::lock_guard lock(mutex_);
    dropped.swap(stream_);
  }

  void carry_out(pb::WatchRequest& request) {
    const std::shared_ptr<WatchStream> stream = this->stream();
    if (!stream) return;
    switch (request.request_union_case()) {
      case pb::WatchRequest::kCreateRequest:
        stream->create(std::move(*request.mutable_create_request()));
        break;
      case pb::WatchRequest::kCancelRequest:
        stream->cancel(request.cancel_request().watch_id());
        break;
      case pb::WatchRequest::kProgressRequest:
        stream->request_progress();
        break;
      case pb::WatchRequest::REQUEST_UNION_NOT_SET:
        break;
    }
  }

  // True if the next request may be read. A client that asks and asks but does not read the answers
  // is not read from until it does.
  bool may_read() {
    const std::lock_guard lock(mutex_);
    read_held_ = output_.waiting() >= WatchStream::kWindow;
    return !read_held_;
  }

  // After a write; true if a read that was held back may begin.
  bool written() {
    output_.written();
    bool read = false;
    int acknowledged = 0;
    std::shared_ptr<WatchStream> stream;
    {
      const std::lock_guard lock(mutex_);
      const std::size_t waiting = output_.waiting();
      read = read_held_ && waiting < WatchStream::kWindow / 2;
      if (read) read_held_ = false;
      ++unacknowledged_;
      // Acknowledging each response would wake the core for each.
      if (unacknowledged_ >= kAcknowledgeEvery || (waiting == 0 && window_filled_)) {
        if (waiting == 0) window_filled_ = false;
        acknowledged = std::exchange(unacknowledged_, 0);
        outstanding_ -= acknowledged;
        stream = stream_;
      }
    }
    if (stream) stream->acknowledge(acknowledged);
    output_.pump();
    return read;
  }

 private:
  static constexpr int kAcknowledgeEvery = 16;
  // The core keeps to its window; if it ever did not, memory stays bounded and the client resumes.
  static constexpr int kOutstandingMax = 4 * WatchStream::kWindow;

  std::shared_ptr<WatchStream> stream() {
    const std::lock_guard lock(mutex_);
    return stream_;
  }

  StreamOutput<Request, pb::WatchResponse> output_;
  std::mutex mutex_;
  std::shared_ptr<WatchStream> stream_;
  int outstanding_ = 0;     // delivered and not acknowledged
  int unacknowledged_ = 0;  // of these, written
  bool window_filled_ = false;
  bool read_held_ = false;
};

class WatchCall final : public Reactor {
 public:
  WatchCall(std::unique_ptr<Call> call, RequestHandler& handler, OpenCalls& calls)
      : Reactor(std::move(call)), calls_(calls), state_(std::make_shared<WatchState>(this)) {
    state_->open(handler.open_watch(state_));
    id_ = calls_.add(state_);
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    // A client that has no more to ask goes on watching, as with etcd.
    if (!ok) return;
    if (!request_.readable) return state_->refuse_unreadable();
    state_->carry_out(message_);
    if (state_->may_read()) StartRead(&request_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) state_->abandon();
    if (state_->written()) StartRead(&request_);
  }
  void OnCancel() override { state_->abandon(); }
  void OnDone() override {
    calls_.remove(id_);
    state_->cancel_watchers();
    delete this;
  }

 private:
  OpenCalls& calls_;
  const std::shared_ptr<WatchState> state_;
  OpenCalls::StreamId id_ = 0;
  pb::WatchRequest message_;
  Request request_{&message_};
};

class WatchService final : public HandledService {
 public:
  WatchService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("etcdserverpb.Watch", handler, calls, loop) {
    serve_stream<Request, pb::WatchResponse>("Watch", [this](auto call) {
      new WatchCall(std::move(call), this->handler(), this->calls());
    });
  }
};

}  // namespace

std::unique_ptr<HandledService> make_watch_service(RequestHandler& handler, OpenCalls& calls,
                                                   GrpcLoop& loop) {
  return std::make_unique<WatchService>(handler, calls, loop);
}

}  // namespace conclave::server
