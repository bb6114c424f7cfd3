#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "conclave/raft/types.h"

#include "tests/sim/trace.h"
#include "tests/support/sim_world.h"

namespace conclave::sim {

// What the network between members does to a message. Chances are in thousandths.
struct Weather {
  std::uint64_t lost = 0;
  std::uint64_t doubled = 0;
  std::uint64_t overtaken = 0;  // leaves the order of its link
  std::uint64_t delayed = 0;    // by up to `delay_max`
  Duration delay_max{};
  std::uint64_t broken = 0;   // streams, at each of their pieces
  std::uint64_t damaged = 0;  // pieces of streams
};

// One-way links between members. A link keeps the order of its messages, but for those that the
// weather picks out.
class SimNetwork {
 public:
  SimNetwork(World& world, Trace& trace) : world_(world), trace_(trace) {}

  // Who takes a message from the network; `data_incarnation` is the sender's.
  std::function<void(raft::NodeId from, raft::NodeId to, std::uint64_t data_incarnation,
                     const std::string& bytes)>
      deliver;
  // The sender learns, or suspects, that a message is lost.
  std::function<void(raft::NodeId from, raft::NodeId to)> report_loss;

  void send(raft::NodeId from, raft::NodeId to, std::uint64_t data_incarnation, std::string bytes);

  void set_weather(Weather weather) { weather_ = weather; }
  void cut(raft::NodeId from, raft::NodeId to) { cut_.insert({from, to}); }
  void join(raft::NodeId from, raft::NodeId to) { cut_.erase({from, to}); }
  void join_all() { cut_.clear(); }
  bool breaks_stream() { return unlucky(weather_.broken); }
  bool damages_piece() { return unlucky(weather_.damaged); }
  // Nothing is cut, and nothing befalls a message.
  bool is_calm() const {
    return cut_.empty() &&
           weather_.lost + weather_.doubled + weather_.overtaken + weather_.delayed == 0;
  }
  bool is_open(raft::NodeId from, raft::NodeId to) const { return !cut_.contains({from, to}); }
  // Of one message or piece of a stream, without the weather.
  Duration usual_delay() {
    return world_.between(std::chrono::microseconds(100), std::chrono::microseconds(600));
  }

 private:
  using Link = std::pair<raft::NodeId, raft::NodeId>;

  void put_on_link(Link link, std::uint64_t data_incarnation, std::string bytes);
  bool unlucky(std::uint64_t thousandths) {
    return thousandths != 0 && world_.chance(thousandths, 1000);
  }

  World& world_;
  Trace& trace_;
  Weather weather_;
  std::set<Link> cut_;
  std::map<Link, Instant> last_arrival_;
};

}  // namespace conclave::sim
