#include <algorithm>
#include <cstdio>

#include "conclave/cli/exit_status.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

Result<std::vector<std::string>> asked_endpoints(Client& client, const Arguments& arguments) {
  if (!arguments.is_set("cluster")) return endpoints_of(arguments);
  auto reply =
      call<etcdserverpb::MemberListResponse>(client, arguments, "/etcdserverpb.Cluster/MemberList",
                                             etcdserverpb::MemberListRequest(), CallKind::read);
  if (!reply) return reply.error();
  std::vector<std::string> endpoints;
  for (const auto& member : reply->members()) {
    endpoints.insert(endpoints.end(), member.clienturls().begin(), member.clienturls().end());
  }
  return endpoints;
}

// Asks every endpoint in turn. An endpoint that does not answer is a line on stderr and a failure
// at the end, not the end of the others.
template <class Ask, class Show>
int ask_each(const Arguments& arguments, Ask ask, Show show) {
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  const auto endpoints = asked_endpoints(*client, arguments);
  if (!endpoints) return fail(endpoints.error());
  int worst = 0;
  for (const std::string& endpoint : *endpoints) {
    if (const int status = ask(*client, endpoint); status != 0) worst = status;
  }
  const int printed = print(show(**printer));
  return printed != 0 ? printed : worst;
}

int no_answer(const char* what, const std::string& endpoint, const Error& error) {
  std::fprintf(stderr, "Failed to get the %s of endpoint %s (%s)\n", what, endpoint.c_str(),
               error.message.c_str());
  return static_cast<int>(status_of(error.code));
}

}  // namespace

int run_endpoint_status(const Invocation& invocation) {
  std::vector<EndpointStatus> all;
  return ask_each(
      invocation.arguments,
      [&](Client& client, const std::string& endpoint) {
        auto reply = call_at<etcdserverpb::StatusResponse>(
            client, invocation.arguments, endpoint, "/etcdserverpb.Maintenance/Status",
            etcdserverpb::StatusRequest(), CallKind::read);
        if (!reply) return no_answer("status", endpoint, reply.error());
        all.push_back({endpoint, *reply});
        return 0;
      },
      [&](const Printer& printer) { return printer.endpoint_status(all); });
}

int run_endpoint_health(const Invocation& invocation) {
  std::vector<EndpointHealth> all;
  const int status = ask_each(
      invocation.arguments,
      [&](Client& client, const std::string& endpoint) {
        etcdserverpb::RangeRequest request;
        request.set_key("health");
        const Instant begin = BootClock::now();
        auto reply =
            call_at<etcdserverpb::RangeResponse>(client, invocation.arguments, endpoint,
                                                 "/etcdserverpb.KV/Range", request, CallKind::read);
        // To be refused takes a quorum too.
        const bool healthy = reply || reply.error().code == Errc::permission_denied;
        all.push_back(
            {endpoint, healthy, BootClock::now() - begin, healthy ? "" : reply.error().message});
        return healthy ? 0 : static_cast<int>(status_of(reply.error().code));
      },
      [&](const Printer& printer) { return printer.endpoint_health(all); });
  if (std::any_of(all.begin(), all.end(), [](const auto& health) { return !health.healthy; })) {
    std::fputs("Error: unhealthy cluster\n", stderr);
  }
  return status;
}

int run_endpoint_hashkv(const Invocation& invocation) {
  std::vector<EndpointHash> all;
  etcdserverpb::HashKVRequest request;
  request.set_revision(invocation.arguments.number("rev"));
  return ask_each(
      invocation.arguments,
      [&](Client& client, const std::string& endpoint) {
        auto reply = call_at<etcdserverpb::HashKVResponse>(client, invocation.arguments, endpoint,
                                                           "/etcdserverpb.Maintenance/HashKV",
                                                           request, CallKind::read);
        if (!reply) return no_answer("hash", endpoint, reply.error());
        all.push_back({endpoint, *reply});
        return 0;
      },
      [&](const Printer& printer) { return printer.endpoint_hash(all); });
}

int run_defrag(const Invocation& invocation) {
  auto client = connect(invocation.arguments);
  if (!client) return fail(client.error());
  const auto endpoints = asked_endpoints(*client, invocation.arguments);
  if (!endpoints) return fail(endpoints.error());
  int worst = 0;
  for (const std::string& endpoint : *endpoints) {
    auto reply = call_at<etcdserverpb::DefragmentResponse>(
        *client, invocation.arguments, endpoint, "/etcdserverpb.Maintenance/Defragment",
        etcdserverpb::DefragmentRequest(), CallKind::write);
    if (!reply) {
      std::fprintf(stderr, "Failed to defragment endpoint %s (%s)\n", endpoint.c_str(),
                   reply.error().message.c_str());
      worst = static_cast<int>(status_of(reply.error().code));
      continue;
    }
    const int printed = print("Defragmented endpoint " + endpoint + "\n");
    if (printed != 0) return printed;
  }
  return worst;
}

int run_member_list(const Invocation& invocation) {
  auto printer = printer_of(invocation.arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(invocation.arguments);
  if (!client) return fail(client.error());
  etcdserverpb::MemberListRequest request;
  request.set_linearizable(true);
  auto reply = call<etcdserverpb::MemberListResponse>(
      *client, invocation.arguments, "/etcdserverpb.Cluster/MemberList", request, CallKind::read);
  if (!reply) return fail(reply.error());
  return print((*printer)->members(*reply));
}

int run_version(const Invocation&) {
  return print(std::string("conclave version: " CONCLAVE_VERSION "\nAPI version: 3.4\n"));
}

}  // namespace conclave::cli
