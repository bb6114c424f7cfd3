#include "conclave/raft/progress.h"

#include <algorithm>

#include "conclave/base/check.h"

namespace conclave::raft {

void InflightWindow::add(Index last_index, std::uint64_t bytes) {
  CONCLAVE_CHECK(!full(), "an append beyond the in-flight window");
  sent_.push_back({last_index, bytes});
  bytes_ += bytes;
}

void InflightWindow::free_up_to(Index index) {
  while (!sent_.empty() && sent_.front().last_index <= index) {
    bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
}

void InflightWindow::clear() {
  sent_.clear();
  bytes_ = 0;
}

void Progress::reset_state(ProgressState state) {
  state_ = state;
  append_paused_ = false;
  pending_snapshot_ = 0;
  window_.clear();
}

void Progress::become_probe() {
  // A snapshot on its way is as good as matched, so do not ask for entries before its end.
  next_ = state_ == ProgressState::snapshot ? std::max(match_, pending_snapshot_) + 1 : match_ + 1;
  reset_state(ProgressState::probe);
  sent_commit_ = std::min(sent_commit_, next_ - 1);
}

void Progress::become_replicate() {
  reset_state(ProgressState::replicate);
  next_ = match_ + 1;
}

void Progress::become_snapshot(Index snapshot_index) {
  reset_state(ProgressState::snapshot);
  pending_snapshot_ = snapshot_index;
  next_ = std::max(snapshot_index, match_) + 1;
  sent_commit_ = snapshot_index;
}

void Progress::sent_append(std::size_t entries, std::uint64_t bytes) {
  if (entries == 0) {
    if (state_ == ProgressState::replicate) append_paused_ = window_.full();
    return;
  }
  if (state_ == ProgressState::probe) {
    append_paused_ = true;
    return;
  }
  CONCLAVE_CHECK(state_ == ProgressState::replicate,
                 "an append to a node that waits for a snapshot");
  next_ += entries;
  window_.add(next_ - 1, bytes);
  append_paused_ = window_.full();
}

bool Progress::accepted(Index index) {
  if (index <= match_) return false;
  match_ = index;
  next_ = std::max(next_, index + 1);
  append_paused_ = false;
  return true;
}

bool Progress::rejected(Index asked, Index hint) {
  if (state_ == ProgressState::replicate) {
    if (asked <= match_) return false;
    next_ = match_ + 1;
    sent_commit_ = std::min(sent_commit_, next_ - 1);
    return true;
  }
  // A probe is answered for next-1, or the answer is old.
  if (next_ - 1 != asked) return false;
  // Who refuses what had matched has lost its log, and will say so. Asked again at once it would
  // refuse again, as fast as messages travel; so it is asked at its next sign of life.
  if (match_ > 0 && asked == match_) return false;
  next_ = std::max(std::min(asked, hint + 1), match_ + 1);
  sent_commit_ = std::min(sent_commit_, next_ - 1);
  append_paused_ = false;
  return true;
}

}  // namespace conclave::raft
