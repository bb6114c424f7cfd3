#include "conclave/cli/format/member_text.h"

#include "conclave/cli/format/text.h"

namespace conclave::cli {

std::string initial_cluster(const std::string& name, const etcdserverpb::MemberAddResponse& reply) {
  std::string out;
  for (const auto& member : reply.members()) {
    const std::string& its_name = member.id() == reply.member().id() ? name : member.name();
    for (const std::string& url : member.peerurls()) {
      out += (out.empty() ? "" : ",") + its_name + "=" + url;
    }
  }
  return out;
}

std::string start_flags(const std::string& name, const etcdserverpb::MemberAddResponse& reply) {
  return "--name " + shell_word(name) + " --initial-cluster " +
         shell_word(initial_cluster(name, reply)) + " --initial-advertise-peer-urls " +
         shell_word(joined(reply.member().peerurls(), ",")) + " --initial-cluster-state existing";
}

std::string nameless_peers(const etcdserverpb::MemberAddResponse& reply) {
  std::string out;
  for (const auto& member : reply.members()) {
    if (member.id() == reply.member().id() || !member.name().empty()) continue;
    out += (out.empty() ? "" : ",") + joined(member.peerurls(), ",");
  }
  return out;
}

}  // namespace conclave::cli
