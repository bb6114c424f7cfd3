#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"

namespace conclave {

// How a call ended, with gRPC's numbers. `sent` is false only if the request surely never left this
// process.
struct CallStatus {
  int code = 0;
  std::string message;
  bool sent = true;
};

// One bidirectional stream. Destroying it cancels the call; nothing is delivered after that. It may
// be destroyed from within its own callbacks.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void send(std::string request) = 0;
  // Nothing more will be sent. Needed only by methods that take one request and stream their
  // replies.
  virtual void finish_sending() {}
  // Asks that no further replies be fetched until resume(); those under way may still come. The
  // server then waits. A stream that cannot hold back delivers on.
  virtual void pause() {}
  virtual void resume() {}
};

// The transport to one endpoint, as a port: gRPC implements it, the simulation replaces it.
// Requests and replies are serialized protobuf messages; methods are full names
// ("/etcdserverpb.KV/Range").
//
// Threads: all calls from the executor's tasks, and every callback is delivered as a task of that
// executor, never from within the call itself. Destroying a channel cancels its calls without
// delivering anything.
class Channel {
 public:
  virtual ~Channel() = default;

  using UnaryDone = std::function<void(const CallStatus& status, std::string_view reply)>;
  virtual void unary(std::string_view method, std::string request, std::string_view auth_token,
                     Instant deadline, UnaryDone done) = 0;

  struct StreamSink {
    std::function<void(std::string_view reply)> message;
    std::function<void(const CallStatus& status)> closed;  // once, last
  };
  virtual std::unique_ptr<Stream> open(std::string_view method, std::string_view auth_token,
                                       StreamSink sink) = 0;
};

// Opens channels by endpoint ("host:port", "http://host:port", "https://host:port"). Opening
// connects nothing yet; a malformed endpoint is Errc::invalid_argument.
class ChannelFactory {
 public:
  virtual ~ChannelFactory() = default;
  virtual Result<std::unique_ptr<Channel>> open(const std::string& endpoint) = 0;
};

}  // namespace conclave
