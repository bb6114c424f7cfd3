#pragma once

#include <cstdint>
#include <deque>

#include "conclave/raft/types.h"

namespace conclave::raft {

enum class ProgressState : std::uint8_t {
  probe,      // where the follower's log matches is not known: one append at a time
  replicate,  // it is known: appends are pipelined, up to the window
  snapshot,   // it needs a snapshot: no appends until it has one
};

// The appends with entries that are on their way to one follower, oldest first.
class InflightWindow {
 public:
  // max_bytes 0: no bound on bytes.
  InflightWindow(std::size_t max_messages, std::uint64_t max_bytes)
      : max_messages_(max_messages), max_bytes_(max_bytes) {}

  // Not while full().
  void add(Index last_index, std::uint64_t bytes);
  // Forgets the appends whose last entry is at or below `index`.
  void free_up_to(Index index);
  void clear();
  bool full() const {
    return sent_.size() >= max_messages_ || (max_bytes_ != 0 && bytes_ >= max_bytes_);
  }
  std::size_t size() const { return sent_.size(); }

 private:
  struct Sent {
    Index last_index;
    std::uint64_t bytes;
  };
  std::size_t max_messages_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;
  std::deque<Sent> sent_;
};

// What a leader knows about one node's log, and thereby what to send next. Every change keeps
// match < next.
class Progress {
 public:
  Progress(Index next, InflightWindow window) : next_(next), window_(std::move(window)) {}

  ProgressState state() const { return state_; }
  Index match() const { return match_; }  // the highest index known to be on its disk as on ours
  Index next() const { return next_; }    // the first index of the next append
  Index pending_snapshot() const { return pending_snapshot_; }
  const InflightWindow& window() const { return window_; }

  // Whether nothing may be sent for now.
  bool paused() const { return state_ == ProgressState::snapshot || append_paused_; }
  // Whether an append may carry entries; an empty one may always pass, to learn of lost ones.
  bool may_carry_entries() const { return state_ != ProgressState::replicate || !window_.full(); }
  // Whether an append would tell it of a commit index that it has not been sent yet.
  bool can_bump_commit(Index commit) const {
    return commit > sent_commit_ && sent_commit_ + 1 < next_;
  }

  void become_probe();
  void become_replicate();
  void become_snapshot(Index snapshot_index);

  void sent_append(std::size_t entries, std::uint64_t bytes);
  void sent_commit(Index commit) { sent_commit_ = commit; }
  // An append up to `index` was accepted. Whether that was news.
  bool accepted(Index index);
  // An append after `asked` was refused; at or below `hint` the logs may match. False if that is
  // old news, which is to be ignored.
  bool rejected(Index asked, Index hint);
  void free_window(Index index) { window_.free_up_to(index); }
  // A sign of life, so try an append again.
  void resume() { append_paused_ = false; }
  void pause() { append_paused_ = true; }
  void drop_pending_snapshot() { pending_snapshot_ = 0; }

  bool recently_active = false;        // since the last quorum check
  std::uint64_t read_round_acked = 0;  // of this term
  bool voteless = false;               // as it said last

 private:
  void reset_state(ProgressState state);

  Index match_ = 0;
  Index next_;
  Index sent_commit_ = 0;
  Index pending_snapshot_ = 0;
  ProgressState state_ = ProgressState::probe;
  bool append_paused_ = false;
  InflightWindow window_;
};

}  // namespace conclave::raft
