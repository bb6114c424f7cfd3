#pragma once

#include <sys/types.h>

namespace conclave::cli {

// Lends the terminal on standard input, if there is one and this job has it, to the command's
// process group, so that the command can read from it and hears ^C and ^Z itself; gives it back
// afterwards.
//
// The calling thread must block or ignore SIGTTOU, because it acts from the background.
class TerminalLoan {
 public:
  // `job` is the process group that the shell knows.
  explicit TerminalLoan(pid_t job) : job_(job) {}

  void lend_to(pid_t command_group);
  void take_back(pid_t command_group);

 private:
  pid_t job_;
};

}  // namespace conclave::cli
