#include "conclave/api/health.pb.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/stream_output.h"

namespace conclave::server {
namespace {

using Request = Incoming<grpc::health::v1::HealthCheckRequest>;
using Response = grpc::health::v1::HealthCheckResponse;
using Reactor = StreamReactor<Request, Response>;

// A check is a stream of one answer; a watch gets another one when the server ends.
class HealthState final : public EndableStream {
 public:
  HealthState(Reactor* reactor, bool watches) : output_(reactor), watches_(watches) {}

  void answer(const Request& request) {
    if (!request.readable) return output_.end(unreadable_request());
    const bool known = request.message->service().empty();
    if (!known && !watches_) {
      return output_.end({grpc::StatusCode::NOT_FOUND, "unknown service"});
    }
    send(known ? Response::SERVING : Response::SERVICE_UNKNOWN);
    if (!watches_) output_.end(grpc::Status::OK);
  }

  void end(api::Refusal reason) override {
    if (watches_) send(Response::NOT_SERVING);
    output_.end(status_of(reason));
  }
  void abandon() { output_.abandon({grpc::StatusCode::CANCELLED, "canceled"}); }
  void written() {
    output_.written();
    output_.pump();
  }

 private:
  void send(Response::ServingStatus status) {
    auto response = std::make_shared<Response>();
    response->set_status(status);
    if (output_.enqueue(std::move(response))) output_.pump();
  }

  StreamOutput<Request, Response> output_;
  const bool watches_;
};

class HealthCall final : public Reactor {
 public:
  HealthCall(std::unique_ptr<Call> call, bool watches, OpenCalls& calls)
      : Reactor(std::move(call)),
        calls_(calls),
        state_(std::make_shared<HealthState>(this, watches)) {
    id_ = calls_.add(state_);
    if (id_ != 0) StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      state_->answer(request_);
    } else {
      state_->abandon();
    }
  }
  void OnWriteDone(bool ok) override {
    if (!ok) state_->abandon();
    state_->written();
  }
  void OnCancel() override { state_->abandon(); }
  void OnDone() override {
    calls_.remove(id_);
    delete this;
  }

 private:
  OpenCalls& calls_;
  const std::shared_ptr<HealthState> state_;
  OpenCalls::StreamId id_ = 0;
  grpc::health::v1::HealthCheckRequest message_;
  Request request_{&message_};
};

class HealthService final : public HandledService {
 public:
  HealthService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("grpc.health.v1.Health", handler, calls, loop) {
    add("Check", false);
    add("Watch", true);
  }

 private:
  void add(const char* name, bool watches) {
    serve_stream<Request, Response>(name, [this, watches](auto call) {
      new HealthCall(std::move(call), watches, this->calls());
    });
  }
};

}  // namespace

std::unique_ptr<HandledService> make_health_service(RequestHandler& handler, OpenCalls& calls,
                                                    GrpcLoop& loop) {
  return std::make_unique<HealthService>(handler, calls, loop);
}

}  // namespace conclave::server
