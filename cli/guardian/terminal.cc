#include "conclave/cli/guardian/terminal.h"

#include <unistd.h>

namespace conclave::cli {

void TerminalLoan::lend_to(pid_t command_group) {
  if (::tcgetpgrp(STDIN_FILENO) == job_) ::tcsetpgrp(STDIN_FILENO, command_group);
}

void TerminalLoan::take_back(pid_t command_group) {
  if (::tcgetpgrp(STDIN_FILENO) == command_group) ::tcsetpgrp(STDIN_FILENO, job_);
}

}  // namespace conclave::cli
