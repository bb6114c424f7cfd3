#include <string>

#include "conclave/cli/verbs/held_turn.h"
#include "conclave/cli/verbs/queue_text.h"
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

}  // namespace

int run_lock(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const std::string& name = arguments.operands.at(0);
  if (name.empty()) return fail({Errc::invalid_argument, "NAME must not be empty"});
  if (arguments.is_set("list")) return list_queue(arguments, name);
  std::string label = arguments.text("label");
  if (label.empty() && !arguments.command.empty()) label = arguments.command.front();
  const auto mutex = [&](Session& session) { return Mutex(session, name, {.label = label}); };
  return run_turn<Lock>(
      invocation,
      {.name = name,
       .what = "the lock " + name,
       .wait = [&](Session& session,
                   const AcquireOptions& options) { return mutex(session).acquire(options); },
       .take_if_free = [&](Session& session) { return mutex(session).try_acquire(); },
       .give_up = [](Lock& lock) { return lock.release(); },
       .print = [&](Client& client,
                    const Lock& lock) { return print_key(client, arguments, lock.key()); },
       .name_variable = "CONCLAVE_LOCK_NAME"});
}

}  // namespace conclave::cli
