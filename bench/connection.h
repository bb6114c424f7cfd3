#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/bench/event_loop.h"
#include "conclave/bench/grpc_frame.h"

struct nghttp2_session;

namespace conclave::bench {

// How a call ended: gRPC's status, 0 for success; -1 if the connection ended first.
struct Status {
  int code = -1;
  std::string_view message;
};

// One side of a call. Both may be followed by new calls on the same connection from inside.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual void on_message(std::string_view message) = 0;
  // The last call: the stream is gone afterwards.
  virtual void on_end(const Status& status) = 0;
};

// gRPC over one HTTP/2 connection without TLS, on nghttp2: all that two servers need to be compared
// at the smallest cost for the one who compares. No deadlines, no retries, no flow control towards
// the server's sending (the windows are as wide as they can be, so a slow reader is never its
// fault).
class Connection : private Pollable {
 public:
  class Stream;

  // Connects to a port of this machine, waiting for it.
  static Result<std::unique_ptr<Connection>> open(EventLoop& loop, std::uint16_t port);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // A call with one request, already framed. `path` must outlive the call.
  Stream* unary(std::string_view path, std::string_view framed_request, StreamHandler& handler);
  // A call with many.
  Stream* stream(std::string_view path, StreamHandler& handler);
  // Both kinds of streams are valid until the handler's on_end().
  void send(Stream* stream, std::string_view framed_request);
  // The handler's on_end() comes once the server has been told.
  void cancel(Stream* stream);

  bool is_broken() const { return broken_; }

 private:
  struct Callbacks;

  Connection(EventLoop& loop, int fd, std::string authority);

  void on_ready(std::uint32_t events) override;
  void flush() override;
  void wake();
  void read_some();
  bool write_held();
  void fail(std::string_view why);
  Stream* take_stream(StreamHandler& handler);
  void submit(std::string_view path, Stream* stream);
  void end(Stream* stream, const Status& status);

  EventLoop& loop_;
  const int fd_;
  const std::string authority_;
  nghttp2_session* session_ = nullptr;
  std::string held_;  // taken from the session, not yet from us by the socket
  std::size_t held_sent_ = 0;
  bool marked_ = false;
  bool broken_ = false;
  std::vector<std::unique_ptr<Stream>> streams_;  // all there ever were at once
  std::vector<Stream*> idle_;
};

}  // namespace conclave::bench
