#include "tests/support/peer_network.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conclave/base/check.h"

namespace conclave::test {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;

int make_socket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  CONCLAVE_CHECK(fd >= 0, "no socket can be made");
  return fd;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

void close_fd(int& fd) {
  if (fd >= 0) close(std::exchange(fd, -1));
}

void reset_fd(int& fd) {
  const linger at_once{1, 0};
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close_fd(fd);
}

std::uint16_t port_of(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return 0;
  return static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1), nullptr, 16));
}

// The kernel's number of the socket that has these two ports on this machine. "": there is none.
std::string inode_of(std::uint16_t own_port, std::uint16_t other_port) {
  for (const char* list : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(list);
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::vector<std::string> all;
      for (std::string word; words >> word;) all.push_back(word);
      constexpr std::size_t kOwn = 1;
      constexpr std::size_t kOther = 2;
      constexpr std::size_t kInode = 9;
      if (all.size() <= kInode || port_of(all[kOwn]) != own_port) continue;
      if (port_of(all[kOther]) == other_port) return all[kInode];
    }
  }
  return "";
}

bool has_open(pid_t process, const std::string& inode) {
  std::error_code error;
  const std::string wanted = "socket:[" + inode + "]";
  const std::string files = "/proc/" + std::to_string(process) + "/fd";
  for (auto at = std::filesystem::directory_iterator(files, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::error_code gone;
    if (std::filesystem::read_symlink(at->path(), gone) == wanted) return true;
  }
  return false;
}

}  // namespace

PeerNetwork::PeerNetwork() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CONCLAVE_CHECK(wake_fd_ >= 0, "eventfd");
  thread_ = std::thread([this] { run(); });
}

PeerNetwork::~PeerNetwork() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
  for (Connection& connection : connections_) reset(connection);
  for (Member& member : members_) close_fd(member.listener_fd);
  close(wake_fd_);
}

void PeerNetwork::wake() const {
  eventfd_write(wake_fd_, 1);
}

// On the port that it had before, if it had one.
void PeerNetwork::listen(Member& member) {
  member.listener_fd = make_socket();
  const int yes = 1;
  setsockopt(member.listener_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  sockaddr_in address = loopback(member.port);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CONCLAVE_CHECK(bind(member.listener_fd, generic, size) == 0 &&
                     ::listen(member.listener_fd, SOMAXCONN) == 0 &&
                     getsockname(member.listener_fd, generic, &size) == 0,
                 "a member's port cannot be listened at");
  member.port = ntohs(address.sin_port);
}

std::uint16_t PeerNetwork::add(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  Member& member = members_.emplace_back();
  member.real_port = port;
  listen(member);
  wake();
  return member.port;
}

void PeerNetwork::started(std::size_t member, pid_t process) {
  const std::lock_guard lock(mutex_);
  members_.at(member).process = process;
}

void PeerNetwork::set(std::size_t from, std::size_t to, Wire wire) {
  const std::lock_guard lock(mutex_);
  cut_[{from, to}] = wire;
  wake();
}

void PeerNetwork::isolate(std::size_t member, Wire wire) {
  const std::lock_guard lock(mutex_);
  for (std::size_t other = 0; other < members_.size(); ++other) {
    if (other != member) cut_[{member, other}] = cut_[{other, member}] = wire;
  }
  wake();
}

void PeerNetwork::refuse(std::size_t member) {
  const std::lock_guard lock(mutex_);
  close_fd(members_.at(member).listener_fd);
  for (Connection& connection : connections_) {
    if (connection.to == member) reset(connection);
  }
  wake();
}

void PeerNetwork::heal() {
  const std::lock_guard lock(mutex_);
  cut_.clear();
  for (Member& member : members_) {
    if (member.listener_fd < 0) listen(member);
  }
  wake();
}

PeerNetwork::Wire PeerNetwork::wire(std::size_t from, std::size_t to) const {
  const auto found = cut_.find({from, to});
  return found == cut_.end() ? Wire::whole : found->second;
}

void PeerNetwork::run() {
  while (wait()) {
    const std::lock_guard lock(mutex_);
    accept_all();
    for (auto at = connections_.begin(); at != connections_.end();) {
      if (move(*at)) {
        ++at;
        continue;
      }
      reset(*at);
      at = connections_.erase(at);
    }
  }
}

// Until something can be done. False: it is over.
bool PeerNetwork::wait() {
  std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}};
  const auto watch = [&fds](int fd, const Flow& in, const Flow& out) {
    short events = 0;
    if (in.waiting.empty() && !in.ended) events |= POLLIN;
    if (!out.waiting.empty()) events |= POLLOUT;
    if (fd >= 0 && events != 0) fds.push_back({fd, events, 0});
  };
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    for (const Member& member : members_) {
      if (member.listener_fd >= 0) fds.push_back({member.listener_fd, POLLIN, 0});
    }
    for (const Connection& connection : connections_) {
      if (wire(connection.from, connection.to) == Wire::stalled) continue;
      watch(connection.dialler_fd, connection.there, connection.back);
      watch(connection.target_fd, connection.back, connection.there);
    }
  }
  poll(fds.data(), fds.size(), -1);
  eventfd_t ignored = 0;
  eventfd_read(wake_fd_, &ignored);
  return true;
}

