#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace conclave::listener {

// Joins replies on their way out. gRPC hands every reply to the system by itself, and a packet for
// each costs more than all else that is done for a small one; a connection that is corked (tcp(7),
// TCP_CORK) collects them instead.
//
// Caveats: corking has its price, too, so it is done only when there are replies enough for every
// open connection, be they for few of these. The connections are gRPC's, which does not tell when
// it closes one: a number that has been used again may be corked with the others, for as long,
// which does it no harm.
//
// Threads: any. Where two Helds live at a time, the end of one lets go of what the other collects.
class Corks {
 public:
  // A connection that was just accepted.
  void add(int connection);

  // How many are known; among them are some that have been closed meanwhile.
  std::size_t open() const;

  // Ends every connection, whatever is being written to it. For when all are to end: a number that
  // has just been used again may be hit.
  void cut_all();

  // Lets `replies` that are sent during its life leave together, if that is worth it.
  class Held {
   public:
    Held(Corks& corks, std::size_t replies) : corked_(corks.cork(replies)) {}
    ~Held();
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    const std::vector<int> corked_;
  };

 private:
  struct Connection {
    int fd;
    std::uint64_t cookie;  // the system's name of the socket, never used again
  };

  std::vector<int> cork(std::size_t replies);
  void forget_closed();  // some of them; mutex_ must be held

  mutable std::mutex mutex_;
  std::vector<Connection> connections_;
  std::size_t looked_at_ = 0;
};

}  // namespace conclave::listener
