#include "conclave/server/grpc_front.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <mutex>
#include <sstream>
#include <system_error>

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

#include "conclave/base/bindable.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/open_calls.h"

namespace conclave::server {
namespace {

// What a request's bytes may grow by on the wire before gRPC refuses it unread, as with etcd.
constexpr std::uint64_t kWireOverheadBytes = 512 * 1024;

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!(file && content << file.rdbuf())) {
    return Error{Errc::io, "cannot read the TLS file " + path};
  }
  return content.str();
}

Result<std::shared_ptr<grpc::ServerCredentials>> tls_credentials(const TlsFiles& files) {
  grpc::SslServerCredentialsOptions options(
      files.ask_for_client_certificate ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  Result<std::string> certificate = read_file(files.certificate);
  if (!certificate) return certificate.error();
  Result<std::string> private_key = read_file(files.private_key);
  if (!private_key) return private_key.error();
  options.pem_key_cert_pairs.push_back({std::move(*private_key), std::move(*certificate)});
  if (!files.trusted_ca.empty()) {
    Result<std::string> trusted_ca = read_file(files.trusted_ca);
    if (!trusted_ca) return trusted_ca.error();
    options.pem_root_certs = std::move(*trusted_ca);
  }
  return grpc::SslServerCredentials(options);
}

void set_limits(const FrontOptions& options, grpc::ServerBuilder& builder) {
  constexpr auto kIntMax = static_cast<std::uint64_t>(std::numeric_limits<int>::max());
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(std::min(options.max_request_bytes + kWireOverheadBytes, kIntMax)));
  builder.SetMaxSendMessageSize(-1);
  if (options.max_concurrent_streams <= kIntMax) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               static_cast<int>(options.max_concurrent_streams));
  }
  // What no client of this server sees, and every call pays for.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  // A second server must not share the port in silence.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // etcd's clients ping every 10 s by default; gRPC would call that a flood.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
}

// Shutting the library down after its last user can wait 10 s for a poller of some channel of this
// process; that would fall upon whoever destroys the last server. So it stays up.
void keep_grpc_initialised() {
  [[maybe_unused]] static const bool kept = (grpc_init(), true);
}

}  // namespace

struct GrpcFront::Parts {
  // Before the server is built.
  void make_services(grpc::ServerBuilder& builder, RequestHandler& handler, Driven* driven) {
    loop = std::make_unique<GrpcLoop>(builder.AddCompletionQueue(), driven);
    for (const auto make : {make_kv_service, make_lease_service, make_watch_service,
                            make_maintenance_service, make_cluster_service, make_health_service}) {
      services.push_back(make(handler, calls, *loop));
      builder.RegisterService(services.back().get());
    }
  }

  OpenCalls calls;
  std::vector<std::unique_ptr<HandledService>> services;
  std::unique_ptr<GrpcLoop> loop;
  std::unique_ptr<grpc::Server> server;
  std::once_flag shut_down;
};

GrpcFront::GrpcFront(std::unique_ptr<Parts> parts, std::vector<Url> urls)
    : parts_(std::move(parts)), urls_(std::move(urls)) {}

GrpcFront::~GrpcFront() {
  shutdown(std::chrono::milliseconds(0));
}

Result<std::unique_ptr<GrpcFront>> GrpcFront::listen(const FrontOptions& options,
                                                     RequestHandler& handler, Driven* driven) {
  keep_grpc_initialised();
  auto parts = std::make_unique<Parts>();
  std::vector<Url> urls = options.listen_urls;
  grpc::ServerBuilder builder;
  set_limits(options, builder);
  // gRPC writes the ports it took here in BuildAndStart(); `taken` never moves.
  std::vector<int> taken(urls.size(), 0);
  for (std::size_t i = 0; i < urls.size(); ++i) {
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    if (urls[i].is_tls()) {
      auto with_tls = tls_credentials(options.tls);
      if (!with_tls) return with_tls.error();
      credentials = *with_tls;
    }
    if (const int why = why_not_bindable(urls[i]); why != 0) {
      return Error{Errc::io, "cannot listen on " + urls[i].text() + ": " +
                                 std::generic_category().message(why)};
    }
    builder.AddListeningPort(urls[i].address(), credentials, &taken[i]);
  }
  parts->make_services(builder, handler, driven);
  parts->server = builder.BuildAndStart();
  for (std::size_t i = 0; i < urls.size(); ++i) {
    if (parts->server && taken[i] != 0) {
      urls[i].port = static_cast<std::uint16_t>(taken[i]);
      continue;
    }
    return Error{Errc::io, "cannot listen on " + urls[i].text() +
                               (urls[i].is_tls() ? ": the address or the certificate is refused"
                                                 : ": the address is refused")};
  }
  for (const auto& service : parts->services) service->open();
  parts->loop->start();
  return std::unique_ptr<GrpcFront>(new GrpcFront(std::move(parts), std::move(urls)));
}

void GrpcFront::shutdown(std::chrono::milliseconds patience) {
  std::call_once(parts_->shut_down, [&] {
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
    parts_->server->Shutdown(std::chrono::system_clock::now() + kCloseGrace);
    parts_->loop->take_no_more_calls();
    parts_->server->Wait();
    parts_->loop->shutdown();
  });
}

}  // namespace conclave::server
