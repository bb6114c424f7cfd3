#include "conclave/bench/server_cluster.h"

#include <algorithm>
#include <set>

namespace conclave::bench {
namespace {

// A port that was free a moment ago may be drawn twice.
std::uint16_t fresh_port(std::set<std::uint16_t>& drawn) {
  while (true) {
    const std::uint16_t port = test::free_port();
    if (drawn.insert(port).second) return port;
  }
}

}  // namespace

ServerCluster::ServerCluster(const ServerProgram& program, const std::filesystem::path& parent,
                             std::size_t members) {
  std::set<std::uint16_t> drawn;
  std::vector<MemberAddress> addresses;
  std::string initial_cluster;
  for (std::size_t i = 0; i < members; ++i) {
    addresses.push_back({"bench" + std::to_string(i), fresh_port(drawn), fresh_port(drawn)});
    if (i > 0) initial_cluster += ',';
    initial_cluster += addresses.back().name + '=' + addresses.back().peer_url();
  }
  for (const MemberAddress& address : addresses) {
    members_.push_back(std::make_unique<ServerProcess>(program, parent, address, initial_cluster));
  }
}

void ServerCluster::launch() {
  for (std::size_t i = 0; i < size(); ++i) launch(i);
}

void ServerCluster::restart_with(std::vector<std::string> flags) {
  for (const auto& member : members_) member->kill_hard();
  flags_ = std::move(flags);
  launch();
}

std::vector<pid_t> ServerCluster::pids() const {
  std::vector<pid_t> pids;
  for (const auto& member : members_) pids.push_back(member->pid());
  return pids;
}

bool ServerCluster::has_ended() {
  return std::ranges::any_of(members_, [](const auto& member) { return member->has_ended(); });
}

std::string ServerCluster::last_words() const {
  std::string words;
  for (const auto& member : members_) words += member->last_words();
  return words;
}

}  // namespace conclave::bench
