#include <optional>
#include <string>
#include <utility>

#include "conclave/cli/exit_status.h"
#include "conclave/cli/verbs/holding.h"
#include "conclave/cli/verbs/queue_text.h"
#include "conclave/cli/verbs/turn_wait.h"
#include "conclave/cli/verbs/verb_table.h"
#include "conclave/election/election.h"

namespace conclave::cli {
namespace {

// The leader's key as the store has it, or had it at a revision (0: now). A leader that has been
// compacted away meanwhile is put together from what is known.
Result<etcdserverpb::RangeResponse> leader_reply(Client& client, const Arguments& arguments,
                                                 const Leader& leader, std::int64_t revision) {
  etcdserverpb::RangeRequest request;
  request.set_key(leader.key);
  request.set_revision(revision);
  auto reply = call<etcdserverpb::RangeResponse>(client, arguments, "/etcdserverpb.KV/Range",
                                                 request, CallKind::read);
  if (reply && reply->kvs_size() > 0) return reply;
  etcdserverpb::RangeResponse known;
  known.mutable_header()->set_revision(revision);
  auto* kv = known.add_kvs();
  kv->set_key(leader.key);
  kv->set_value(leader.value);
  kv->set_create_revision(leader.fence.revision);
  kv->set_mod_revision(leader.mod_revision);
  kv->set_lease(leader.lease);
  return known;
}

int listen(const Arguments& arguments, const std::string& name) {
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  const bool simple = arguments.text("write-out") == "simple";
  // A store that cannot be reached at all is an error; one that goes away later is waited for.
  if (const auto reached = Election::leader(*client, name); !reached) return fail(reached.error());
  Observer observer = Election::observe(*client, name);
  for (;;) {
    const auto change = observer.next();
    if (!change) return fail(change.error());
    if (change->gap) std::fputs("conclave: leaders may have been missed here\n", stderr);
    if (!change->leader) continue;
    if (simple) {
      etcdserverpb::RangeResponse reply;
      auto* kv = reply.add_kvs();
      kv->set_key(change->leader->key);
      kv->set_value(change->leader->value);
      if (const int status = print((*printer)->get(reply)); status != 0) return status;
      continue;
    }
    auto reply = leader_reply(*client, arguments, *change->leader, change->leader->mod_revision);
    if (!reply) return fail(reply.error());
    reply->clear_count();
    if (const int status = print((*printer)->get(*reply)); status != 0) return status;
  }
}

// Everything from the first connection to the resignation; see lock.cc.
Outcome lead(const Arguments& arguments, const std::string& name,
             std::optional<GuardedCommand>& command, const Signals& signals) {
  const auto ttl = ttl_of(arguments);
  if (!ttl) return {.status = fail(ttl.error())};
  auto client = connect(arguments);
  if (!client) return {.status = fail(client.error())};
  std::optional<StopOnSignal> waiting(std::in_place, signals);
  const std::string what = "the leadership " + name;
  const std::string& value = arguments.operands.at(1);
  auto won = TurnWait(arguments, name, what, *ttl, waiting->token())
                 .win<Leadership>(
                     *client,
                     [&](Session& session, const AcquireOptions& options) {
                       return Election(session, name).campaign(value, options);
                     },
                     [&](Session& session) { return Election(session, name).try_campaign(value); });
  const auto signal = waiting->signal();
  waiting.reset();
  if (!won) {
    if (signal) return {.signal = *signal};
    return {.status = wait_failed(won.error(), what)};
  }
  Leadership& term = won->turn;
  if (signal) {
    static_cast<void>(term.resign());
    return {.signal = *signal};
  }
  Holding holding;
  holding.what = what;
  holding.valid_until = [&] { return term.valid_until(); };
  holding.lost = term.lost();
  const std::string fence = std::to_string(term.fence().revision);
  holding.environment = {{"CONCLAVE_FENCE", fence},
                         {"CONCLAVE_ELECTION_NAME", name},
                         {"ETCD_LOCK_KEY", term.key()},
                         {"ETCD_LOCK_REV", fence}};
  Outcome outcome;
  if (command) {
    const CommandEnd end = run_while_held(*command, holding, *ttl, signals);
    outcome = outcome_of(end, holding, arguments.command.front());
    if (end.cause == EndCause::lost || end.cause == EndCause::deadline) return outcome;
  } else {
    const Leader leader{.key = term.key(), .value = value, .fence = term.fence()};
    auto printer = printer_of(arguments);
    if (!printer) return {.status = fail(printer.error())};
    auto reply = leader_reply(*client, arguments, leader, 0);
    if (!reply) return {.status = fail(reply.error())};
    outcome.status = print((*printer)->get(*reply));
    if (outcome.status == 0 && !hold_until_signal(holding, signals)) {
      return {.status = fail({Errc::not_held, "lost " + what})};
    }
  }
  if (const auto resigned = term.resign(); !resigned) {
    std::fprintf(stderr, "conclave: %s ends with its lease only: %s\n", what.c_str(),
                 resigned.error().message.c_str());
  }
  return outcome;
}

}  // namespace

int run_elect(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const std::string& name = arguments.operands.at(0);
  if (name.empty()) return fail({Errc::invalid_argument, "NAME must not be empty"});
  if (arguments.is_set("listen")) {
    if (arguments.operands.size() > 1) {
      return fail({Errc::invalid_argument, "VALUE and --listen exclude each other"});
    }
    return listen(arguments, name);
  }
  if (arguments.operands.size() < 2) {
    return fail({Errc::invalid_argument, "elect needs a VALUE (or --listen)"});
  }
  if (auto printer = printer_of(arguments); !printer) return fail(printer.error());
  std::optional<GuardedCommand> command;
  if (!arguments.command.empty()) {
    auto prepared = GuardedCommand::prepare(arguments.command, invocation.command_line);
    if (!prepared) return fail(prepared.error());
    command.emplace(std::move(*prepared));
  }
  const Signals signals(command.has_value());
  const Outcome outcome = lead(arguments, name, command, signals);
  if (outcome.signal != 0) die_by(outcome.signal);
  return outcome.status;
}

}  // namespace conclave::cli