void PeerNetwork::accept_all() {
  for (std::size_t to = 0; to < members_.size(); ++to) {
    const Member& member = members_[to];
    if (member.listener_fd < 0) continue;
    while (true) {
      int fd = accept4(member.listener_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) break;
      const std::optional<std::size_t> from = dialler_of(fd, member.port);
      if (!from) {
        reset_fd(fd);
        continue;
      }
      Connection& connection = connections_.emplace_back();
      connection.dialler_fd = fd;
      connection.from = *from;
      connection.to = to;
    }
  }
}

// The member that has the other end of a connection to `port` open.
std::optional<std::size_t> PeerNetwork::dialler_of(int fd, std::uint16_t port) const {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  const std::string inode = inode_of(ntohs(address.sin_port), port);
  if (inode.empty()) return std::nullopt;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].process != 0 && has_open(members_[i].process, inode)) return i;
  }
  return std::nullopt;
}

// As far as it goes without waiting. False: it is over.
bool PeerNetwork::move(Connection& connection) {
  if (connection.dialler_fd < 0) return false;
  const Wire wire = this->wire(connection.from, connection.to);
  if (wire == Wire::stalled) return true;
  if (wire == Wire::broken) return false;
  if (connection.target_fd < 0) {
    connection.target_fd = make_socket();
    const sockaddr_in address = loopback(members_[connection.to].real_port);
    const int rc =
        connect(connection.target_fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    if (rc != 0 && errno != EINPROGRESS) return false;
    const int yes = 1;
    setsockopt(connection.target_fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(connection.dialler_fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  }
  if (!pump(connection.dialler_fd, connection.target_fd, connection.there)) return false;
  if (!pump(connection.target_fd, connection.dialler_fd, connection.back)) return false;
  return !connection.there.told || !connection.back.told;
}

// False: the connection is broken.
bool PeerNetwork::pump(int from_fd, int to_fd, Flow& flow) {
  const auto may_wait = [] { return errno == EAGAIN || errno == EINTR; };
  while (true) {
    while (!flow.waiting.empty()) {
      const ssize_t sent = send(to_fd, flow.waiting.data(), flow.waiting.size(), MSG_NOSIGNAL);
      if (sent < 0) return may_wait();
      flow.waiting.erase(0, static_cast<std::size_t>(sent));
    }
    if (flow.ended) break;
    flow.waiting.resize(kPieceBytes);
    const ssize_t got = recv(from_fd, flow.waiting.data(), kPieceBytes, 0);
    flow.waiting.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got < 0) return may_wait();
    flow.ended = got == 0;
  }
  if (!flow.told) shutdown(to_fd, SHUT_WR);
  flow.told = true;
  return true;
}

void PeerNetwork::reset(Connection& connection) {
  reset_fd(connection.dialler_fd);
  reset_fd(connection.target_fd);
}

}  // namespace conclave::test
