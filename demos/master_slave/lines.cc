#include "conclave/master_slave/lines.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "conclave/base/clock.h"

namespace master_slave {
namespace {

using conclave::BootClock;
using conclave::Errc;
using conclave::Error;
using conclave::Instant;
using conclave::Result;
using std::chrono::milliseconds;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// Of "127.0.0.1:PORT".
int port_of(std::string_view address) {
  const std::string_view digits = address.substr(address.rfind(':') + 1);
  int port = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return port;
}

Descriptor connected_to(const std::string& address) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in peer = loopback(port_of(address));
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof(peer))) {
    return Descriptor();
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

bool send_line(int fd, std::string line) {
  line += '\n';
  // The lines are far smaller than any socket buffer: a send that takes a part of one has failed.
  return ::send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
}

bool readable_before(int fd, Instant deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - BootClock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

std::optional<std::string> receive_line(int fd, Instant deadline) {
  LineBuffer buffer;
  std::string line;
  while (!buffer.next(line)) {
    if (!readable_before(fd, deadline) || !buffer.fill(fd)) return std::nullopt;
  }
  return line;
}

}  // namespace

bool LineBuffer::fill(int fd) {
  std::array<char, 4096> chunk;
  const ssize_t size = ::read(fd, chunk.data(), chunk.size());
  if (size > 0) bytes_.append(chunk.data(), static_cast<std::size_t>(size));
  return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

bool LineBuffer::next(std::string& line) {
  const std::size_t end = bytes_.find('\n');
  if (end == std::string::npos) return false;
  line = bytes_.substr(0, end);
  bytes_.erase(0, end + 1);
  return true;
}

Result<std::string> LineClient::ask(std::string_view question, milliseconds timeout) {
  const Instant deadline = BootClock::now() + timeout;
  if (!socket_) socket_ = connected_to(address_);
  if (!socket_) return Error{Errc::unavailable, "nobody listens on " + address_};
  if (send_line(socket_.get(), std::string(question))) {
    if (auto answer = receive_line(socket_.get(), deadline)) return std::move(*answer);
  }
  socket_ = Descriptor();
  return Error{Errc::unknown_outcome, "no answer from " + address_};
}

Result<LineServer> LineServer::listen() {
  Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in own = loopback(0);
  socklen_t size = sizeof(own);
  if (!listener || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&own), size) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return Error{Errc::io, "cannot listen on 127.0.0.1"};
  }
  return LineServer(std::move(listener), "127.0.0.1:" + std::to_string(ntohs(own.sin_port)));
}

void LineServer::serve(const Handler& handler, const std::stop_token& stop) {
  struct Connection {
    Descriptor socket;
    LineBuffer buffer;
  };
  std::vector<Connection> connections;
  while (!stop.stop_requested()) {
    std::vector<pollfd> waiting{{listener_.get(), POLLIN, 0}};
    for (const Connection& each : connections) waiting.push_back({each.socket.get(), POLLIN, 0});
    constexpr int kLookForStopMs = 100;
    if (::poll(waiting.data(), waiting.size(), kLookForStopMs) <= 0) continue;
    for (std::size_t i = connections.size(); i-- > 0;) {
      if (waiting[i + 1].revents == 0) continue;
      Connection& connection = connections[i];
      bool open = connection.buffer.fill(connection.socket.get());
      for (std::string question; open && connection.buffer.next(question);) {
        open = send_line(connection.socket.get(), handler(question));
      }
      if (!open) connections.erase(connections.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (waiting[0].revents != 0) {
      Descriptor accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (accepted) connections.push_back({std::move(accepted), {}});
    }
  }
}

Result<int> free_port() {
  const Result<LineServer> server = LineServer::listen();
  if (!server) return server.error();
  return port_of(server->address());
}

bool accepts_connections(const std::string& address) {
  return static_cast<bool>(connected_to(address));
}

}  // namespace master_slave
