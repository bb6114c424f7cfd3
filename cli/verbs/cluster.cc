#include <algorithm>
#include <cstdio>

#include "conclave/api/version.h"
#include "conclave/cli/exit_status.h"
#include "conclave/cli/verbs/hash_agreement.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

using Addresses = std::vector<std::string>;

// Asks every endpoint in turn, after `begin` has seen them all. An endpoint that does not answer is
// a line on stderr and a failure at the end, not the end of the others.
template <class Begin, class Ask, class Show>
int ask_each(const Arguments& arguments, Begin begin, Ask ask, Show show) {
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  const auto endpoints = asked_endpoints(*client, arguments);
  if (!endpoints) return fail(endpoints.error());
  begin(*client, *endpoints);
  int worst = 0;
  for (const std::string& endpoint : *endpoints) {
    if (const int status = ask(*client, endpoint); status != 0) worst = status;
  }
  const int printed = print(show(**printer));
  return printed != 0 ? printed : worst;
}

template <class Ask, class Show>
int ask_each(const Arguments& arguments, Ask ask, Show show) {
  return ask_each(
      arguments, [](Client&, const Addresses&) {}, ask, show);
}

struct Revisions {
  // The newest that every endpoint which answers has reached; hashes of members that are being
  // written to are comparable there. 0, which means the newest of each, if none answers.
  std::int64_t common = 0;
  std::string empty;  // an endpoint that holds nothing, while others do
};
Revisions common_revision(Client& client, const Arguments& arguments, const Addresses& endpoints) {
  constexpr std::int64_t kOfNothing = 1;
  Revisions found;
  std::int64_t highest = 0;
  for (const std::string& endpoint : endpoints) {
    const auto reply = call_at<etcdserverpb::StatusResponse>(
        client, arguments, endpoint, "/etcdserverpb.Maintenance/Status",
        etcdserverpb::StatusRequest(), CallKind::read);
    if (!reply) continue;
    const std::int64_t revision = reply->header().revision();
    if (revision == kOfNothing) found.empty = endpoint;
    found.common = found.common == 0 ? revision : std::min(found.common, revision);
    highest = std::max(highest, revision);
  }
  if (highest == kOfNothing) found.empty.clear();
  return found;
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
        const Instant begin = BootClock::now();
        const auto read = read_linearizably(client, invocation.arguments, endpoint);
        all.push_back({endpoint, read.has_value(), BootClock::now() - begin,
                       read ? "" : read.error().message});
        return read ? 0 : static_cast<int>(status_of(read.error().code));
      },
      [&](const Printer& printer) { return printer.endpoint_health(all); });
  if (std::any_of(all.begin(), all.end(), [](const auto& health) { return !health.healthy; })) {
    std::fputs("Error: unhealthy cluster\n", stderr);
  }
  return status;
}

int run_endpoint_hashkv(const Invocation& invocation) {
  std::vector<EndpointHash> all;
  Revisions revisions;
  etcdserverpb::HashKVRequest request;
  const int status = ask_each(
      invocation.arguments,
      [&](Client& client, const Addresses& endpoints) {
        const std::int64_t asked = invocation.arguments.number("rev");
        if (asked <= 0) revisions = common_revision(client, invocation.arguments, endpoints);
        request.set_revision(asked > 0 ? asked : revisions.common);
      },
      [&](Client& client, const std::string& endpoint) {
        auto reply = call_at<etcdserverpb::HashKVResponse>(client, invocation.arguments, endpoint,
                                                           "/etcdserverpb.Maintenance/HashKV",
                                                           request, CallKind::read);
        if (!reply) return no_answer("hash", endpoint, reply.error());
        all.push_back({endpoint, *reply});
        return 0;
      },
      [&](const Printer& printer) { return printer.endpoint_hash(all); });
  if (const auto differ = disagreement(all)) return fail(*differ);
  if (revisions.empty.empty()) return status;
  return fail({Errc::refused, revisions.empty + " holds nothing, and the others do; of what they "
                                                "hold nothing could be compared"});
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

int run_version(const Invocation&) {
  return print("conclave version: " CONCLAVE_VERSION "\nAPI version: " +
               std::string(api::kApiVersion.substr(0, api::kApiVersion.rfind('.'))) + "\n");
}

}  // namespace conclave::cli
