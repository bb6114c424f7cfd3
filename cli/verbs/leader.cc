#include <optional>

#include "conclave/base/bytes.h"
#include "conclave/cli/args/member_requests.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

struct Leader {
  std::uint64_t member = 0;
  std::string endpoint;
};

// The leader by its own word: only it can give the leadership away.
Result<Leader> find_leader(Client& client, const Arguments& arguments) {
  const auto endpoints = asked_endpoints(client, arguments);
  if (!endpoints) return endpoints.error();
  std::optional<Error> silence;
  std::uint64_t elsewhere = 0;
  for (const std::string& endpoint : *endpoints) {
    auto reply = call_at<etcdserverpb::StatusResponse>(
        client, arguments, endpoint, "/etcdserverpb.Maintenance/Status",
        etcdserverpb::StatusRequest(), CallKind::read);
    if (!reply) {
      silence = reply.error();
      continue;
    }
    const std::uint64_t member = reply->header().member_id();
    if (reply->leader() == member) return Leader{member, endpoint};
    if (reply->leader() != 0) elsewhere = reply->leader();
  }
  if (elsewhere != 0) {
    return Error{Errc::refused, "the leader, member " + hex(elsewhere) +
                                    ", is not among the addresses that answer; name its own with "
                                    "--endpoints, or use --cluster"};
  }
  return silence.value_or(Error{Errc::unavailable, "the cluster has no leader now; ask again"});
}

}  // namespace

int run_move_leader(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto target = member_operand(arguments);
  if (!target) return fail(target.error());
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  const auto leader = find_leader(*client, arguments);
  if (!leader) return fail(leader.error());
  etcdserverpb::MoveLeaderRequest request;
  request.set_targetid(*target);
  auto reply = call_at<etcdserverpb::MoveLeaderResponse>(*client, arguments, leader->endpoint,
                                                         "/etcdserverpb.Maintenance/MoveLeader",
                                                         request, CallKind::write);
  if (!reply) {
    Error error = of_store(reply.error());
    if (error.message.ends_with("bad leader transferee")) {
      error.message +=
          ": " + hex(*target) + " is not the id of a voting member; see conclave member list";
    } else if (error.code == Errc::unknown_outcome) {
      error.message += "; who leads now, conclave endpoint status says";
    }
    return fail(error);
  }
  return print((*printer)->leader_moved({leader->member, *target, *reply}));
}

}  // namespace conclave::cli
