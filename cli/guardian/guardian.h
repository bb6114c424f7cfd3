#pragma once

#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "conclave/cli/guardian/unique_fd.h"

namespace conclave::cli {

// The guardian's whole life, in a process of its own with one thread: waits for a `start` on the
// connection, runs the command in a process group of its own, holds the deadline, ends the command
// with all its descendants when it must, reports a CommandEnd when none of them is left, and exits.
//
// `keeper` is the process at the other end. Signals sent to the guardian itself go on to the
// command. `command_line` is where the process's arguments stand (argv's bytes); the guardian
// writes its own name there, so that a `pkill -f` aimed at the keeper does not take it too.
[[noreturn]] void run_guardian(UniqueFd connection, pid_t keeper, std::vector<std::string> command,
                               std::span<char> command_line);

}  // namespace conclave::cli
