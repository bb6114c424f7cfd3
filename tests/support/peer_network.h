#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "tests/support/member_network.h"

namespace conclave::test {

// The wires between the members of a cluster of processes on this machine. Each member has a port
// here that it gives out as its own; what comes there is handed on, byte by byte, to where it
// really listens. Each wire, from one member to another, can be cut.
//
// Caveats. All members call from one address, so who calls is found by the process that has the
// connection's other end open; a connection that nobody of them has is closed. A wire carries the
// connections that `from` has opened to `to`, with what is answered on them: where each member
// dials the others for what it has to say, that is one direction.
//
// Threads: one of its own moves the bytes; the methods may be called from any. When set() returns,
// not one more byte passes a wire that is cut; what had passed before may still have to be read.
class PeerNetwork final : public MemberNetwork {
 public:
  enum class Wire : std::uint8_t {
    whole,
    stalled,  // no byte passes, all connections stay, and what waits goes on once it is whole again
    broken,   // connections are reset as soon as they are there
  };

  PeerNetwork();
  ~PeerNetwork() override;
  PeerNetwork(const PeerNetwork&) = delete;
  PeerNetwork& operator=(const PeerNetwork&) = delete;

  std::uint16_t add(std::uint16_t port) override;
  void started(std::size_t member, pid_t process) override;

  void set(std::size_t from, std::size_t to, Wire wire);
  // All wires between the member and the others, both ways.
  void isolate(std::size_t member, Wire wire);
  // From now on connections to the member are refused, as if no process were there; those that
  // others had to it are reset.
  void refuse(std::size_t member);
  // All wires are whole, and nobody is refused.
  void heal();

 private:
  // One direction of a connection.
  struct Flow {
    std::string waiting;
    bool ended = false;  // nothing more comes
    bool told = false;   // and who reads knows
  };
  struct Connection {
    int dialler_fd = -1;
    int target_fd = -1;  // -1: not connected yet
    std::size_t from = 0;
    std::size_t to = 0;
    Flow there;
    Flow back;
  };
  struct Member {
    int listener_fd = -1;  // -1: refuses
    std::uint16_t port = 0;
    std::uint16_t real_port = 0;
    pid_t process = 0;
  };

  void run();
  bool wait();
  void accept_all();
  std::optional<std::size_t> dialler_of(int fd, std::uint16_t port) const;
  bool move(Connection& connection);
  Wire wire(std::size_t from, std::size_t to) const;
  void wake() const;
  static void listen(Member& member);
  static bool pump(int from_fd, int to_fd, Flow& flow);
  static void reset(Connection& connection);

  const int wake_fd_;
  mutable std::mutex mutex_;  // guards what follows
  bool stopping_ = false;
  std::vector<Member> members_;
  std::map<std::pair<std::size_t, std::size_t>, Wire> cut_;  // those that are not whole
  std::list<Connection> connections_;

  std::thread thread_;
};

}  // namespace conclave::test
