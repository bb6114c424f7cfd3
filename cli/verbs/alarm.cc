#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;

Result<AlarmResponse> ask(Client& client, const Arguments& arguments, const AlarmRequest& request) {
  // To take the same alarm back twice does no harm.
  return call<AlarmResponse>(client, arguments, "/etcdserverpb.Maintenance/Alarm", request,
                             CallKind::read);
}

Result<AlarmResponse> disarm_all(Client& client, const Arguments& arguments) {
  Result<AlarmResponse> raised = ask(client, arguments, AlarmRequest());
  if (!raised) return raised.error();
  AlarmResponse disarmed;
  *disarmed.mutable_header() = raised->header();
  for (const auto& alarm : raised->alarms()) {
    AlarmRequest request;
    request.set_action(AlarmRequest::DEACTIVATE);
    request.set_memberid(alarm.memberid());
    request.set_alarm(alarm.alarm());
    const Result<AlarmResponse> reply = ask(client, arguments, request);
    if (!reply) return reply.error();
    disarmed.mutable_alarms()->MergeFrom(reply->alarms());
  }
  return disarmed;
}

template <class Ask>
int run_and_print(const Arguments& arguments, Ask ask_store) {
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  const Result<AlarmResponse> reply = ask_store(*client);
  if (!reply) return fail(reply.error());
  return print((*printer)->alarms(*reply));
}

}  // namespace

int run_alarm_list(const Invocation& invocation) {
  return run_and_print(invocation.arguments, [&](Client& client) {
    return ask(client, invocation.arguments, AlarmRequest());
  });
}

int run_alarm_disarm(const Invocation& invocation) {
  return run_and_print(invocation.arguments,
                       [&](Client& client) { return disarm_all(client, invocation.arguments); });
}

}  // namespace conclave::cli
