#include "conclave/bench/connection.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conclave::bench {
namespace {

constexpr std::int32_t kStreamWindowBytes = 64 << 20;
constexpr std::int32_t kConnectionWindowBytes = 1 << 30;
constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::size_t kWriteBytes = 256 << 10;

nghttp2_nv header(std::string_view name, std::string_view value) {
  // nghttp2 takes pointers to mutable bytes and does not change them.
  auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

std::string_view view(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

class Connection::Stream {
 public:
  StreamHandler* handler = nullptr;
  std::int32_t id = -1;
  std::string outgoing;
  std::size_t sent = 0;
  bool is_unary = true;
  bool is_waiting = false;  // nothing to send, until there is
  Deframer deframer;
  int status = -1;
  std::string status_message;
};

// nghttp2's side: user_data is the Connection, a stream's own is the Stream.
struct Connection::Callbacks {
  static Stream* stream_of(nghttp2_session* session, std::int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                       std::size_t value_size, std::uint8_t, void*) {
    const std::string_view key = view(name, name_size);
    if (!key.starts_with("grpc-")) return 0;
    Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const std::string_view text = view(value, value_size);
    if (key == "grpc-status") {
      std::from_chars(text.data(), text.data() + text.size(), stream->status);
    } else if (key == "grpc-message") {
      stream->status_message = text;
    }
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                     const std::uint8_t* data, std::size_t size, void*) {
    Stream* stream = stream_of(session, id);
    if (stream == nullptr) return 0;
    const bool good = stream->deframer.feed(view(data, size), [stream](std::string_view message) {
      stream->handler->on_message(message);
    });
    return good ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t, void* user) {
    Stream* stream = stream_of(session, id);
    if (stream == nullptr) return 0;
    nghttp2_session_set_stream_user_data(session, id, nullptr);
    static_cast<Connection*>(user)->end(stream, {stream->status, stream->status_message});
    return 0;
  }

  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto* stream = static_cast<Stream*>(source->ptr);
    const std::size_t size = std::min(room, stream->outgoing.size() - stream->sent);
    if (size == 0 && !stream->is_unary) {
      stream->is_waiting = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    std::memcpy(out, stream->outgoing.data() + stream->sent, size);
    stream->sent += size;
    if (stream->sent == stream->outgoing.size()) {
      stream->outgoing.clear();
      stream->sent = 0;
      if (stream->is_unary) *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return static_cast<ssize_t>(size);
  }
};

Result<std::unique_ptr<Connection>> Connection::open(EventLoop& loop, std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return Error{Errc::io, std::string("no socket can be made: ") + std::strerror(errno)};
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string authority = "127.0.0.1:" + std::to_string(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int failure = errno;
    close(fd);
    return Error{Errc::unavailable,
                 "cannot connect to " + authority + ": " + std::strerror(failure)};
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return std::unique_ptr<Connection>(new Connection(loop, fd, authority));
}

Connection::Connection(EventLoop& loop, int fd, std::string authority)
    : loop_(loop), fd_(fd), authority_(std::move(authority)) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* options = nullptr;
  CONCLAVE_CHECK(
      nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0,
      "out of memory");
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
  nghttp2_option_set_no_closed_streams(options, 1);
  CONCLAVE_CHECK(nghttp2_session_client_new2(&session_, callbacks, this, options) == 0,
                 "no HTTP/2 session can be made");
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(options);

  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindowBytes}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindowBytes);
  loop_.watch(fd_, *this);
  wake();
}

Connection::~Connection() {
  loop_.forget(fd_, *this);
  nghttp2_session_del(session_);
  close(fd_);
}

Connection::Stream* Connection::unary(std::string_view path, std::string_view framed_request,
                                      StreamHandler& handler) {
  Stream* stream = take_stream(handler);
  stream->outgoing = framed_request;
  submit(path, stream);
  return stream;
}

Connection::Stream* Connection::stream(std::string_view path, StreamHandler& handler) {
  Stream* stream = take_stream(handler);
  stream->is_unary = false;
  submit(path, stream);
  return stream;
}

void Connection::send(Stream* stream, std::string_view framed_request) {
  stream->outgoing.append(framed_request);
  if (stream->is_waiting) {
    stream->is_waiting = false;
    nghttp2_session_resume_data(session_, stream->id);
  }
  wake();
}

void Connection::cancel(Stream* stream) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
  wake();
}

Connection::Stream* Connection::take_stream(StreamHandler& handler) {
  if (idle_.empty()) {
    streams_.push_back(std::make_unique<Stream>());
    idle_.push_back(streams_.back().get());
  }
  Stream* stream = idle_.back();
  idle_.pop_back();
  stream->handler = &handler;
  stream->outgoing.clear();
  stream->sent = 0;
  stream->is_unary = true;
  stream->is_waiting = false;
  stream->deframer.clear();
  stream->status = -1;
  stream->status_message.clear();
  return stream;
}

void Connection::submit(std::string_view path, Stream* stream) {
  if (broken_) {
    loop_.at(TimePoint(), [this, stream] { end(stream, {-1, "the connection is broken"}); });
    return;
  }
  const nghttp2_nv headers[] = {header(":method", "POST"),
                                header(":scheme", "http"),
                                header(":path", path),
                                header(":authority", authority_),
                                header("content-type", "application/grpc"),
                                header("te", "trailers")};
  nghttp2_data_provider body{};
  body.source.ptr = stream;
  body.read_callback = Callbacks::read_body;
  stream->id =
      nghttp2_submit_request(session_, nullptr, headers, std::size(headers), &body, stream);
  CONCLAVE_CHECK(stream->id > 0, "HTTP/2 refuses one more stream");
  wake();
}

void Connection::end(Stream* stream, const Status& status) {
  stream->id = -1;
  stream->handler->on_end(status);
  stream->handler = nullptr;
  idle_.push_back(stream);
}

void Connection::wake() {
  if (marked_ || broken_) return;
  marked_ = true;
  loop_.mark_for_flush(*this);
}

void Connection::on_ready(std::uint32_t events) {
  if (broken_) return;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) read_some();
  if ((events & EPOLLOUT) != 0 && held_sent_ < held_.size()) wake();
}

