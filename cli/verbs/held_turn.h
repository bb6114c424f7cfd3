#pragma once

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conclave/cli/verbs/holding.h"
#include "conclave/cli/verbs/turn_wait.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {

// What tells `lock` from `elect`. `Turn` is Lock or Leadership.
template <class Turn>
struct TurnVerb {
  std::string name;
  std::string what;  // "the lock deploy", for messages
  std::function<Result<Turn>(Session&, const AcquireOptions&)> wait;
  std::function<Result<Turn>(Session&)> take_if_free;
  std::function<Result<void>(Turn&)> give_up;
  // Prints what is held, for a user without a command; returns the exit status.
  std::function<int(Client&, const Turn&)> print;
  std::string name_variable;  // the command's environment has the name under this one
};

template <class Turn>
Holding holding_of(const Turn& turn, const TurnVerb<Turn>& verb) {
  Holding holding;
  holding.what = verb.what;
  holding.valid_until = [&turn] { return turn.valid_until(); };
  holding.lost = turn.lost();
  const std::string fence = std::to_string(turn.fence().revision);
  holding.environment = {{"CONCLAVE_FENCE", fence},
                         {verb.name_variable, verb.name},
                         {"ETCD_LOCK_KEY", turn.key()},
                         {"ETCD_LOCK_REV", fence}};
  return holding;
}

// Everything from the first connection to the release, so that all of it is over before this
// process may die by its command's signal.
template <class Turn>
Outcome hold_turn(const Arguments& arguments, const TurnVerb<Turn>& verb,
                  std::optional<GuardedCommand>& command, const Signals& signals) {
  const auto ttl = ttl_of(arguments);
  if (!ttl) return {.status = fail(ttl.error())};
  auto client = connect(arguments);
  if (!client) return {.status = fail(client.error())};
  std::optional<StopOnSignal> waiting(std::in_place, signals);
  auto won = TurnWait(arguments, verb.name, verb.what, *ttl, waiting->token())
                 .template win<Turn>(*client, verb.wait, verb.take_if_free);
  const auto signal = waiting->signal();
  waiting.reset();
  if (!won) {
    if (signal) return {.signal = *signal};
    return {.status = wait_failed(won.error(), verb.what)};
  }
  Turn& turn = won->turn;
  if (signal) {
    static_cast<void>(verb.give_up(turn));
    return {.signal = *signal};
  }
  const Holding holding = holding_of(turn, verb);
  Outcome outcome;
  if (command) {
    const CommandEnd end = run_while_held(*command, holding, *ttl, signals);
    outcome = outcome_of(end, holding, arguments.command.front());
    if (end.cause == EndCause::lost || end.cause == EndCause::deadline) return outcome;
  } else {
    outcome.status = verb.print(*client, turn);
    if (outcome.status == 0 && !hold_until_signal(holding, signals)) {
      return {.status = fail({Errc::not_held, "lost " + verb.what})};
    }
  }
  if (const auto given_up = verb.give_up(turn); !given_up) {
    std::fprintf(stderr, "conclave: %s ends with its lease only: %s\n", verb.what.c_str(),
                 given_up.error().message.c_str());
  }
  return outcome;
}

// The rest of the verb, once its own arguments are in order.
template <class Turn>
int run_turn(const Invocation& invocation, const TurnVerb<Turn>& verb) {
  const Arguments& arguments = invocation.arguments;
  if (auto printer = printer_of(arguments); !printer) return fail(printer.error());
  std::optional<GuardedCommand> command;
  if (!arguments.command.empty()) {
    auto prepared = GuardedCommand::prepare(arguments.command, invocation.command_line);
    if (!prepared) return fail(prepared.error());
    command.emplace(std::move(*prepared));
  }
  const Signals signals(command.has_value());
  const Outcome outcome = hold_turn(arguments, verb, command, signals);
  if (outcome.signal != 0) die_by(outcome.signal);
  return outcome.status;
}

}  // namespace conclave::cli
