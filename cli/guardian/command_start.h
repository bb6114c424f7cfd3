#pragma once

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "conclave/cli/guardian/terminal.h"

namespace conclave::cli {

struct CommandStart {
  pid_t pid = -1;
  int error_number = 0;  // why it could not be run; then no process is left
};

// Forks and runs `command` (looked up in PATH) in a process group of its own, with `signals` as its
// mask and with the additional environment. Should this process be killed, the kernel kills the
// command. Blocks until the command's image is in place or has failed to be. Only for a process
// with one thread.
CommandStart start_command(const std::vector<std::string>& command,
                           const std::vector<std::pair<std::string, std::string>>& environment,
                           const sigset_t& signals, TerminalLoan& terminal);

}  // namespace conclave::cli
