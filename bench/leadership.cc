#include "conclave/bench/leadership.h"

#include <algorithm>
#include <vector>

namespace conclave::bench {
namespace {

constexpr std::chrono::seconds kStatusLimit(1);
constexpr std::chrono::milliseconds kPause(10);

std::vector<MemberStatus> ask_all(Rig& rig) {
  std::vector<MemberStatus> members;
  for (std::size_t i = 0; i < rig.servers().size(); ++i) {
    auto status = rig.call_at<etcdserverpb::StatusResponse>(
        i, kStatusPath, etcdserverpb::StatusRequest(), kStatusLimit);
    members.push_back(status ? MemberStatus(*std::move(status)) : std::nullopt);
  }
  return members;
}

}  // namespace

std::optional<Leader> agreed_leader(std::span<const MemberStatus> members) {
  std::optional<Leader> found;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const MemberStatus& member = members[i];
    if (!member || member->leader() == 0) return std::nullopt;
    if (member->leader() != members.front()->leader()) return std::nullopt;
    if (member->raftterm() != members.front()->raftterm()) return std::nullopt;
    if (member->leader() == member->header().member_id()) found = Leader{i, member->raftterm()};
  }
  return found;
}

bool have_applied(std::span<const MemberStatus> members, std::uint64_t index) {
  return std::ranges::all_of(members, [index](const MemberStatus& member) {
    return member && member->raftappliedindex() >= index;
  });
}

Result<Leader> wait_for_leader(Rig& rig, std::chrono::seconds limit) {
  const TimePoint deadline = Clock::now() + limit;
  std::optional<Leader> seen;
  std::uint64_t committed = 0;
  while (Clock::now() < deadline && !rig.servers().has_ended() && !is_interrupted()) {
    const std::vector<MemberStatus> members = ask_all(rig);
    const std::optional<Leader> leader = agreed_leader(members);
    if (leader && leader == seen && have_applied(members, committed)) return *leader;
    if (leader != seen) {
      seen = leader;
      committed = leader ? members[leader->member]->raftindex() : 0;
    }
    rig.loop().run([] { return false; }, kPause);
  }
  return failure(rig.server().name() + ": the members do not come together\n" +
                 rig.servers().last_words());
}

}  // namespace conclave::bench
