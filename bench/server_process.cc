#include "conclave/bench/server_process.h"

namespace conclave::bench {
namespace {

constexpr std::size_t kLastWordsBytes = 2000;

}  // namespace

ServerProcess::ServerProcess(ServerProgram program, const std::filesystem::path& parent)
    : program_(std::move(program)),
      directory_(parent),
      client_port_(test::free_port()),
      peer_port_(test::free_port()) {}

void ServerProcess::launch() {
  const std::string client_url = "http://127.0.0.1:" + std::to_string(client_port_);
  const std::string peer_url = "http://127.0.0.1:" + std::to_string(peer_port_);
  const std::filesystem::path directory = directory_.path();
  std::vector<std::string> arguments{program_.path,
                                     "--name=bench",
                                     "--data-dir=" + (directory / "data").string(),
                                     "--listen-client-urls=" + client_url,
                                     "--advertise-client-urls=" + client_url,
                                     "--listen-peer-urls=" + peer_url,
                                     "--initial-advertise-peer-urls=" + peer_url,
                                     "--initial-cluster=bench=" + peer_url,
                                     "--quota-backend-bytes=8589934592",
                                     "--auto-compaction-retention=0",
                                     "--log-level=error"};
  arguments.insert(arguments.end(), program_.flags.begin(), program_.flags.end());
  process_ = std::make_unique<test::Process>(std::move(arguments), directory / "log");
}

void ServerProcess::kill_hard() {
  process_->kill(SIGKILL);
  process_->wait();
}

std::string ServerProcess::last_words() const {
  const std::string all = process_ ? process_->output() : "";
  return all.size() <= kLastWordsBytes ? all : all.substr(all.size() - kLastWordsBytes);
}

}  // namespace conclave::bench
