#include "conclave/cli/guardian/deadline.h"

#include <algorithm>
#include <chrono>

namespace conclave::cli {

KillMargins margins_for(Duration ttl) {
  const Duration kill = std::min<Duration>(ttl / 5, std::chrono::seconds(3));
  return {.terminate = kill + kill / 2, .kill = kill};
}

KillSchedule::KillSchedule(Duration ttl, Instant valid_until) : margins_(margins_for(ttl)) {
  extend(valid_until);
}

void KillSchedule::extend(Instant valid_until) {
  if (cause_ != EndCause::none) return;
  // Of what is lost already it is the earliest instant, from which nothing can be subtracted.
  valid_until = std::max(valid_until, Instant{});
  terminate_at_ = valid_until - margins_.terminate;
  kill_at_ = valid_until - margins_.kill;
}

void KillSchedule::end(EndCause cause, Instant now) {
  if (cause_ == EndCause::none) cause_ = cause;
  const Instant terminate_at = cause == EndCause::leftovers ? now + kLinger : now;
  terminate_at_ = std::min(terminate_at_, terminate_at);
  kill_at_ = std::min(kill_at_, cause == EndCause::lost ? now : terminate_at + kGrace);
}

KillSchedule::Decision KillSchedule::decide(Instant now) {
  if (now >= kill_at_) {
    if (cause_ == EndCause::none) cause_ = EndCause::deadline;
    // Killed processes vanish within milliseconds, but a child born meanwhile must be found too.
    return {Action::kill, now + std::chrono::milliseconds(5)};
  }
  if (now >= terminate_at_) {
    if (cause_ == EndCause::none) cause_ = EndCause::deadline;
    if (!terminated_) {
      terminated_ = true;
      return {Action::terminate, kill_at_};
    }
    return {Action::wait, kill_at_};
  }
  return {Action::wait, terminate_at_};
}

}  // namespace conclave::cli
