#pragma once

#include <string>

#include "conclave/base/error.h"

namespace conclave::cli {

// Exit statuses of our own. A command that runs under a lock may use the same numbers; then a line
// on stderr says that the status is the command's.
enum class ExitStatus : int {
  success = 0,
  failed = 1,            // the store said no, or something of this machine failed
  timed_out = 120,       // the lock or the leadership was not to be had in time
  lost = 121,            // it was lost while it was held; the command has been ended
  unreachable = 122,     // no server answered, or it is unknown whether the request was carried out
  usage = 123,           // the command line is wrong
  cannot_execute = 126,  // the command exists but cannot be run
  not_found = 127,       // there is no such command
};

ExitStatus status_of(Errc code);
// Whether a command's own exit status could be taken for one of ours.
bool is_ambiguous(int command_status);
// The table for --help; the part that `lock` and `elect` alone have is for those `holding` a turn.
std::string exit_status_help(bool holding);

}  // namespace conclave::cli
