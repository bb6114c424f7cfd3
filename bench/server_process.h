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

// How a member is called, and its ports of this machine.
struct MemberAddress {
  std::string name;
  std::uint16_t client_port = 0;
  std::uint16_t peer_port = 0;

  std::string peer_url() const { return "http://127.0.0.1:" + std::to_string(peer_port); }
};

// A server with etcd's flags, a member of a cluster or alone in one, in a directory of its own,
// which goes with the object. Syncing its writes, nothing compacted unless asked for, a quota that
// no workload reaches, errors in the log only.
class ServerProcess {
 public:
  // `initial_cluster` is the flag of that name, with this member in it.
  ServerProcess(ServerProgram program, const std::filesystem::path& parent, MemberAddress address,
                std::string initial_cluster);

  // Starts it; returns at once. Call again after kill_hard() to start on the same data.
  // `more_flags` are of this run alone.
  void launch(const std::vector<std::string>& more_flags = {});
  // As a power cut is for the process: no chance to say goodbye. Returns when it is gone.
  void kill_hard();
  // The same, without waiting for it: kill_hard() must follow before it is launched again.
  void begin_kill() { signal(SIGKILL); }
  // SIGSTOP; returns when it stands still.
  void pause();
  void resume() { signal(SIGCONT); }

  const std::string& name() const { return program_.name; }
  std::uint16_t port() const { return address_.client_port; }
  pid_t pid() const { return process_->pid(); }
  bool has_ended() { return process_->poll().has_value(); }
  // The end of what it wrote to its log.
  std::string last_words() const;

 private:
  // Nothing if it has ended: its number may be another process's by now.
  void signal(int number);

  ServerProgram program_;
  test::FreshDirectory directory_;
  const MemberAddress address_;
  const std::string initial_cluster_;
  std::unique_ptr<test::Process> process_;
};

}  // namespace conclave::bench
