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

// Who knows no members yet, since it waits for everything, has nothing to lose. Nor has a founder
// that has founded nothing yet: it has lost what it had, and others like it must not make a new
// cluster together beside the one that is left of the old one.
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
  constexpr raft::Index kFounded = 1;
  const bool has_founded = raft_.log().committed() > kFounded;
  if (voters.empty() || (has_founded ? 2 * dismissing > others : dismissing > 0)) {
    dismissal_ = std::move(reason);
  }
}

}  // namespace conclave::replica
