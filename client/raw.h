#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "conclave/client/call_kind.h"
#include "conclave/client/client.h"

namespace conclave {

// One bidirectional stream at one endpoint, without resuming. Destroying it cancels the call.
//
// Replies that have come wait in memory for next(), up to about 4 MiB; then the server waits.
//
// Threads: any, but next() from one at a time. Must not outlive its Client.
class RawStream {
 public:
  RawStream(RawStream&& other) noexcept;
  RawStream& operator=(RawStream&& other) noexcept;
  ~RawStream();

  // Does not block. Of a stream that has ended: nothing happens, next() says why.
  void send(std::string request);
  // Says that nothing more will be sent, as calls with one request and many replies expect.
  void finish_sending();

  // Blocks for the next reply; nullopt: the server has ended the stream in good order. Errors:
  // timed_out and cancelled, after which the stream goes on; any other is why it has ended, and is
  // repeated.
  Result<std::optional<std::string>> next(
      const std::stop_token& stop = {},
      std::optional<std::chrono::milliseconds> timeout = std::nullopt);

 private:
  friend class RawClient;
  struct State;
  explicit RawStream(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

// Calls in the wire's own form, for programs that print or pass on whole replies: serialized
// messages of conclave/api in, serialized messages out, by full method name
// ("/etcdserverpb.KV/Range").
//
// Failover, retries, authentication and errors are those of Client: `kind` says whether a call may
// be sent again when its fate is unknown. Threads, blocking and lifetime as Client's.
//
//   RawClient raw(client);
//   Result<std::string> reply = raw.call("/etcdserverpb.KV/Range", request.SerializeAsString(),
//                                        CallKind::read);
class RawClient {
 public:
  explicit RawClient(Client& client) : client_(&client) {}

  Result<std::string> call(std::string method, std::string request, CallKind kind,
                           const CallOptions& options = {});
  // At this endpoint, which need not be one of the client's, and at no other. Tried once: a server
  // that cannot be reached is Errc::unavailable at once, not at the timeout.
  Result<std::string> call_at(std::string endpoint, std::string method, std::string request,
                              CallKind kind, const CallOptions& options = {});

  // Opens a stream at the endpoint now in use, or at `endpoint`. Blocks only to authenticate.
  Result<RawStream> open(std::string method, const CallOptions& options = {});
  Result<RawStream> open_at(std::string endpoint, std::string method,
                            const CallOptions& options = {});

 private:
  Client* client_;
};

}  // namespace conclave
