#include "conclave/bench/server_process.h"

namespace conclave::bench {
namespace {

constexpr std::size_t kLastWordsBytes = 2000;

}  // namespace

ServerProcess::ServerProcess(ServerProgram program, const std::filesystem::path& parent,
                             MemberAddress address, std::string initial_cluster)
    : program_(std::move(program)),
      directory_(parent),
      address_(std::move(address)),
      initial_cluster_(std::move(initial_cluster)) {}

void ServerProcess::launch(const std::vector<std::string>& more_flags) {
  const std::string client_url = "http://127.0.0.1:" + std::to_string(address_.client_port);
  const std::string peer_url = address_.peer_url();
  const std::filesystem::path directory = directory_.path();
  std::vector<std::string> arguments{program_.path,
                                     "--name=" + address_.name,
                                     "--data-dir=" + (directory / "data").string(),
                                     "--listen-client-urls=" + client_url,
                                     "--advertise-client-urls=" + client_url,
                                     "--listen-peer-urls=" + peer_url,
                                     "--initial-advertise-peer-urls=" + peer_url,
                                     "--initial-cluster=" + initial_cluster_,
                                     "--quota-backend-bytes=8589934592",
                                     "--auto-compaction-retention=0",
                                     "--log-level=error"};
  arguments.insert(arguments.end(), program_.flags.begin(), program_.flags.end());
  arguments.insert(arguments.end(), more_flags.begin(), more_flags.end());
  process_ = std::make_unique<test::Process>(std::move(arguments), directory / "log");
}

void ServerProcess::kill_hard() {
  signal(SIGKILL);
  process_->wait();
}

void ServerProcess::pause() {
  if (!has_ended()) process_->pause();
}

std::string ServerProcess::last_words() const {
  const std::string all = process_ ? process_->output() : "";
  return all.size() <= kLastWordsBytes ? all : all.substr(all.size() - kLastWordsBytes);
}

void ServerProcess::signal(int number) {
  if (!has_ended()) process_->kill(number);
}

}  // namespace conclave::bench
