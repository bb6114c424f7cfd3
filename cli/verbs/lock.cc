#include <optional>
#include <string>
#include <utility>

#include "conclave/cli/exit_status.h"
#include "conclave/cli/verbs/holding.h"
#include "conclave/cli/verbs/queue_text.h"
#include "conclave/cli/verbs/turn_wait.h"
#include "conclave/cli/verbs/verb_table.h"
#include "conclave/lock/mutex.h"

namespace conclave::cli {
namespace {

int list_queue(const Arguments& arguments, const std::string& name) {
  const std::string format = arguments.text("write-out");
  if (format != "simple" && format != "json") {
    return fail({Errc::invalid_argument, "--list goes with --write-out simple or json"});
  }
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  const auto queue = Mutex::list(*client, name);
  if (!queue) return fail(of_store(queue.error()));
  return print(format == "json" ? queue_json(name, *queue) : queue_text(name, *queue));
}

// The key alone, or, in the other formats, all that the store knows of it.
int print_key(Client& client, const Arguments& arguments, const std::string& key) {
  if (arguments.text("write-out") == "simple") return print(key + "\n");
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  auto reply = call<etcdserverpb::RangeResponse>(client, arguments, "/etcdserverpb.KV/Range",
                                                 request, CallKind::read);
  if (!reply) return fail(reply.error());
  return print((*printer)->get(*reply));
}

// Everything from the first connection to the release, so that all of it is over before this
// process may die by its command's signal.
Outcome hold(const Arguments& arguments, const std::string& name,
             std::optional<GuardedCommand>& command, const Signals& signals) {
  const auto ttl = ttl_of(arguments);
  if (!ttl) return {.status = fail(ttl.error())};
  auto client = connect(arguments);
  if (!client) return {.status = fail(client.error())};
  std::optional<StopOnSignal> waiting(std::in_place, signals);
  std::string label = arguments.text("label");
  if (label.empty() && command) label = arguments.command.front();
  const std::string what = "the lock " + name;
  const auto mutex = [&](Session& session) { return Mutex(session, name, {.label = label}); };
  auto won = TurnWait(arguments, name, what, *ttl, waiting->token())
                 .win<Lock>(
                     *client,
                     [&](Session& session, const AcquireOptions& options) {
                       return mutex(session).acquire(options);
                     },
                     [&](Session& session) { return mutex(session).try_acquire(); });
  const auto signal = waiting->signal();
  waiting.reset();
  if (!won) {
    if (signal) return {.signal = *signal};
    return {.status = wait_failed(won.error(), what)};
  }
  Lock& lock = won->turn;
  if (signal) {
    static_cast<void>(lock.release());
    return {.signal = *signal};
  }
  Holding holding;
  holding.what = what;
  holding.valid_until = [&] { return lock.valid_until(); };
  holding.lost = lock.lost();
  const std::string fence = std::to_string(lock.fence().revision);
  holding.environment = {{"CONCLAVE_FENCE", fence},
                         {"CONCLAVE_LOCK_NAME", name},
                         {"ETCD_LOCK_KEY", lock.key()},
                         {"ETCD_LOCK_REV", fence}};
  Outcome outcome;
  if (command) {
    const CommandEnd end = run_while_held(*command, holding, *ttl, signals);
    outcome = outcome_of(end, holding, arguments.command.front());
    if (end.cause == EndCause::lost || end.cause == EndCause::deadline) return outcome;
  } else {
    outcome.status = print_key(*client, arguments, lock.key());
    if (outcome.status == 0 && !hold_until_signal(holding, signals)) {
      return {.status = fail({Errc::not_held, "lost " + what})};
    }
  }
  if (const auto released = lock.release(); !released) {
    std::fprintf(stderr, "conclave: %s ends with its lease only: %s\n", what.c_str(),
                 released.error().message.c_str());
  }
  return outcome;
}

}  // namespace

int run_lock(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const std::string& name = arguments.operands.at(0);
  if (name.empty()) return fail({Errc::invalid_argument, "NAME must not be empty"});
  if (arguments.is_set("list")) return list_queue(arguments, name);
  if (auto printer = printer_of(arguments); !printer) return fail(printer.error());
  std::optional<GuardedCommand> command;
  if (!arguments.command.empty()) {
    auto prepared = GuardedCommand::prepare(arguments.command, invocation.command_line);
    if (!prepared) return fail(prepared.error());
    command.emplace(std::move(*prepared));
  }
  const Signals signals(command.has_value());
  const Outcome outcome = hold(arguments, name, command, signals);
  if (outcome.signal != 0) die_by(outcome.signal);
  return outcome.status;
}

}  // namespace conclave::cli
