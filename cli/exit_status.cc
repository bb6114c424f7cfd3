#include "conclave/cli/exit_status.h"

namespace conclave::cli {

ExitStatus status_of(Errc code) {
  switch (code) {
    case Errc::would_block:
      return ExitStatus::timed_out;
    case Errc::timed_out:
    case Errc::unavailable:
    case Errc::unknown_outcome:
      return ExitStatus::unreachable;
    case Errc::not_held:
    case Errc::session_lost:
      return ExitStatus::lost;
    case Errc::invalid_argument:
      return ExitStatus::usage;
    default:
      return ExitStatus::failed;
  }
}

bool is_ambiguous(int command_status) {
  return command_status >= static_cast<int>(ExitStatus::timed_out) &&
         command_status <= static_cast<int>(ExitStatus::usage);
}

std::string exit_status_help(bool holding) {
  std::string text =
      "    0  done\n"
      "    1  refused by the store, or something of this machine failed\n";
  if (holding) {
    text +=
        "  120  timed out: the lock or leadership was not to be had in time\n"
        "  121  lost: the lock or leadership was lost while held; the command has been ended\n";
  }
  text +=
      "  122  store unreachable or unable to serve this now, or the outcome is unknown\n"
      "  123  wrong usage\n";
  if (holding) {
    text +=
        "  126  the command cannot be executed\n"
        "  127  the command was not found\n"
        "  The command's own exit status or signal passes through; if that is one of 120 to 123,\n"
        "  a line on stderr says that it is the command's.\n";
  }
  return text;
}

}  // namespace conclave::cli
