#include <algorithm>
#include <mutex>
#include <thread>

#include "conclave/api/rpc.pb.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/stream_output.h"
#include "conclave/server/stream_pacer.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

// Requests and responses pass as bytes: responses come encoded, and share what they have in common.
using Reactor = StreamReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// A message with the slice that its neighbours in the same round share.
struct QueuedMessage {
  std::string id;
  grpc::Slice body;
};

const grpc::ByteBuffer* to_response(const QueuedMessage& message, grpc::ByteBuffer& room) {
  const grpc::Slice slices[] = {grpc::Slice(message.id), message.body};
  const bool has_id = !message.id.empty();
  grpc::ByteBuffer(slices + (has_id ? 0 : 1), has_id ? 2 : 1).Swap(&room);
  return &room;
}

grpc::Slice slice_of(std::shared_ptr<const std::string> body) {
  using Owner = std::shared_ptr<const std::string>;
  // Below this a copy costs less than sharing.
  constexpr std::size_t kCopiedMax = 128;
  if (body->size() <= kCopiedMax) return grpc::Slice(*body);
  auto* owner = new Owner(std::move(body));
  void* bytes = const_cast<char*>((*owner)->data());  // gRPC only reads it
  return {bytes, (*owner)->size(), [](void* held) { delete static_cast<Owner*>(held); }, owner};
}

