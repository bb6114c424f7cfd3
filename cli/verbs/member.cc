#include <cstdio>

#include "conclave/cli/args/member_requests.h"
#include "conclave/cli/format/member_text.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of calls with this package's messages

// What the store says no with, and what to do about it.
Error advised(Error error) {
  if (error.message.ends_with("unhealthy cluster")) {
    error.message +=
        ": a member is away, or has been connected to the others for less than 5 s; see conclave "
        "endpoint health --cluster";
  } else if (error.message.ends_with("not enough started members")) {
    error.message += ": without it, the cluster would lose its quorum";
  } else if (error.message.ends_with("in sync with leader")) {
    error.message += ": start it, or give it time to catch up, and ask again";
  } else if (error.code == Errc::not_found) {
    error.message += "; conclave member list prints the members' ids";
  } else if (error.code == Errc::unknown_outcome) {
    error.message += "; whether it was carried out, conclave member list says";
  }
  return error;
}

// Makes the one call and prints what it has changed.
template <class Reply, class Request>
int change(const Arguments& arguments, const char* method, const Result<Request>& request,
           MemberChange::Kind kind) {
  if (!request) return fail(request.error());
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  auto reply = call<Reply>(*client, arguments, method, *request, CallKind::write);
  if (!reply) return fail(advised(reply.error()));
  MemberChange made{.kind = kind, .member = request->id()};
  *made.reply.mutable_header() = reply->header();
  *made.reply.mutable_members() = reply->members();
  return print((*printer)->member_changed(made));
}

template <class Request>
Result<Request> request_for_operand(const Arguments& arguments) {
  const auto member = member_operand(arguments);
  if (!member) return member.error();
  Request request;
  request.set_id(*member);
  return request;
}

}  // namespace

int run_member_list(const Invocation& invocation) {
  auto printer = printer_of(invocation.arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(invocation.arguments);
  if (!client) return fail(client.error());
  MemberListRequest request;
  request.set_linearizable(true);
  auto reply = call<MemberListResponse>(
      *client, invocation.arguments, "/etcdserverpb.Cluster/MemberList", request, CallKind::read);
  if (!reply) return fail(reply.error());
  return print((*printer)->members(*reply));
}

int run_member_add(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto request = member_add_request(arguments);
  if (!request) return fail(request.error());
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  auto reply = call<MemberAddResponse>(*client, arguments, "/etcdserverpb.Cluster/MemberAdd",
                                       *request, CallKind::write);
  if (!reply) return fail(advised(reply.error()));
  const std::string& name = arguments.operands.at(0);
  const int printed = print((*printer)->member_added(name, *reply));
  if (printed != 0 || arguments.text("write-out") != "simple") return printed;
  // Not for scripts, which read on standard output what etcdctl prints there.
  std::fprintf(stderr,
               "\nStart it with these flags and addresses and a data directory of its own:\n%s\n",
               start_flags(name, *reply).c_str());
  if (const std::string peers = nameless_peers(*reply); !peers.empty()) {
    std::fprintf(stderr, "Not started yet, put the name before the = of: %s\n", peers.c_str());
  }
  return 0;
}

int run_member_remove(const Invocation& invocation) {
  return change<MemberRemoveResponse>(
      invocation.arguments, "/etcdserverpb.Cluster/MemberRemove",
      request_for_operand<MemberRemoveRequest>(invocation.arguments), MemberChange::Kind::removed);
}

int run_member_update(const Invocation& invocation) {
  return change<MemberUpdateResponse>(invocation.arguments, "/etcdserverpb.Cluster/MemberUpdate",
                                      member_update_request(invocation.arguments),
                                      MemberChange::Kind::updated);
}

int run_member_promote(const Invocation& invocation) {
  return change<MemberPromoteResponse>(
      invocation.arguments, "/etcdserverpb.Cluster/MemberPromote",
      request_for_operand<MemberPromoteRequest>(invocation.arguments),
      MemberChange::Kind::promoted);
}

}  // namespace conclave::cli
