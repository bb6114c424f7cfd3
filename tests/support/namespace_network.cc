#include "tests/support/namespace_network.h"

#include <sched.h>

#include "conclave/base/check.h"

namespace conclave::test {
namespace {

constexpr const char* kBridge = "between";

std::filesystem::path namespace_of(pid_t process) {
  std::error_code gone;
  return std::filesystem::read_symlink("/proc/" + std::to_string(process) + "/ns/net", gone);
}

}  // namespace

std::unique_ptr<NamespaceNetwork> NamespaceNetwork::make(std::size_t members) {
  if (unshare(CLONE_NEWNET) != 0) return nullptr;
  std::unique_ptr<NamespaceNetwork> network(new NamespaceNetwork());
  bool made = network->run({"ip", "link", "set", "lo", "up"}) &&
              network->run({"ip", "link", "add", kBridge, "type", "bridge"}) &&
              network->run({"ip", "address", "add", "10.77.0.254/24", "dev", kBridge}) &&
              network->run({"ip", "link", "set", kBridge, "up"});
  for (std::size_t i = 0; i < members && made; ++i) made = network->add_host(i);
  return made ? std::move(network) : nullptr;
}

bool NamespaceNetwork::add_host(std::size_t member) {
  holders_.push_back(std::make_unique<Process>(
      std::vector<std::string>{"/usr/bin/env", "unshare", "--net", "sleep", "infinity"},
      scratch_.path() / ("holder-" + std::to_string(member))));
  const pid_t holder = holders_.back()->pid();
  const std::filesystem::path own = namespace_of(getpid());
  const auto is_apart = [&] { return namespace_of(holder) != own; };
  if (!wait_until([&] { return is_apart() || holders_.back()->poll(); }) || !is_apart()) {
    return false;
  }
  const std::string port = "port" + std::to_string(member);
  return run({"ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns",
              std::to_string(holder)}) &&
         run({"ip", "link", "set", port, "master", kBridge, "up"}) &&
         run_in(member, {"ip", "address", "add", host(member) + "/24", "dev", "eth0"}) &&
         run_in(member, {"ip", "link", "set", "eth0", "up"}) &&
         run_in(member, {"ip", "link", "set", "lo", "up"});
}

bool NamespaceNetwork::run(std::vector<std::string> words) {
  words.insert(words.begin(), "/usr/bin/env");
  Process process(std::move(words), scratch_.path() / ("run-" + std::to_string(++runs_)));
  const int status = process.wait();
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool NamespaceNetwork::run_in(std::size_t member, std::vector<std::string> words) {
  std::vector<std::string> all{"nsenter", "--net", "--target",
                               std::to_string(holders_.at(member)->pid())};
  all.insert(all.end(), words.begin(), words.end());
  return run(std::move(all));
}

std::string NamespaceNetwork::host(std::size_t member) const {
  return "10.77.0." + std::to_string(member + 1);
}

std::vector<std::string> NamespaceNetwork::starter(std::size_t member) const {
  return {"/usr/bin/env", "nsenter", "--net", "--target",
          std::to_string(holders_.at(member)->pid())};
}

void NamespaceNetwork::cut(std::size_t from, std::size_t to) {
  if (!cut_.emplace(from, to).second) return;
  CONCLAVE_CHECK(run_in(from, {"ip", "route", "add", "blackhole", host(to) + "/32"}),
                 "a member cannot be cut off");
}

void NamespaceNetwork::heal() {
  for (const auto& [from, to] : cut_) {
    CONCLAVE_CHECK(run_in(from, {"ip", "route", "delete", "blackhole", host(to) + "/32"}),
                   "a member cannot be let in again");
  }
  cut_.clear();
}

}  // namespace conclave::test
