#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/cli/guardian/guarded_command.h"
#include "conclave/cli/signals.h"
#include "conclave/cli/verbs/context.h"
#include "conclave/session/session.h"

namespace conclave::cli {

// What `lock` and `elect` have in common: a turn is waited for, and held while a command runs or
// until a signal comes.

// What is held, whichever of the two it is.
struct Holding {
  std::string what;  // "the lock deploy", for messages
  std::function<Instant()> valid_until;
  std::stop_token lost;
  std::vector<std::pair<std::string, std::string>> environment;  // for the command
};

// The session's lease time, from --ttl. Errc::invalid_argument: less than a second, or more
// than a year.
Result<std::chrono::seconds> ttl_of(const Arguments& arguments);

// Says on stderr why a wait failed, and returns the exit status for it.
int wait_failed(const Error& error, const std::string& what);

// Runs the command until it ends, keeping its guardian informed; ends it if the holding is lost.
CommandEnd run_while_held(GuardedCommand& command, const Holding& holding, Duration ttl,
                          const Signals& signals);
// Blocks until a signal asks for an end (true) or the holding is lost (false).
bool hold_until_signal(const Holding& holding, const Signals& signals);

// What the end of the command means for this process: an exit status, or a signal to die by.
struct Outcome {
  int status = 0;
  int signal = 0;
};
// Says on stderr what the status alone does not tell.
Outcome outcome_of(const CommandEnd& end, const Holding& holding, const std::string& command);

}  // namespace conclave::cli
