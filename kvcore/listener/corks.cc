#include "conclave/listener/corks.h"

#include <algorithm>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace conclave::listener {
namespace {

// Below two replies a connection there is nothing to join.
constexpr std::size_t kRepliesPerConnection = 2;

// More than one for every connection that comes, so the closed ones never become many.
constexpr int kLooksAtOnce = 2;

// 0: no socket.
std::uint64_t cookie_of(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

void set_cork(int fd, int on) {
  setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

}  // namespace

void Corks::add(int connection) {
  const std::lock_guard guard(mutex_);
  forget_closed();
  connections_.push_back({connection, cookie_of(connection)});
}

std::size_t Corks::open() const {
  const std::lock_guard guard(mutex_);
  return connections_.size();
}

void Corks::cut_all() {
  const std::lock_guard guard(mutex_);
  for (const Connection& connection : connections_) {
    if (connection.cookie != 0 && cookie_of(connection.fd) == connection.cookie) {
      ::shutdown(connection.fd, SHUT_RDWR);
    }
  }
}

std::vector<int> Corks::cork(std::size_t replies) {
  std::vector<int> corked;
  if (replies < kRepliesPerConnection) return corked;
  const std::lock_guard guard(mutex_);
  forget_closed();
  if (replies < kRepliesPerConnection * connections_.size()) return corked;
  corked.reserve(connections_.size());
  for (const Connection& connection : connections_) {
    corked.push_back(connection.fd);
    set_cork(connection.fd, 1);
  }
  return corked;
}

Corks::Held::~Held() {
  for (const int fd : corked_) set_cork(fd, 0);
}

void Corks::forget_closed() {
  for (int i = 0; i < kLooksAtOnce && !connections_.empty(); ++i) {
    looked_at_ = looked_at_ + 1 < connections_.size() ? looked_at_ + 1 : 0;
    Connection& connection = connections_[looked_at_];
    if (connection.cookie != 0 && cookie_of(connection.fd) == connection.cookie) continue;
    connection = connections_.back();
    connections_.pop_back();
  }
}

}  // namespace conclave::listener
