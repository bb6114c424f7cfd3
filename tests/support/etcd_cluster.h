#pragma once

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace conclave::test {

// The etcd that CMake's CONCLAVE_PEERS_DIR names or, if the environment's CONCLAVE_TEST_SERVER
// names another program with etcd's flags, that; "" if there is none.
inline std::string etcd_binary(const std::string& peers_dir) {
  // Tests read the environment before they start a thread. NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (const char* named = std::getenv("CONCLAVE_TEST_SERVER")) return named;
  const std::filesystem::path path = std::filesystem::path(peers_dir) / "etcd";
  return std::filesystem::exists(path) ? path.string() : std::string();
}

// How many members the environment's CONCLAVE_TEST_MEMBERS asks for, where it makes no difference
// to a test; 1 if it says nothing.
inline int cluster_size() {
  // As above. NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* asked = std::getenv("CONCLAVE_TEST_MEMBERS");
  return asked != nullptr ? std::max(1, std::atoi(asked)) : 1;
}

// Processes of a real etcd on free ports of this machine, their data in a directory of its own.
// Each member can be killed, stopped, continued and started again.
class EtcdCluster {
 public:
  // `flags` go to every member; a --cert-file among them makes the client URLs https.
  EtcdCluster(std::string binary, int members, std::vector<std::string> flags = {})
      : binary_(std::move(binary)), flags_(std::move(flags)) {
    const bool tls = std::ranges::find(flags_, "--cert-file") != flags_.end();
    for (int i = 0; i < members; ++i) {
      Member member;
      member.name = "m" + std::to_string(i);
      member.client_url =
          (tls ? "https" : "http") + std::string("://127.0.0.1:") + std::to_string(free_port());
      member.peer_url = "http://127.0.0.1:" + std::to_string(free_port());
      if (i > 0) initial_cluster_ += ",";
      initial_cluster_ += member.name + "=" + member.peer_url;
      members_.push_back(std::move(member));
    }
    for (std::size_t i = 0; i < members_.size(); ++i) start(i);
  }

  std::size_t size() const { return members_.size(); }
  std::vector<std::string> endpoints() const {
    std::vector<std::string> out;
    for (const Member& member : members_) out.push_back(member.client_url);
    return out;
  }

  void start(std::size_t index) {
    Member& member = members_.at(index);
    const std::filesystem::path data = directory_.path() / member.name;
    std::vector<std::string> arguments{binary_,           "--name",
                                       member.name,       "--data-dir",
                                       data.string(),     "--listen-client-urls",
                                       member.client_url, "--advertise-client-urls",
                                       member.client_url, "--listen-peer-urls",
                                       member.peer_url,   "--initial-advertise-peer-urls",
                                       member.peer_url,   "--initial-cluster",
                                       initial_cluster_};
    arguments.insert(arguments.end(), flags_.begin(), flags_.end());
    member.process =
        std::make_unique<Process>(std::move(arguments), directory_.path() / (member.name + ".log"));
  }
  void kill(std::size_t index) { members_.at(index).process.reset(); }
  bool runs(std::size_t index) const { return members_.at(index).process != nullptr; }
  void pause(std::size_t index) { members_.at(index).process->pause(); }
  void resume(std::size_t index) { members_.at(index).process->kill(SIGCONT); }

  std::string log(std::size_t index) const { return members_.at(index).process->output(); }

 private:
  struct Member {
    std::string name;
    std::string client_url;
    std::string peer_url;
    std::unique_ptr<Process> process;
  };

  std::string binary_;
  std::vector<std::string> flags_;
  std::string initial_cluster_;
  TempDir directory_;
  std::vector<Member> members_;
};

}  // namespace conclave::test
