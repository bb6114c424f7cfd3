#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "conclave/base/result.h"
#include "conclave/master_slave/descriptor.h"
#include "conclave/master_slave/lines.h"

namespace master_slave {

// A process that ends with this object, and with this process however that ends.
//
// Threads: start() must be called by a thread that lives as long as the child should: Linux counts
// the death of that thread as the death of the parent.
class Child {
 public:
  // Runs `command` with its standard error in the file `log`. Its standard output is read with
  // read_lines(). Errors: io. That the program cannot be run shows as its end, with status 127.
  static conclave::Result<Child> start(std::string name, const std::vector<std::string>& command,
                                       const std::filesystem::path& log);

  Child(Child&&) noexcept;
  Child& operator=(Child&&) = delete;
  // Kills it and waits for its end.
  ~Child();

  const std::string& name() const { return name_; }
  int output() const { return output_.get(); }
  // What has come since the last call; does not block.
  std::vector<std::string> read_lines();

  void signal(int number) const;
  // SIGSTOP; returns when it has taken effect.
  void pause();
  // False once it has ended.
  bool is_running();

 private:
  Child(std::string name, pid_t pid, Descriptor output)
      : name_(std::move(name)), pid_(pid), output_(std::move(output)) {}

  std::string name_;
  pid_t pid_;  // 0: ended and waited for, or moved away
  Descriptor output_;
  LineBuffer lines_;
};

}  // namespace master_slave
