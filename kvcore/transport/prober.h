#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

#include "conclave/base/url.h"

namespace conclave::transport {

// An address that needs no resolver.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// Nothing if the host is a name.
std::optional<SocketAddress> socket_address(const Url& url);
// From how gRPC names who is at the other end: ipv4:127.0.0.1:80 or ipv6:%5B::1%5D:80.
std::optional<SocketAddress> socket_address(const std::string& grpc_peer);

// Finds out whether anybody listens at an address, by plain connections: gRPC neither says why it
// could not connect nor tries at once.
//
// Who connects just before a dying process's port closes is let in and hung up on. So a connection
// that is closed before a byte came counts as none, and is tried again.
//
// Thread-safe. A thread of its own, which starts with the first probe, waits for all of them.
class Prober {
 public:
  // On the prober's thread; not after stop(). `refused`: surely nobody listens. Anything else,
  // silence included, is no refusal.
  using Done = std::function<void(bool refused)>;

  Prober();
  ~Prober() { stop(); }
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  void probe(const SocketAddress& address, Done done);
  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  struct Probe {
    SocketAddress address;
    Done done;
    int fd = -1;
    bool is_connected = false;
    int tries_left = 0;
    Clock::time_point deadline;
  };
  enum class Outcome { pending, refused, not_refused };

  void run();
  void wait();
  void take_new();
  static Outcome connect(Probe& probe);
  static Outcome look(Probe& probe);

  std::mutex mutex_;
  std::vector<Probe> new_;
  bool stopping_ = false;
  int wake_fd_;
  std::thread thread_;

  // The prober's thread only.
  std::vector<Probe> probes_;
};

}  // namespace conclave::transport
