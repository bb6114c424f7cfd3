#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "conclave/base/result.h"
#include "conclave/master_slave/descriptor.h"

namespace master_slave {

// Questions and answers over TCP on this machine, a line each: just enough network for the demo. A
// real program has its own way to talk.

// Cuts what arrives on a descriptor into lines.
class LineBuffer {
 public:
  // Takes what is there, without waiting on a non-blocking descriptor. False: end of file or error.
  bool fill(int fd);
  // The next whole line without its newline; false: none yet.
  bool next(std::string& line);

 private:
  std::string bytes_;
};

// Not thread-safe.
class LineClient {
 public:
  explicit LineClient(std::string address) : address_(std::move(address)) {}

  const std::string& address() const { return address_; }

  // Blocks for the answer, `timeout` at most. Errors: unavailable: no connection, nothing was sent;
  // unknown_outcome: the question may have arrived. The connection is dropped then, and made anew
  // by the next call.
  conclave::Result<std::string> ask(std::string_view question, std::chrono::milliseconds timeout);

 private:
  std::string address_;
  Descriptor socket_;
};

class LineServer {
 public:
  using Handler = std::function<std::string(const std::string& question)>;

  // On 127.0.0.1, at a port that the system chooses.
  static conclave::Result<LineServer> listen();

  const std::string& address() const { return address_; }

  // Blocks until `stop` is requested. Questions of all connections come one at a time.
  void serve(const Handler& handler, const std::stop_token& stop);

 private:
  LineServer(Descriptor listener, std::string address)
      : listener_(std::move(listener)), address_(std::move(address)) {}

  Descriptor listener_;
  std::string address_;
};

// A port that was free a moment ago.
conclave::Result<int> free_port();

// Whether something accepts connections there.
bool accepts_connections(const std::string& address);

}  // namespace master_slave
