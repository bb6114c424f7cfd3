#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>

#include <google/protobuf/arena.h>
#include <grpcpp/grpcpp.h>

#include "conclave/api/errors.h"
#include "conclave/server/open_calls.h"
#include "conclave/server/request_handler.h"

namespace conclave::server {

inline grpc::Status status_of(api::Refusal refusal) {
  const api::RefusalText text = api::text_of(refusal);
  return {static_cast<grpc::StatusCode>(text.code), std::string(text.text)};
}

// One unary call from its decoding to its last byte: messages, the arena they lie in and the
// reactor are one allocation.
//
// Lifetime: counted, because three parties let go of it in any order: gRPC's message holder, gRPC's
// reactor, and the handler's `done`. A client that goes away, or a shutdown whose patience is over,
// ends the call for gRPC at once, while the messages stay until the handler is done with them.
template <class Request, class Response>
class UnaryCall final : public grpc::MessageHolder<Request, Response>,
                        public grpc::ServerUnaryReactor {
 public:
  using Method = void (RequestHandler::*)(const Request&, Response*, RequestHandler::Done);

  UnaryCall() : arena_(options(block_)) {
    this->set_request(google::protobuf::Arena::CreateMessage<Request>(&arena_));
    this->set_response(google::protobuf::Arena::CreateMessage<Response>(&arena_));
  }
  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

  // Hands the request to the handler. `done` holds a bare pointer, so that std::function needs no
  // memory of its own; its running exactly once is the handler's promise.
  grpc::ServerUnaryReactor* start(RequestHandler& handler, OpenCalls& calls, Method method) {
    calls_ = &calls;
    handler_ = &handler;
    if (!calls.enter()) {
      references_.fetch_add(1, std::memory_order_relaxed);
      finish(status_of(api::Refusal::stopped));
      return this;
    }
    references_.fetch_add(2, std::memory_order_relaxed);
    (handler.*method)(*this->request(), this->response(),
                      [this](std::optional<api::Refusal> refusal) {
                        finish(refusal ? status_of(*refusal) : grpc::Status::OK);
                        release();
                      });
    return this;
  }

  void Release() override { release(); }
  void OnDone() override {
    calls_->leave();
    release();
  }
  void OnCancel() override {
    finish(grpc::Status(grpc::StatusCode::CANCELLED, "canceled"));
    references_.fetch_add(1, std::memory_order_relaxed);
    handler_->abandon(this->response(), [this] { release(); });
  }

 private:
  static google::protobuf::ArenaOptions options(std::byte (&block)[1024]) {
    google::protobuf::ArenaOptions options;
    options.initial_block = reinterpret_cast<char*>(block);
    options.initial_block_size = sizeof(block);
    return options;
  }

  void finish(grpc::Status status) {
    if (!finished_.exchange(true, std::memory_order_acq_rel)) Finish(std::move(status));
  }
  void release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  OpenCalls* calls_ = nullptr;
  RequestHandler* handler_ = nullptr;
  std::atomic<int> references_{1};
  std::atomic<bool> finished_{false};
  alignas(std::max_align_t) std::byte block_[1024];
  google::protobuf::Arena arena_;
};

template <class Request, class Response>
class CallAllocator final : public grpc::MessageAllocator<Request, Response> {
 public:
  grpc::MessageHolder<Request, Response>* AllocateMessages() override {
    return new UnaryCall<Request, Response>();
  }
};

// Begins the call whose messages a CallAllocator<Request, Response> made for `context`.
template <class Request, class Response>
grpc::ServerUnaryReactor* start_call(grpc::CallbackServerContext* context, RequestHandler& handler,
                                     OpenCalls& calls,
                                     typename UnaryCall<Request, Response>::Method method) {
  auto* call = static_cast<UnaryCall<Request, Response>*>(context->GetRpcAllocatorState());
  return call->start(handler, calls, method);
}

}  // namespace conclave::server
