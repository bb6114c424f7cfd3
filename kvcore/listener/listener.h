#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "conclave/base/acceptor.h"
#include "conclave/base/result.h"
#include "conclave/base/url.h"
#include "conclave/listener/corks.h"
#include "conclave/listener/tls_files.h"

namespace conclave::listener {

// The ports of one gRPC server. gRPC serves the connections, but does not accept them: it stops
// for good when descriptors run out, and does not say why it cannot listen.
//
// Threads: one at a time. Lifetime: start() needs the server that was built, which is to be shut
// down by shut_down().
//
//   auto ports = Listener::open(urls, tls, builder);
//   if (!ports) return ports.error();
//   auto server = builder.BuildAndStart();
//   if (server == nullptr) return (*ports)->why_not_built();
//   if (auto started = (*ports)->start(); !started) return started.error();
class Listener {
 public:
  // The ports are taken; connections are refused until start(). `tls` is for https alone. Errors:
  // Errc::io, naming the URL (an address is in use or not this machine's) or the file (it cannot be
  // used). `descriptors_left`: see Acceptor.
  static Result<std::unique_ptr<Listener>> open(const std::vector<Url>& urls, const TlsFiles& tls,
                                                grpc::ServerBuilder& builder,
                                                int descriptors_left = 0);

  // With the ports that were taken where 0 was asked for.
  std::vector<Url> urls() const;

  // gRPC has built no server, and that is all it tells.
  Error why_not_built() const;

  // Errors: Errc::io, if somebody else listens on one of the ports by now.
  Result<void> start();
  // The ports are closed. Once or more often.
  void stop();

  // Closes the ports and shuts the server down; calls that are open have `grace` to end. gRPC waits
  // for what is being written to a connection, however long its reader takes; connections that are
  // left half a second later are cut. Blocks; what gRPC reports meanwhile must be taken from its
  // queues by another thread.
  void shut_down(grpc::Server& server, std::chrono::milliseconds grace);

  // Of all connections that came in here.
  Corks& corks() { return corks_; }

 private:
  struct Port {
    std::unique_ptr<Acceptor> acceptor;
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server;
  };

  Corks corks_;
  std::vector<Port> ports_;
};

}  // namespace conclave::listener
