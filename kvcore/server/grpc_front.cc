#include "conclave/server/grpc_front.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include <grpcpp/grpcpp.h>

#include "conclave/api/limits.h"
#include "conclave/listener/library.h"
#include "conclave/listener/listener.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/open_calls.h"

namespace conclave::server {
namespace {

// For files of the log and links to other members: without these a member ends, and its clients
// would bring the same upon the next one.
constexpr int kDescriptorsLeft = 64;

void set_limits(const FrontOptions& options, grpc::ServerBuilder& builder) {
  constexpr auto kIntMax = static_cast<std::uint64_t>(std::numeric_limits<int>::max());
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(std::min(options.max_request_bytes + api::kWireOverheadBytes, kIntMax)));
  builder.SetMaxSendMessageSize(-1);
  if (options.max_concurrent_streams <= kIntMax) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               static_cast<int>(options.max_concurrent_streams));
  }
  // What no client of this server sees, and every call pays for.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  // etcd's clients ping every 10 s by default; gRPC would call that a flood.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
}

}  // namespace

struct GrpcFront::Parts {
  ~Parts() {
    if (listener != nullptr) listener->stop();
    if (loop != nullptr) loop->shutdown();
  }

  // Before the server is built.
  void make_services(RequestHandler& handler) {
    for (const auto make :
         {make_kv_service, make_lease_service, make_watch_service, make_maintenance_service,
          make_cluster_service, make_auth_service, make_health_service}) {
      services.push_back(make(handler, calls, *loop));
      builder.RegisterService(services.back().get());
    }
  }

  grpc::ServerBuilder builder;
  std::unique_ptr<listener::Listener> listener;
  OpenCalls calls;
  std::vector<std::unique_ptr<HandledService>> services;
  std::unique_ptr<GrpcLoop> loop;
  std::unique_ptr<grpc::Server> server;
  bool is_host = false;
  std::once_flag shut_down;
};

GrpcFront::GrpcFront(std::unique_ptr<Parts> parts, std::vector<Url> urls)
    : parts_(std::move(parts)), urls_(std::move(urls)) {}

GrpcFront::~GrpcFront() {
  shutdown(std::chrono::milliseconds(0));
}

Result<std::unique_ptr<GrpcFront>> GrpcFront::open(const FrontOptions& options) {
  listener::keep_grpc_initialised();
  auto parts = std::make_unique<Parts>();
  set_limits(options, parts->builder);
  auto listener =
      listener::Listener::open(options.listen_urls, options.tls, parts->builder, kDescriptorsLeft);
  if (!listener) return std::move(listener).error();
  parts->listener = *std::move(listener);
  parts->loop =
      std::make_unique<GrpcLoop>(parts->builder.AddCompletionQueue(), parts->listener->corks());
  parts->loop->start();
  std::vector<Url> urls = parts->listener->urls();
  return std::unique_ptr<GrpcFront>(new GrpcFront(std::move(parts), std::move(urls)));
}

Result<void> GrpcFront::serve(RequestHandler& handler, Driven* driven) {
  parts_->make_services(handler);
  parts_->server = parts_->builder.BuildAndStart();
  if (parts_->server == nullptr) return parts_->listener->why_not_built();
  for (const auto& service : parts_->services) service->open();
  if (driven != nullptr) parts_->loop->drive(driven);
  return parts_->listener->start();
}

Result<std::unique_ptr<GrpcFront>> GrpcFront::listen(const FrontOptions& options,
                                                     RequestHandler& handler, Driven* driven) {
  auto front = open(options);
  if (!front) return front;
  if (Result<void> serving = (*front)->serve(handler, driven); !serving) return serving.error();
  return front;
}

grpc::CompletionQueue* GrpcFront::host() {
  parts_->is_host = true;
  return parts_->loop->queue();
}

void GrpcFront::shutdown(std::chrono::milliseconds patience) {
  std::call_once(parts_->shut_down, [&] {
    if (parts_->server == nullptr) return;
    parts_->calls.end_all();
    parts_->calls.wait_until_none(patience);
    parts_->calls.cancel_all();
    // What reaches gRPC from here on is cancelled in no words at all, so first let refusals have
    // their effect.
    if (patience > std::chrono::milliseconds(0)) {
      constexpr std::chrono::milliseconds kGap{30};
      constexpr std::chrono::milliseconds kGapsPatience{500};
      parts_->calls.wait_until_quiet(kGap, kGapsPatience);
    }
    // Every reply is on its way; connections get this long to close in an orderly manner.
    constexpr std::chrono::milliseconds kCloseGrace{50};
    parts_->listener->shut_down(*parts_->server, kCloseGrace);
    parts_->loop->take_no_more_calls();
    parts_->server->Wait();
    // What was cut ends only now; the loop is still there to take it.
    constexpr std::chrono::seconds kLastPatience{1};
    parts_->calls.wait_until_none(kLastPatience);
    parts_->loop->drive(nullptr);
    if (!parts_->is_host) parts_->loop->shutdown();
  });
}

}  // namespace conclave::server
