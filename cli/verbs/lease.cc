#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "conclave/cli/exit_status.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

Result<std::int64_t> lease_operand(const Arguments& arguments) {
  const std::string& text = arguments.operands.at(0);
  const auto lease = parse_lease(text);
  if (lease) return *lease;
  return Error{Errc::invalid_argument, "LEASE is a hexadecimal lease id, not \"" + text + "\""};
}

// Client and printer of one verb, or what stands against them.
struct Tools {
  Client client;
  std::unique_ptr<Printer> printer;
};
Result<Tools> tools_of(const Arguments& arguments) {
  auto printer = printer_of(arguments);
  if (!printer) return printer.error();
  auto client = connect(arguments);
  if (!client) return client.error();
  return Tools{std::move(*client), std::move(*printer)};
}

}  // namespace

int run_lease_grant(const Invocation& invocation) {
  const std::string& text = invocation.arguments.operands.at(0);
  const auto ttl_s = parse_number(text);
  if (!ttl_s) {
    return fail({Errc::invalid_argument, "TTL is a number of seconds, not \"" + text + "\""});
  }
  auto tools = tools_of(invocation.arguments);
  if (!tools) return fail(tools.error());
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(*ttl_s);
  auto reply = call<etcdserverpb::LeaseGrantResponse>(tools->client, invocation.arguments,
                                                      "/etcdserverpb.Lease/LeaseGrant", request,
                                                      CallKind::write);
  if (!reply) return fail(reply.error());
  return print(tools->printer->grant(*reply));
}

int run_lease_revoke(const Invocation& invocation) {
  const auto lease = lease_operand(invocation.arguments);
  if (!lease) return fail(lease.error());
  auto tools = tools_of(invocation.arguments);
  if (!tools) return fail(tools.error());
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(*lease);
  auto reply = call<etcdserverpb::LeaseRevokeResponse>(tools->client, invocation.arguments,
                                                       "/etcdserverpb.Lease/LeaseRevoke", request,
                                                       CallKind::write);
  if (!reply) return fail(reply.error());
  return print(tools->printer->revoke(*lease, *reply));
}

int run_lease_timetolive(const Invocation& invocation) {
  const auto lease = lease_operand(invocation.arguments);
  if (!lease) return fail(lease.error());
  auto tools = tools_of(invocation.arguments);
  if (!tools) return fail(tools.error());
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(*lease);
  request.set_keys(invocation.arguments.is_set("keys"));
  auto reply = call<etcdserverpb::LeaseTimeToLiveResponse>(tools->client, invocation.arguments,
                                                           "/etcdserverpb.Lease/LeaseTimeToLive",
                                                           request, CallKind::read);
  if (!reply) return fail(reply.error());
  return print(tools->printer->time_to_live(*reply, request.keys()));
}

int run_lease_list(const Invocation& invocation) {
  auto tools = tools_of(invocation.arguments);
  if (!tools) return fail(tools.error());
  auto reply = call<etcdserverpb::LeaseLeasesResponse>(
      tools->client, invocation.arguments, "/etcdserverpb.Lease/LeaseLeases",
      etcdserverpb::LeaseLeasesRequest(), CallKind::read);
  if (!reply) return fail(reply.error());
  return print(tools->printer->leases(*reply));
}

int run_lease_keep_alive(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto lease = lease_operand(arguments);
  if (!lease) return fail(lease.error());
  auto tools = tools_of(arguments);
  if (!tools) return fail(tools.error());
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(*lease);
  RawClient raw(tools->client);
  std::optional<RawStream> stream;
  // A stream that breaks is opened anew, until the lease itself may have expired.
  Instant trusted_until = BootClock::now() + arguments.duration("command-timeout");
  for (bool renewed = false;;) {
    if (!stream) {
      auto opened = raw.open("/etcdserverpb.Lease/LeaseKeepAlive", call_options(arguments));
      if (!opened) return fail(opened.error());
      stream.emplace(std::move(*opened));
    }
    const Instant sent_at = BootClock::now();
    stream->send(request.SerializeAsString());
    auto bytes = stream->next({}, arguments.duration("command-timeout"));
    etcdserverpb::LeaseKeepAliveResponse reply;
    if (!bytes || !*bytes || !reply.ParseFromString(**bytes)) {
      if (BootClock::now() >= trusted_until) {
        return fail(bytes ? Error{Errc::unavailable, "the store has ended the stream"}
                          : of_store(bytes.error()));
      }
      stream.reset();
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      continue;
    }
    if (reply.ttl() <= 0) {
      if (!renewed) return fail({Errc::not_found, "etcdserver: requested lease not found"});
      std::printf("lease %016lx expired or revoked.\n", static_cast<unsigned long>(*lease));
      return static_cast<int>(ExitStatus::success);
    }
    renewed = true;
    if (const int status = print(tools->printer->keep_alive(reply)); status != 0) return status;
    if (arguments.is_set("once")) return static_cast<int>(ExitStatus::success);
    trusted_until = sent_at + std::chrono::seconds(reply.ttl());
    std::this_thread::sleep_for(std::chrono::milliseconds(reply.ttl() * 1000 / 3));
  }
}

}  // namespace conclave::cli
