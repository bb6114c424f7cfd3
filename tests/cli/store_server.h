#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace conclave::test {

// The store that the command is tried against: the etcd that the distribution packages or, if
// CONCLAVE_TEST_SERVER names another program with etcd's flags, that.
inline std::string server_binary() {
  const char* named = std::getenv("CONCLAVE_TEST_SERVER");  // NOLINT(concurrency-mt-unsafe)
  return named != nullptr && *named != '\0' ? named : CONCLAVE_PEERS_DIR "/etcd";
}
inline std::string etcdctl_binary() {
  return CONCLAVE_PEERS_DIR "/etcdctl";
}

// One server on free ports, in a fresh directory; gone with the object.
class StoreServer {
 public:
  StoreServer() {
    const auto url = [](std::uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); };
    const std::uint16_t port = free_port();
    const std::string client = url(port);
    const std::string peer = url(free_port());
    endpoint_ = "127.0.0.1:" + std::to_string(port);
    process_ = std::make_unique<Process>(
        std::vector<std::string>{
            server_binary(), "--data-dir", (directory_.path() / "data"), "--name", "one",
            "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls",
            peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "one=" + peer},
        directory_.path() / "server.log");
  }
  const std::string& endpoint() const { return endpoint_; }
  void kill(int signal) { process_->kill(signal); }
  std::string log() const { return process_->output(); }

 private:
  TempDir directory_;
  std::string endpoint_;
  std::unique_ptr<Process> process_;
};

}  // namespace conclave::test
