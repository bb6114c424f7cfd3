#include "conclave/transport/prober.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conclave/base/check.h"

namespace conclave::transport {
namespace {

constexpr std::chrono::milliseconds kConnectTime{1000};
// How long a connection is watched for being hung up on. A process that dies closes one descriptor
// after the other, and on a loaded machine it may have to wait for a processor in between; who
// lives speaks first.
constexpr std::chrono::milliseconds kHangUpTime{3000};
constexpr int kTries = 3;

void close_fd(int& fd) {
  if (fd >= 0) close(std::exchange(fd, -1));
}

}  // namespace

std::optional<SocketAddress> socket_address(const Url& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found) != 0) {
    return std::nullopt;
  }
  SocketAddress address;
  address.size = found->ai_addrlen;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

std::optional<SocketAddress> socket_address(const std::string& grpc_peer) {
  const std::size_t colon = grpc_peer.find(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string address = grpc_peer.substr(colon + 1);
  for (const auto& [escaped, plain] : {std::pair("%5B", "["), std::pair("%5D", "]")}) {
    if (const std::size_t at = address.find(escaped); at != std::string::npos) {
      address.replace(at, 3, plain);
    }
  }
  const Result<Url> url = parse_url("http://" + address);
  if (!url) return std::nullopt;
  return socket_address(*url);
}

// When a member is to be probed, clients may have taken all descriptors.
Prober::Prober() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CONCLAVE_CHECK(wake_fd_ >= 0, "no file descriptor is left to wake a thread with");
}

void Prober::probe(const SocketAddress& address, Done done) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  Probe probe;
  probe.address = address;
  probe.done = std::move(done);
  probe.tries_left = kTries;
  new_.push_back(std::move(probe));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  eventfd_write(wake_fd_, 1);
}

void Prober::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (wake_fd_ >= 0) eventfd_write(wake_fd_, 1);
  }
  if (thread_.joinable()) thread_.join();
  for (Probe& probe : probes_) close_fd(probe.fd);
  probes_.clear();
  new_.clear();
  close_fd(wake_fd_);
}

void Prober::run() {
  while (true) {
    take_new();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    wait();
    for (std::size_t i = 0; i < probes_.size();) {
      const Outcome outcome = look(probes_[i]);
      if (outcome == Outcome::pending) {
        ++i;
        continue;
      }
      close_fd(probes_[i].fd);
      const Done done = std::move(probes_[i].done);
      probes_.erase(probes_.begin() + static_cast<std::ptrdiff_t>(i));
      done(outcome == Outcome::refused);
    }
  }
}

void Prober::take_new() {
  std::vector<Probe> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(new_);
  }
  for (Probe& probe : taken) {
    const Outcome outcome = connect(probe);
    if (outcome == Outcome::pending) {
      probes_.push_back(std::move(probe));
    } else {
      close_fd(probe.fd);
      probe.done(outcome == Outcome::refused);
    }
  }
}

void Prober::wait() {
  std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}};
  Clock::time_point until = Clock::now() + std::chrono::hours(1);
  for (const Probe& probe : probes_) {
    fds.push_back({probe.fd, static_cast<short>(probe.is_connected ? POLLIN : POLLOUT), 0});
    until = std::min(until, probe.deadline);
  }
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(wait, 0)));
  eventfd_t ignored = 0;
  eventfd_read(wake_fd_, &ignored);
}

Prober::Outcome Prober::connect(Probe& probe) {
  close_fd(probe.fd);
  if (probe.tries_left-- == 0) return Outcome::not_refused;
  probe.is_connected = false;
  probe.deadline = Clock::now() + kConnectTime;
  probe.fd = socket(probe.address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe.fd < 0) return Outcome::not_refused;
  const auto* address = reinterpret_cast<const sockaddr*>(&probe.address.storage);
  if (::connect(probe.fd, address, probe.address.size) == 0 || errno == EINPROGRESS) {
    return Outcome::pending;
  }
  return errno == ECONNREFUSED ? Outcome::refused : Outcome::not_refused;
}

Prober::Outcome Prober::look(Probe& probe) {
  pollfd polled{probe.fd, static_cast<short>(probe.is_connected ? POLLIN : POLLOUT), 0};
  if (poll(&polled, 1, 0) <= 0 || polled.revents == 0) {
    return Clock::now() < probe.deadline ? Outcome::pending : Outcome::not_refused;
  }
  if (probe.is_connected) {
    char byte = 0;
    const bool is_alive = recv(probe.fd, &byte, 1, MSG_DONTWAIT) > 0;
    return is_alive ? Outcome::not_refused : connect(probe);
  }
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(probe.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == ECONNREFUSED) return Outcome::refused;
  if (error != 0) return Outcome::not_refused;
  probe.is_connected = true;
  probe.deadline = Clock::now() + kHangUpTime;
  return Outcome::pending;
}

}  // namespace conclave::transport
