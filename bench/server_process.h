#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/result.h"

#include "tests/support/fresh_directory.h"
#include "tests/support/process.h"

namespace conclave::bench {

struct ServerProgram {
  std::string name;  // as the tables call it
  std::string path;
  std::vector<std::string> flags;  // beyond those that every server gets
};

// A server with etcd's flags, alone in its cluster, on free ports of this machine and in a
// directory of its own, which goes with the object. Both syncing their writes, nothing compacted
// unless asked for, a quota that no workload reaches, errors in the log only.
class ServerProcess {
 public:
  ServerProcess(ServerProgram program, const std::filesystem::path& parent);

  // Starts it; returns at once. Call again after kill_hard() to start on the same data.
  void launch();
  // As a power cut is for the process: no chance to say goodbye.
  void kill_hard();

  const std::string& name() const { return program_.name; }
  std::uint16_t port() const { return client_port_; }
  pid_t pid() const { return process_->pid(); }
  bool has_ended() { return process_->poll().has_value(); }
  // The end of what it wrote to its log.
  std::string last_words() const;

 private:
  ServerProgram program_;
  test::FreshDirectory directory_;
  std::uint16_t client_port_;
  std::uint16_t peer_port_;
  std::unique_ptr<test::Process> process_;
};

}  // namespace conclave::bench