// One buffer at a time: a connection that always has more must not hold up the others, or the
// server would be blamed for it.
void Connection::read_some() {
  static thread_local std::vector<std::uint8_t> buffer(kReadBytes);
  const ssize_t size = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return fail(size == 0 ? "the server closed the connection" : "recv failed");
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, buffer.data(), static_cast<std::size_t>(size));
  if (taken < 0) return fail(nghttp2_strerror(static_cast<int>(taken)));
  wake();
  // An edge comes by itself for bytes that arrive after a read that did not fill the buffer.
  if (static_cast<std::size_t>(size) == buffer.size()) loop_.look_again(fd_, *this);
}

void Connection::flush() {
  marked_ = false;
  while (!broken_ && write_held()) {
    held_.clear();
    held_sent_ = 0;
    while (held_.size() < kWriteBytes) {
      const std::uint8_t* data = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size < 0) return fail(nghttp2_strerror(static_cast<int>(size)));
      if (size == 0) break;
      held_.append(view(data, static_cast<std::size_t>(size)));
    }
    if (held_.empty()) return;
  }
}

// False if the socket takes no more for now; the loop then tells when it does.
bool Connection::write_held() {
  while (held_sent_ < held_.size()) {
    const ssize_t size = ::send(fd_, held_.data() + held_sent_, held_.size() - held_sent_,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      if (errno != EAGAIN) fail("send failed");
      return false;
    }
    held_sent_ += static_cast<std::size_t>(size);
  }
  return true;
}

void Connection::fail(std::string_view why) {
  if (broken_) return;
  broken_ = true;
  // By index: a handler may make new calls, which end in their turn.
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    Stream* stream = streams_[i].get();
    if (stream->id < 0) continue;
    nghttp2_session_set_stream_user_data(session_, stream->id, nullptr);
    end(stream, {-1, why});
  }
}

}  // namespace conclave::bench
