#include "conclave/base/acceptor.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conclave/base/check.h"

namespace conclave {
namespace {

constexpr int kExhaustedPauseMs = 100;

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const Url& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found) != 0) {
    found = nullptr;
  }
  return {found, &freeaddrinfo};
}

void turn_on(int fd, int level, int option, int on = 1) {
  setsockopt(fd, level, option, &on, sizeof(on));
}

// A socket that has the port, or minus the errno.
int bind_to(const addrinfo& address, std::uint16_t port, bool is_only_one) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
  // Connections inherit it.
  turn_on(fd, IPPROTO_TCP, TCP_NODELAY);
  auto* const any = address.ai_addr;
  if (address.ai_family == AF_INET6) {
    turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_only_one ? 0 : 1);
    reinterpret_cast<sockaddr_in6*>(any)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(any)->sin_port = htons(port);
  }
  if (bind(fd, any, address.ai_addrlen) == 0) return fd;
  const int why = errno;
  close(fd);
  return -why;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::bind(const Url& url, int descriptors_left) {
  std::unique_ptr<Acceptor> acceptor(new Acceptor(url, descriptors_left));
  if (Result<void> bound = acceptor->bind_all(); !bound) return bound.error();
  return acceptor;
}

Acceptor::~Acceptor() {
  stop();
}

Result<void> Acceptor::bind_all() {
  const Addresses addresses = resolve(url_);
  int why = EADDRNOTAVAIL;
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const bool is_only_one = addresses->ai_next == nullptr;
    const int fd = bind_to(*address, url_.port, is_only_one);
    if (fd >= 0) {
      listeners_.push_back(fd);
      url_.port = port_of(fd);
      continue;
    }
    why = -fd;
    // A name may stand for an address family that this machine has not; in use is in use.
    if (why == EADDRINUSE || why == EACCES) {
      stop();
      break;
    }
  }
  if (!listeners_.empty()) return {};
  return failure(why);
}

Error Acceptor::failure(int why) const {
  return {Errc::io,
          "cannot listen on " + url_.text() + ": " + std::generic_category().message(why)};
}

Result<void> Acceptor::start(Take take) {
  for (const int listener : listeners_) {
    if (listen(listener, SOMAXCONN) != 0) return failure(errno);
  }
  stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  CONCLAVE_CHECK(stop_fd_ >= 0, "no file descriptor is left to stop a thread with");
  thread_ = std::thread([this, take = std::move(take)] { run(take); });
  return {};
}

void Acceptor::stop() {
  if (thread_.joinable()) {
    eventfd_write(stop_fd_, 1);
    thread_.join();
    close(std::exchange(stop_fd_, -1));
  }
  for (const int listener : std::exchange(listeners_, {})) close(listener);
}

void Acceptor::run(const Take& take) const {
  std::vector<pollfd> polled{{stop_fd_, POLLIN, 0}};
  for (const int listener : listeners_) polled.push_back({listener, POLLIN, 0});
  while (true) {
    poll(polled.data(), polled.size(), -1);
    if (polled.front().revents != 0) return;
    bool exhausted = false;
    for (std::size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0) accept_all(polled[i].fd, take, exhausted);
    }
    // Who waits makes the listener readable; this thread must not spin until a descriptor is free.
    if (exhausted && poll(polled.data(), 1, kExhaustedPauseMs) > 0) return;
  }
}

// By the lowest number that is free: above it there is nothing but what is left for others.
bool Acceptor::has_room(int listener) const {
  if (descriptors_left_ == 0) return true;
  const int lowest = fcntl(listener, F_DUPFD_CLOEXEC, 0);
  if (lowest < 0) return false;
  close(lowest);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
  const auto left = std::min<rlim_t>(static_cast<rlim_t>(descriptors_left_), limit.rlim_cur / 4);
  return static_cast<rlim_t>(lowest) + left < limit.rlim_cur;
}

void Acceptor::accept_all(int listener, const Take& take, bool& exhausted) const {
  while (true) {
    if (!has_room(listener)) {
      exhausted = true;
      return;
    }
    const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection >= 0) {
      take(listener, connection);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    exhausted =
        exhausted || errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    return;
  }
}

}  // namespace conclave
