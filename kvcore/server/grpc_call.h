#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <google/protobuf/arena.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/async_unary_call.h>

#include "conclave/api/errors.h"
#include "conclave/server/grpc_incoming.h"
#include "conclave/server/grpc_loop.h"
#include "conclave/server/open_calls.h"
#include "conclave/server/request_handler.h"

namespace conclave::server {

inline grpc::Status status_of(api::Refusal refusal) {
  const api::RefusalText text = api::text_of(refusal);
  return {static_cast<grpc::StatusCode>(text.code), std::string(text.text)};
}

// Asked of every stream, and of calls where there is no leader: whether the client would rather be
// refused than wait for one.
inline bool wants_leader(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("hasleader");
  return found != metadata.end() && found->second == "true";
}

// One method of the API that is served: where its calls are asked for, and who carries them out.
template <class Request, class Response>
struct UnaryMethod {
  // Asks gRPC for the next call.
  using Ask = std::function<void(grpc::ServerContext* context, Incoming<Request>* request,
                                 grpc::ServerAsyncResponseWriter<Response>* writer, void* tag)>;
  using CarryOut = void (RequestHandler::*)(const Request&, Response*, RequestHandler::Done);

  Ask ask;
  RequestHandler& handler;
  CarryOut carry_out;
  GrpcLoop& loop;
  OpenCalls& calls;
  int awaited = 0;  // calls that have not come; of the loop's thread once calls come
};

// One unary call from before its arrival to its last byte: messages, the arena they lie in, and
// what gRPC needs are one allocation.
//
// Lifetime: counted, because two parties let go of it in any order: gRPC's completion queue and the
// handler's `done`. A shutdown whose patience is over ends the call for gRPC, while the messages
// stay until the handler is done with them.
template <class Request, class Response>
class UnaryCall final : public Completion, public OpenCall {
 public:
  using Method = UnaryMethod<Request, Response>;

  // Waits for a call of the method, carries it out, and sees to it that another one waits then.
  static void await(Method& method) { new UnaryCall(method); }

  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

  void complete(bool ok) override {
    if (arrived_) {
      method_.calls.leave(*this);
      release();
    } else if (!ok) {
      release();
    } else {
      arrived_ = true;
      references_.fetch_add(1, std::memory_order_relaxed);  // over() will come
      await_next();
      begin();
    }
  }

  void cancel() override { finish(status_of(api::Refusal::stopped)); }

 private:
  // The call has ended for gRPC, answered or not.
  class Over final : public Completion {
   public:
    explicit Over(UnaryCall& call) : call_(call) {}
    void complete(bool) override { call_.over(); }

   private:
    UnaryCall& call_;
  };

  explicit UnaryCall(Method& method)
      : method_(method), writer_(&context_), arena_(options(block_)) {
    request_.message = google::protobuf::Arena::CreateMessage<Request>(&arena_);
    response_ = google::protobuf::Arena::CreateMessage<Response>(&arena_);
    ++method_.awaited;
    context_.AsyncNotifyWhenDone(static_cast<Completion*>(&over_));
    method_.ask(&context_, &request_, &writer_, static_cast<Completion*>(this));
  }
  ~UnaryCall() = default;

  // Making room for another call takes a while, which a lone one need not wait for.
  void await_next() {
    if (--method_.awaited == 0) {
      if (method_.loop.takes_calls()) await(method_);
    } else {
      method_.loop.after_turn([&method = method_] {
        if (method.loop.takes_calls()) await(method);
      });
    }
  }

  static google::protobuf::ArenaOptions options(std::byte (&block)[1024]) {
    google::protobuf::ArenaOptions options;
    options.initial_block = reinterpret_cast<char*>(block);
    options.initial_block_size = sizeof(block);
    return options;
  }

  // `done` holds a bare pointer, so that std::function needs no memory of its own; its running
  // exactly once is the handler's promise.
  void begin() {
    // In words that tell a client that nothing was done with it.
    if (!method_.calls.enter(*this)) return finish(status_of(api::Refusal::no_leader));
    if (!request_.readable) return finish(unreadable_request());
    if (!method_.handler.has_leader() && wants_leader(context_)) {
      return finish(status_of(api::Refusal::no_leader));
    }
    references_.fetch_add(1, std::memory_order_relaxed);
    const auto done = [this](std::optional<api::Refusal> refusal) {
      finish(refusal ? status_of(*refusal) : grpc::Status::OK);
      release();
    };
    (method_.handler.*method_.carry_out)(*request_.message, response_, done);
  }

  void finish(const grpc::Status& status) {
    if (finished_.exchange(true, std::memory_order_acq_rel)) return;
    if (status.ok()) {
      writer_.Finish(*response_, status, static_cast<Completion*>(this));
    } else {
      writer_.FinishWithError(status, static_cast<Completion*>(this));
    }
  }

  // A client that went away before its answer came need not have it worked out.
  void over() {
    if (context_.IsCancelled() && !finished_.exchange(true, std::memory_order_acq_rel)) {
      references_.fetch_add(1, std::memory_order_relaxed);
      method_.handler.abandon(response_, [this] { release(); });
      writer_.FinishWithError({grpc::StatusCode::CANCELLED, "canceled"},
                              static_cast<Completion*>(this));
    }
    release();
  }

  void release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  Method& method_;
  grpc::ServerContext context_;
  grpc::ServerAsyncResponseWriter<Response> writer_;
  Over over_{*this};
  bool arrived_ = false;
  std::atomic<int> references_{1};
  std::atomic<bool> finished_{false};
  alignas(std::max_align_t) std::byte block_[1024];
  google::protobuf::Arena arena_;
  Incoming<Request> request_;
  Response* response_;
};

}  // namespace conclave::server
