#include "tests/sim/network.h"

#include <algorithm>

namespace conclave::sim {

void SimNetwork::send(raft::NodeId from, raft::NodeId to, std::uint64_t data_incarnation,
                      std::string bytes) {
  if (!is_open(from, to) || unlucky(weather_.lost)) {
    if (world_.chance(1, 2)) report_loss(from, to);
    return;
  }
  if (unlucky(weather_.doubled)) put_on_link({from, to}, data_incarnation, bytes);
  put_on_link({from, to}, data_incarnation, std::move(bytes));
}

void SimNetwork::put_on_link(Link link, std::uint64_t data_incarnation, std::string bytes) {
  Instant arrival = world_.now() + usual_delay();
  if (unlucky(weather_.delayed)) arrival += world_.between(Duration(0), weather_.delay_max);
  if (unlucky(weather_.overtaken)) {
    arrival += world_.between(Duration(0), std::chrono::milliseconds(30));
  } else {
    Instant& last = last_arrival_[link];
    arrival = last = std::max(arrival, last);
  }
  world_.at(arrival, [this, link, data_incarnation, bytes = std::move(bytes)] {
    // What is under way when a link is cut is lost with it.
    if (is_open(link.first, link.second)) {
      deliver(link.first, link.second, data_incarnation, bytes);
    }
  });
}

}  // namespace conclave::sim
