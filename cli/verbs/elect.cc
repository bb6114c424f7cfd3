#include <string>

#include "conclave/cli/verbs/held_turn.h"
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

int print_leader(Client& client, const Arguments& arguments, const Leader& leader) {
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto reply = leader_reply(client, arguments, leader, 0);
  if (!reply) return fail(reply.error());
  return print((*printer)->get(*reply));
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
  const std::string& value = arguments.operands.at(1);
  return run_turn<Leadership>(
      invocation,
      {.name = name,
       .what = "the leadership " + name,
       .wait =
           [&](Session& session, const AcquireOptions& options) {
             return Election(session, name).campaign(value, options);
           },
       .take_if_free =
           [&](Session& session) { return Election(session, name).try_campaign(value); },
       .give_up = [](Leadership& term) { return term.resign(); },
       .print =
           [&](Client& client, const Leadership& term) {
             return print_leader(client, arguments,
                                 {.key = term.key(), .value = value, .fence = term.fence()});
           },
       .name_variable = "CONCLAVE_ELECTION_NAME"});
}

}  // namespace conclave::cli
