#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include <google/protobuf/arena.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>

#include "conclave/api/errors.h"
#include "conclave/server/grpc_incoming.h"
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
class UnaryCall final : public grpc::MessageHolder<Incoming<Request>, Response>,
                        public grpc::ServerUnaryReactor {
 public:
  using Method = void (RequestHandler::*)(const Request&, Response*, RequestHandler::Done);

  UnaryCall() : arena_(options(block_)) {
    request_.message = google::protobuf::Arena::CreateMessage<Request>(&arena_);
    this->set_request(&request_);
    this->set_response(google::protobuf::Arena::CreateMessage<Response>(&arena_));
  }
  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

  // Hands the request to the handler. `done` holds a bare pointer, so that std::function needs no
  // memory of its own; its running exactly once is the handler's promise.
  grpc::ServerUnaryReactor* start(RequestHandler& handler, OpenCalls& calls, Method method) {
    calls_ = &calls;
    const bool open = calls.enter();
    if (!open || !request_.readable) {
      references_.fetch_add(1, std::memory_order_relaxed);
      finish(open ? unreadable_request() : status_of(api::Refusal::stopped));
      return this;
    }
    references_.fetch_add(2, std::memory_order_relaxed);
    (handler.*method)(*request_.message, this->response(),
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
  void OnCancel() override { finish(grpc::Status(grpc::StatusCode::CANCELLED, "canceled")); }

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
  std::atomic<int> references_{1};
  std::atomic<bool> finished_{false};
  alignas(std::max_align_t) std::byte block_[1024];
  google::protobuf::Arena arena_;
  Incoming<Request> request_;
};

template <class Request, class Response>
class CallAllocator final : public grpc::MessageAllocator<Incoming<Request>, Response> {
 public:
  grpc::MessageHolder<Incoming<Request>, Response>* AllocateMessages() override {
    return new UnaryCall<Request, Response>();
  }
};

// A group of calls of the API, etcdserverpb::KV for one, some of which go to the handler. What is
// not served is answered UNIMPLEMENTED.
template <class Group>
class HandledService : public Group::CallbackService {
 protected:
  HandledService(RequestHandler& handler, OpenCalls& calls) : handler_(handler), calls_(calls) {}

  template <class Request, class Response>
  void serve(const char* name,
             void (RequestHandler::*method)(const Request&, Response*, RequestHandler::Done)) {
    static CallAllocator<Request, Response> allocator;
    auto call = std::make_unique<grpc::internal::CallbackUnaryHandler<Incoming<Request>, Response>>(
        [this, method](grpc::CallbackServerContext* context, const Incoming<Request>*, Response*) {
          auto* state = context->GetRpcAllocatorState();
          return static_cast<UnaryCall<Request, Response>*>(state)->start(handler_, calls_, method);
        });
    call->SetMessageAllocator(&allocator);
    this->MarkMethodCallback(index_of<Request>(name), call.release());
  }

  // `Call` is a ServerBidiReactor<Incoming<Request>, Response> that deletes itself.
  template <class Request, class Response, class Call>
  void serve_stream(const char* name) {
    auto call = std::make_unique<grpc::internal::CallbackBidiHandler<Incoming<Request>, Response>>(
        [this](grpc::CallbackServerContext*) { return new Call(handler_, calls_); });
    this->MarkMethodCallback(index_of<Request>(name), call.release());
  }

 private:
  template <class Request>
  static int index_of(const char* name) {
    const std::string service = Group::service_full_name();
    const auto* file = Request::descriptor()->file();
    const auto* described = file->FindServiceByName(service.substr(service.rfind('.') + 1));
    return described->FindMethodByName(name)->index();
  }

  RequestHandler& handler_;
  OpenCalls& calls_;
};

}  // namespace conclave::server
