#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "conclave/bench/server_process.h"

namespace conclave::bench {

// The members of one cluster, all of the same program, on free ports of this machine; one alone is
// a cluster too. Members end with the object, and their directories with them.
class ServerCluster {
 public:
  ServerCluster(const ServerProgram& program, const std::filesystem::path& parent,
                std::size_t members);

  // Starts all of them; returns at once. Also after restart_with(), whose flags stay.
  void launch();
  // Kills all, and starts them on the same data with these flags added to those of the program.
  void restart_with(std::vector<std::string> flags);
  // Starts one that was killed, with the flags of the others.
  void launch(std::size_t member) { (*this)[member].launch(flags_); }

  std::size_t size() const { return members_.size(); }
  ServerProcess& operator[](std::size_t member) { return *members_.at(member); }
  std::vector<pid_t> pids() const;
  // One at least.
  bool has_ended();
  // The ends of their logs.
  std::string last_words() const;

 private:
  std::vector<std::unique_ptr<ServerProcess>> members_;
  std::vector<std::string> flags_;
};

}  // namespace conclave::bench
