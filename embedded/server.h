#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conclave/base/result.h"

namespace conclave {

struct EmbeddedOptions {
  std::string name = "embedded";
  std::string data_dir;  // made if absent, with mode 0700; one process at a time
  // Where clients reach it, this process's own among them; port 0 takes a free one.
  std::vector<std::string> listen_urls{"http://127.0.0.1:0"};
  // History that is older goes by itself; zero keeps it all.
  std::chrono::seconds history_retention{300};
  std::uint64_t quota_bytes = std::uint64_t{2} << 30;
};

// A Conclave server inside your process: for a single node that needs no second daemon, and for
// tests that want a real store in a fresh directory.
//
// Caveats: it dies with the process, and with it every lock that others hold there is unavailable
// until it is started again on the same directory (their leases stand still meanwhile). Other
// processes reach it as they reach any server.
//
// What it does: all that a `conclaved` alone and without TLS does, with the same files, so that a
// directory can move from one to the other (that of a cluster's member cannot). A failed write or
// sync stops the server, not the process: calls then fail, and failure() says why.
//
// Threads: every method from any thread. Lifetime: end the clients that use it first, or they will
// wait for it until their deadlines.
//
//   Result<EmbeddedServer> server = EmbeddedServer::start({.data_dir = "/var/lib/app/locks"});
//   if (!server) return server.error();
//   Result<Client> client = Client::connect({.endpoints = server->endpoints()});
class EmbeddedServer {
 public:
  // Blocks until the stored state is loaded and the server listens. Errors: invalid_argument (a
  // malformed URL), io (the directory or the address cannot be used), unavailable (another process
  // has the directory), corrupt (stored bytes are damaged; nothing was changed). Nothing runs or
  // listens after an error.
  static Result<EmbeddedServer> start(EmbeddedOptions options);

  EmbeddedServer(EmbeddedServer&&) noexcept;
  EmbeddedServer& operator=(EmbeddedServer&&) noexcept;
  // stop().
  ~EmbeddedServer();

  // For ClientOptions::endpoints, with the ports that were taken.
  const std::vector<std::string>& endpoints() const;

  // Why it has stopped by itself; empty while it serves.
  std::optional<Error> failure() const;

  // Refuses new requests, answers those under way, makes everything durable. Blocks, some seconds
  // at most. A second call does nothing.
  void stop();

 private:
  struct Impl;
  explicit EmbeddedServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave
