#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/client/client.h"

#include "tests/support/process.h"

namespace conclave::test {

// One conclaved on a free port and a fresh directory; started, killed and started again as a test
// likes.
class ConclavedTest : public ::testing::Test {
 protected:
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  std::filesystem::path data_dir() const { return dir_.path() / "data"; }
  std::filesystem::path log_path() const { return dir_.path() / "conclaved.log"; }

  std::vector<std::string> command(const std::filesystem::path& data_dir) const {
    const std::string url = "http://" + endpoint();
    return {CONCLAVE_BIN_DIR "/conclaved",
            "--data-dir",
            data_dir.string(),
            "--listen-client-urls",
            url,
            "--advertise-client-urls",
            url,
            "--log-format",
            "console"};
  }

  void start() { start_in(data_dir()); }
  void start_in(const std::filesystem::path& data_dir) {
    server_ = std::make_unique<Process>(command(data_dir), log_path());
    ASSERT_TRUE(wait_until([this] { return answers() || server_->poll(); }));
    ASSERT_FALSE(server_->poll()) << server_->output();
  }
  void kill_server() {
    server_->kill(SIGKILL);
    server_->wait();
  }
  // Its exit status.
  int stop_server() {
    server_->kill(SIGTERM);
    const int status = server_->wait();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  Client connect() const {
    auto client = Client::connect({.endpoints = {endpoint()}});
    EXPECT_TRUE(client);
    return *std::move(client);
  }
  bool answers() const {
    return connect().get("any", {.timeout = std::chrono::milliseconds(200)}).has_value();
  }

  // Runs a program to its end; what it printed, and its exit status in `status`.
  std::string run(std::vector<std::string> arguments, int* status = nullptr) {
    const auto output = dir_.path() / ("out-" + std::to_string(++runs_));
    Process process(std::move(arguments), output);
    const int ended = process.wait();
    if (status != nullptr) *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128;
    return process.output();
  }
  std::string etcdctl(std::vector<std::string> arguments) {
    std::vector<std::string> all{"/usr/bin/env", "ETCDCTL_API=3", CONCLAVE_PEERS_DIR "/etcdctl",
                                 "--endpoints", endpoint()};
    for (std::string& argument : arguments) all.push_back(std::move(argument));
    return run(std::move(all));
  }

  TempDir dir_;
  const std::uint16_t port_ = free_port();
  std::unique_ptr<Process> server_;
  int runs_ = 0;
};

}  // namespace conclave::test
