#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/base/url.h"
#include "conclave/listener/tls_files.h"
#include "conclave/server/driven.h"
#include "conclave/server/request_handler.h"

namespace grpc {
class CompletionQueue;
}

namespace conclave::server {

struct FrontOptions {
  std::vector<Url> listen_urls;  // https needs `tls`; port 0 takes a free one
  listener::TlsFiles tls;
  std::uint64_t max_request_bytes = 1572864;
  std::uint32_t max_concurrent_streams = UINT32_MAX;  // of one connection
};

// The gRPC services of the etcd v3 API (KV, Watch, Lease, Maintenance, Cluster, and of Auth what
// says that it is off) and gRPC's health service, in front of a RequestHandler.
//
// Caveats: takes a request of up to max_request_bytes + 512 KiB off the wire, beyond which gRPC
// itself answers RESOURCE_EXHAUSTED; the exact limit is the handler's. Calls that this server does
// not carry out end with UNIMPLEMENTED.
//
// Threads: one of the front's own decodes requests, calls the handler and, if the handler is
// Driven, does its work; the reply is encoded and sent by the thread that runs `done`. All members
// may be called from any thread.
//
// Lifetime: the handler must live until shutdown() has returned. A `done` that runs after that is
// harmless.
//
//   auto front = GrpcFront::listen({.listen_urls = {*parse_url("http://127.0.0.1:2379")}}, *node,
//                                  node.get());
//   if (!front) return front.error();
//   ...
//   (*front)->shutdown(std::chrono::seconds(5));
class GrpcFront {
 public:
  // Errors: Errc::io (an address is in use, is not this machine's, or a certificate file cannot be
  // used), naming the URL or the file. Nothing listens then. `driven` is the handler, if it can be
  // driven; it must live as long.
  static Result<std::unique_ptr<GrpcFront>> listen(const FrontOptions& options,
                                                   RequestHandler& handler,
                                                   Driven* driven = nullptr);

  // The same in two steps, for a handler that wants host() at its own beginning. The ports are
  // taken at once; connections are refused until serve().
  static Result<std::unique_ptr<GrpcFront>> open(const FrontOptions& options);
  Result<void> serve(RequestHandler& handler, Driven* driven = nullptr);

  // A completion queue that the front's thread polls from open() on until this object is
  // destroyed, and not only until shutdown(), if it was asked for. Tags are listener::Completions.
  // Then the handler must live as long, too; it may be stopped before.
  grpc::CompletionQueue* host();

  ~GrpcFront();  // as shutdown() without patience
  GrpcFront(const GrpcFront&) = delete;
  GrpcFront& operator=(const GrpcFront&) = delete;

  // The listening URLs, with the ports that were taken.
  const std::vector<Url>& urls() const { return urls_; }

  // Reports NOT_SERVING, refuses new calls (streams with Refusal::stopped, unary ones with
  // Refusal::no_leader, which says that nothing was done), ends watch and keep-alive streams once
  // what they had in hand is sent, waits for unary calls to be answered; what is left after
  // `patience` is cancelled, and the ports are given up. A connection whose client does not read is
  // cut. Blocks, little longer than
  // `patience` whatever handler and clients do. A second call does nothing.
  void shutdown(std::chrono::milliseconds patience);

 private:
  struct Parts;
  GrpcFront(std::unique_ptr<Parts> parts, std::vector<Url> urls);

  const std::unique_ptr<Parts> parts_;
  const std::vector<Url> urls_;
};

}  // namespace conclave::server
