#include "conclave/cli/format/endpoint_rows.h"

#include "conclave/base/bytes.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

template <class Texts>
std::string joined(const Texts& texts, const char* between) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : between) + text;
  return out;
}

std::string yes_no(bool value) {
  return value ? "true" : "false";
}

}  // namespace

Rows member_rows(const etcdserverpb::MemberListResponse& reply) {
  Rows rows;
  for (const auto& member : reply.members()) {
    rows.push_back({hex(member.id()), member.name().empty() ? "unstarted" : "started",
                    member.name(), joined(member.peerurls(), ","), joined(member.clienturls(), ","),
                    yes_no(member.islearner())});
  }
  return rows;
}

Rows status_rows(const std::vector<EndpointStatus>& all) {
  Rows rows;
  for (const auto& [endpoint, status] : all) {
    const auto member = status.header().member_id();
    rows.push_back({endpoint, hex(member), status.version(),
                    human_size(static_cast<std::uint64_t>(status.dbsize())),
                    yes_no(status.leader() == member), yes_no(status.islearner()),
                    std::to_string(status.raftterm()), std::to_string(status.raftindex()),
                    std::to_string(status.raftappliedindex()), joined(status.errors(), ", ")});
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