// What one Watch call and the core share. It outlives the call, because a delivery may be under way
// on the core thread while gRPC lets go of the reactor.
class WatchState final : public WatchSink,
                         public EndableStream,
                         public std::enable_shared_from_this<WatchState> {
 public:
  WatchState(Reactor* reactor, std::shared_ptr<StreamPacer> pacer)
      : pacer_(std::move(pacer)), output_(reactor) {}

  void open(std::shared_ptr<WatchStream> stream) {
    {
      const std::lock_guard lock(mutex_);
      stream_ = std::move(stream);
    }
    output_.start_read(&request_bytes_);
  }

  void deliver(api::WatchBatch batch) override {
    if (!enqueue(batch)) return output_.end(status_of(api::Refusal::too_many_requests));
    if (batch.one_of_many) {
      pacer_->hand_over([self = shared_from_this()] { self->output_.pump(); });
    } else {
      output_.pump();
    }
    if (take_off_held_read(batch.requests_taken)) output_.start_read(&request_bytes_);
  }

  // The stream is let go when the call is done: the core must not be called from here.
  void close(api::Refusal reason) override { output_.end(status_of(reason)); }

  void end(api::Refusal reason) override {
    cancel_watchers();
    output_.end(status_of(reason));
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

  // After a read. A client that asks faster than the core answers is not read from meanwhile.
  void read_done() {
    pb::WatchRequest request;
    if (!grpc::SerializationTraits<pb::WatchRequest>::Deserialize(&request_bytes_, &request).ok()) {
      cancel_watchers();
      return output_.end(unreadable_request());
    }
    const bool asks = request.request_union_case() != pb::WatchRequest::REQUEST_UNION_NOT_SET;
    bool read_on = true;
    std::shared_ptr<WatchStream> stream;
    {
      const std::lock_guard lock(mutex_);
      stream = stream_;
      if (asks && stream) read_held_ = ++requests_under_way_ >= kRequestsUnderWayMax;
      read_on = !read_held_;
    }
    if (stream) carry_out(*stream, request);
    if (read_on) output_.start_read(&request_bytes_);
  }

  void written() {
    if (output_.written() == 0) {
      int responses = 0;
      {
        const std::lock_guard lock(mutex_);
        responses = std::exchange(unacknowledged_, 0);
      }
      if (responses > 0) {
        pacer_->written(responses, [self = shared_from_this()] { self->acknowledge(); });
      }
    }
    output_.pump();
  }

 private:
  static constexpr int kRequestsUnderWayMax = 64;
  // The core gives a stream one round at a time; if it ever did not, memory stays bounded and the
  // client resumes.
  static constexpr int kUnacknowledgedMax = 4096;

  bool enqueue(const api::WatchBatch& batch) {
    const std::string* last = nullptr;
    grpc::Slice slice;
    const std::lock_guard lock(mutex_);
    for (const api::WatchMessage& message : batch.messages) {
      if (last != message.body.get()) slice = slice_of(message.body);
      last = message.body.get();
      if (output_.enqueue({message.encoded_id(), slice})) ++unacknowledged_;
    }
    return unacknowledged_ <= kUnacknowledgedMax;
  }

  bool take_off_held_read(int requests_taken) {
    if (requests_taken == 0) return false;
    const std::lock_guard lock(mutex_);
    requests_under_way_ -= requests_taken;
    return requests_under_way_ <= kRequestsUnderWayMax / 2 && std::exchange(read_held_, false);
  }

  static void carry_out(WatchStream& stream, pb::WatchRequest& request) {
    switch (request.request_union_case()) {
      case pb::WatchRequest::kCreateRequest:
        return stream.create(std::move(*request.mutable_create_request()));
      case pb::WatchRequest::kCancelRequest:
        return stream.cancel(request.cancel_request().watch_id());
      case pb::WatchRequest::kProgressRequest:
        return stream.request_progress();
      case pb::WatchRequest::REQUEST_UNION_NOT_SET:
        return;
    }
  }

  // The lock holds up the end of the call, and so the handler's.
  void acknowledge() {
    const std::lock_guard lock(mutex_);
    if (stream_) stream_->acknowledge();
  }

  const std::shared_ptr<StreamPacer> pacer_;
  StreamOutput<grpc::ByteBuffer, grpc::ByteBuffer, QueuedMessage> output_;
  grpc::ByteBuffer request_bytes_;  // of whoever reads
  std::mutex mutex_;
  std::shared_ptr<WatchStream> stream_;
  int unacknowledged_ = 0;      // responses that were delivered and not all written
  int requests_under_way_ = 0;  // to the core, which has not taken them
  bool read_held_ = false;
};

class WatchCall final : public Reactor {
 public:
  WatchCall(std::unique_ptr<Call> call, RequestHandler& handler, OpenCalls& calls,
            std::shared_ptr<StreamPacer> pacer)
      : Reactor(std::move(call)),
        calls_(calls),
        state_(std::make_shared<WatchState>(this, std::move(pacer))) {
    id_ = calls_.add(state_);
    state_->open(handler.open_watch(state_, wants_leader(context())));
  }

  void OnReadDone(bool ok) override {
    // A client that has no more to ask goes on watching, as with etcd.
    if (ok) state_->read_done();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) state_->abandon();
    state_->written();
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
};

// One takes a core 5 to 10 us, so that watches leave most of the machine to everything else.
StreamPacer::Clock::duration response_cost() {
  return std::chrono::microseconds(40) / std::max(1U, std::thread::hardware_concurrency());
}

class WatchService final : public HandledService {
 public:
  WatchService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("etcdserverpb.Watch", handler, calls, loop) {
    serve_stream<grpc::ByteBuffer, grpc::ByteBuffer>("Watch", [this](auto call) {
      new WatchCall(std::move(call), this->handler(), this->calls(), pacer_);
    });
  }
  ~WatchService() override { pacer_->stop(); }
  WatchService(const WatchService&) = delete;
  WatchService& operator=(const WatchService&) = delete;

 private:
  const std::shared_ptr<StreamPacer> pacer_ = std::make_shared<StreamPacer>(response_cost());
};

}  // namespace

std::unique_ptr<HandledService> make_watch_service(RequestHandler& handler, OpenCalls& calls,
                                                   GrpcLoop& loop) {
  return std::make_unique<WatchService>(handler, calls, loop);
}

}  // namespace conclave::server
