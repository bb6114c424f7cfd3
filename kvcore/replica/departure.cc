// How a member ends that has no place in the cluster any more.
#include <utility>

#include "conclave/replica/replica.h"

namespace conclave::replica {

// A leader that was removed answers the votes of others until one of them must have asked: its
// refusal brings the news of the removal, which it told only once, while it led.
bool Replica::ends_as_removed(Instant now) {
  constexpr int kElectionTimeouts = 3;
  if (!is_removed()) return false;
  if (ends_at_ == Instant{}) {
    const Duration stay = options_.tick * options_.election_ticks * kElectionTimeouts;
    ends_at_ = led_term_ == raft_.term() && is_grouped() ? now + stay : now;
  }
  return now >= ends_at_;
}

// Who knows no members yet, since it waits for everything, has nothing to lose.
void Replica::dismiss(raft::NodeId peer, std::string reason) {
  dismissed_by_.insert(peer);
  const std::set<raft::NodeId>& voters = raft_.config().voters;
  std::size_t others = 0;
  std::size_t dismissing = 0;
  for (const raft::NodeId voter : voters) {
    if (voter == options_.self.id) continue;
    ++others;
    dismissing += dismissed_by_.contains(voter) ? 1 : 0;
  }
  if (voters.empty() || 2 * dismissing > others) dismissal_ = std::move(reason);
}

}  // namespace conclave::replica
