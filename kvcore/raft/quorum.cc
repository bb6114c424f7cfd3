#include "conclave/raft/quorum.h"

#include <algorithm>
#include <vector>

#include "conclave/base/planted_bugs.h"

namespace conclave::raft {

Index majority_index(const std::set<NodeId>& voters, const IndexOf& index_of) {
  if (voters.empty()) return kEverything;
  std::vector<Index> indexes;
  indexes.reserve(voters.size());
  for (const NodeId voter : voters) indexes.push_back(index_of(voter));
  // With n voters, n/2+1 have the one that n/2 others are above or at.
  std::size_t others = voters.size() / 2;
  if (CONCLAVE_PLANTED(minority_commits) && others > 0) --others;
  const auto middle = indexes.begin() + static_cast<std::ptrdiff_t>(others);
  std::nth_element(indexes.begin(), middle, indexes.end(), std::greater<>());
  return *middle;
}

VoteResult majority_vote(const std::set<NodeId>& voters, const Votes& votes) {
  if (voters.empty()) return VoteResult::won;
  std::size_t granted = 0;
  std::size_t missing = 0;
  for (const NodeId voter : voters) {
    const auto vote = votes.find(voter);
    if (vote == votes.end()) {
      ++missing;
    } else if (vote->second) {
      ++granted;
    }
  }
  const std::size_t needed = (voters.size() + (CONCLAVE_PLANTED(half_elects) ? 1 : 2)) / 2;
  if (granted >= needed) return VoteResult::won;
  return granted + missing >= needed ? VoteResult::pending : VoteResult::lost;
}

Index quorum_index(const ConfigState& config, const IndexOf& index_of) {
  if (CONCLAVE_PLANTED(one_half_commits)) return majority_index(config.voters, index_of);
  return std::min(majority_index(config.voters, index_of),
                  majority_index(config.voters_outgoing, index_of));
}

VoteResult quorum_vote(const ConfigState& config, const Votes& votes) {
  const VoteResult incoming = majority_vote(config.voters, votes);
  const VoteResult outgoing = majority_vote(config.voters_outgoing, votes);
  if (incoming == outgoing) return incoming;
  if (incoming == VoteResult::lost || outgoing == VoteResult::lost) return VoteResult::lost;
  return VoteResult::pending;
}

}  // namespace conclave::raft
