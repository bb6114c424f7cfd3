#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/impl/service_type.h>

#include "conclave/server/grpc_call.h"
#include "conclave/server/grpc_loop.h"
#include "conclave/server/grpc_stream.h"
#include "conclave/server/open_calls.h"
#include "conclave/server/request_handler.h"

namespace conclave::server {

// A group of calls of the API, etcdserverpb.KV for one, some of which are served. The others are
// left to gRPC, which answers UNIMPLEMENTED. Handler, calls and loop must outlive it.
class HandledService : public grpc::Service {
 public:
  ~HandledService() override = default;

  // Calls come in from now on: after the server was built.
  void open() {
    for (const auto& await : awaits_) await();
  }

 protected:
  HandledService(const std::string& name, RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : name_(name), handler_(handler), calls_(calls), loop_(loop) {}

  template <class Request, class Response>
  void serve(const char* name,
             void (RequestHandler::*method)(const Request&, Response*, RequestHandler::Done)) {
    const int index = add(name, grpc::internal::RpcMethod::NORMAL_RPC);
    auto served = std::make_shared<UnaryMethod<Request, Response>>(UnaryMethod<Request, Response>{
        [this, index](auto* context, auto* request, auto* writer, void* tag) {
          RequestAsyncUnary(index, context, request, writer, loop_.queue(), loop_.queue(), tag);
        },
        handler_, method, loop_, calls_});
    awaits_.push_back([served] {
      for (int i = 0; i < kAwaitedCalls; ++i) UnaryCall<Request, Response>::await(*served);
    });
  }

  // `make` makes a StreamReactor<Request, Response> that deletes itself.
  template <class Request, class Response>
  void serve_stream(const char* name,
                    std::function<void(std::unique_ptr<StreamCall<Request, Response>>)> make) {
    const int index = add(name, grpc::internal::RpcMethod::BIDI_STREAMING);
    auto served = std::make_shared<StreamMethod<Request, Response>>(StreamMethod<Request, Response>{
        [this, index](auto* call, void* tag) {
          RequestAsyncBidiStreaming(index, &call->context, &call->stream, loop_.queue(),
                                    loop_.queue(), tag);
        },
        std::move(make), loop_});
    awaits_.push_back([served] {
      for (int i = 0; i < kAwaitedStreams; ++i) AwaitedStream<Request, Response>::await(*served);
    });
  }

  RequestHandler& handler() { return handler_; }
  OpenCalls& calls() { return calls_; }

 private:
  // Few: Debian's gRPC looks through all that it has not reported yet, each time that it reports.
  static constexpr int kAwaitedCalls = 4;
  static constexpr int kAwaitedStreams = 2;

  int add(const char* name, grpc::internal::RpcMethod::RpcType type) {
    paths_.push_back(std::make_unique<std::string>("/" + name_ + "/" + name));
    AddMethod(new grpc::internal::RpcServiceMethod(paths_.back()->c_str(), type, nullptr));
    const int index = static_cast<int>(paths_.size()) - 1;
    MarkMethodAsync(index);
    return index;
  }

  const std::string name_;
  RequestHandler& handler_;
  OpenCalls& calls_;
  GrpcLoop& loop_;
  std::vector<std::unique_ptr<std::string>> paths_;  // gRPC keeps pointers to them
  std::vector<std::function<void()>> awaits_;
};

std::unique_ptr<HandledService> make_kv_service(RequestHandler& handler, OpenCalls& calls,
                                                GrpcLoop& loop);
std::unique_ptr<HandledService> make_lease_service(RequestHandler& handler, OpenCalls& calls,
                                                   GrpcLoop& loop);
std::unique_ptr<HandledService> make_watch_service(RequestHandler& handler, OpenCalls& calls,
                                                   GrpcLoop& loop);
std::unique_ptr<HandledService> make_maintenance_service(RequestHandler& handler, OpenCalls& calls,
                                                         GrpcLoop& loop);
std::unique_ptr<HandledService> make_cluster_service(RequestHandler& handler, OpenCalls& calls,
                                                     GrpcLoop& loop);
std::unique_ptr<HandledService> make_auth_service(RequestHandler& handler, OpenCalls& calls,
                                                  GrpcLoop& loop);
// grpc.health.v1: the server as a whole serves until it ends.
std::unique_ptr<HandledService> make_health_service(RequestHandler& handler, OpenCalls& calls,
                                                    GrpcLoop& loop);

}  // namespace conclave::server
