#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/wait.h>

#include "tests/support/process.h"

namespace conclave::test {

// How a process ended, as a shell says it, and all that it wrote.
struct Ended {
  int status = 0;
  std::string output;
};

// Runs this build's `conclave` to its end, in a directory of its own.
class Command {
 public:
  Ended run(std::vector<std::string> words) {
    words.insert(words.begin(), CONCLAVE_BIN_DIR "/conclave");
    Process process(std::move(words), directory_.path() / ("out-" + std::to_string(++runs_)));
    const int status = process.wait();
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), process.output()};
  }

 private:
  TempDir directory_;
  int runs_ = 0;
};

}  // namespace conclave::test
