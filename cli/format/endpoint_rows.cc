#include "conclave/cli/format/endpoint_rows.h"

#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

std::string yes_no(bool value) {
  return value ? "true" : "false";
}

}  // namespace

std::vector<std::string> member_row(const etcdserverpb::Member& member) {
  return {hex(member.id()),
          member.name().empty() ? "unstarted" : "started",
          member.name(),
          joined(member.peerurls(), ","),
          joined(member.clienturls(), ","),
          yes_no(member.islearner())};
}

Rows member_rows(const etcdserverpb::MemberListResponse& reply) {
  Rows rows;
  for (const auto& member : reply.members()) rows.push_back(member_row(member));
  return rows;
}

Rows status_rows(const std::vector<EndpointStatus>& all, InUse in_use) {
  Rows rows;
  for (const auto& [endpoint, status] : all) {
    const auto member = status.header().member_id();
    std::vector<std::string> row{endpoint, hex(member), status.version(),
                                 human_size(static_cast<std::uint64_t>(status.dbsize()))};
    if (in_use == InUse::shown) {
      row.push_back(human_size(static_cast<std::uint64_t>(status.dbsizeinuse())));
    }
    row.insert(row.end(),
               {yes_no(status.leader() == member), yes_no(status.islearner()),
                std::to_string(status.raftterm()), std::to_string(status.raftindex()),
                std::to_string(status.raftappliedindex()), joined(status.errors(), ", ")});
    rows.push_back(std::move(row));
  }
  return rows;
}

Rows health_rows(const std::vector<EndpointHealth>& all) {
  Rows rows;
  for (const auto& health : all) {
    rows.push_back(
        {health.endpoint, yes_no(health.healthy), go_duration(health.took), health.error});
  }
  return rows;
}

Rows hash_rows(const std::vector<EndpointHash>& all) {
  Rows rows;
  for (const auto& [endpoint, hash] : all) rows.push_back({endpoint, std::to_string(hash.hash())});
  return rows;
}

}  // namespace conclave::cli
