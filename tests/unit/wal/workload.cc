#include "tests/unit/wal/workload.h"

#include <algorithm>
#include <utility>

namespace conclave::wal {

bool LogState::matches(const Recovered& recovered) const {
  const raft::Index last =
      recovered.entries.empty() ? recovered.previous_index : recovered.entries.back().index;
  if (last != last_index() || recovered.hard_state != hard_state) return false;
  if (recovered.previous_index < previous_index) return false;
  const std::size_t skipped = recovered.previous_index - previous_index;
  if (skipped > entries.size()) return false;
  const raft::Term term = skipped == 0 ? previous_term : entries[skipped - 1].term;
  return recovered.previous_term == term &&
         std::equal(entries.begin() + static_cast<std::ptrdiff_t>(skipped), entries.end(),
                    recovered.entries.begin(), recovered.entries.end());
}

bool Workload::is_possible(const Recovered& recovered) const {
  return std::any_of(states_.begin(), states_.end(),
                     [&](const LogState& state) { return state.matches(recovered); });
}

std::optional<raft::Index> Workload::must_reach() const {
  const LogState& state = states_.front();
  if (state.previous_index != states_.back().previous_index) return std::nullopt;
  return std::max(state.hard_state.commit, state.previous_index);
}

Options Workload::options() {
  Options options;
  options.segment_bytes = 2048;
  options.zero_ahead_bytes = 512;
  options.metadata = "member 7";
  return options;
}

std::string Workload::payload() {
  const std::uint64_t most = random_.chance(1, 20) ? 3000 : 200;
  std::string bytes(random_.below(most), '\0');
  // Zeros too, so that a record's bytes can look like space that was never written.
  if (random_.chance(3, 4)) {
    for (char& byte : bytes) byte = static_cast<char>(random_.next());
  }
  return bytes;
}

Result<void> Workload::run(int steps) {
  if (!log_) {
    if (Result<void> opened = reopen(); !opened) return opened;
  }
  for (int i = 0; i < steps; ++i) {
    if (Result<void> done = step(); !done) return done;
  }
  return {};
}

Result<void> Workload::reopen() {
  if (log_) {
    if (Result<void> closed = log_->close(); !closed) return closed;
    states_.erase(states_.begin(), states_.end() - 1);
  }
  log_.reset();
  Result<Recovered> recovered = Log::open(disk_, "/log", options());
  if (!recovered) return recovered.error();
  log_ = std::move(recovered->log);
  return {};
}

Result<void> Workload::sync() {
  Result<raft::Index> synced = log_->sync();
  if (!synced) return synced.error();
  states_.erase(states_.begin(), states_.end() - 1);
  return {};
}

Result<void> Workload::append() {
  LogState state = states_.back();
  raft::Index next = state.last_index() + 1;
  const raft::Index commit = std::max(state.hard_state.commit, state.previous_index);
  std::uint64_t count = random_.below(4);
  if (count > 0 && next > commit + 1 && random_.chance(1, 6)) {
    next = commit + 1 + random_.below(next - commit - 1);
    state.entries.resize(next - state.previous_index - 1);
    states_.push_back(state);
  }
  if (random_.chance(1, 5)) ++state.hard_state.term;
  raft::HardState hard_state = state.hard_state;
  state.hard_state = states_.back().hard_state;
  std::vector<raft::Entry> entries;
  for (; count > 0; --count) {
    entries.push_back({.term = hard_state.term,
                       .index = next++,
                       .kind = raft::EntryKind::normal,
                       .payload = payload()});
    state.entries.push_back(entries.back());
    states_.push_back(state);
  }
  std::optional<raft::HardState> changed;
  if (random_.chance(1, 2)) {
    const raft::Index low = std::max(hard_state.commit, state.previous_index);
    hard_state.commit = low + random_.below(state.last_index() - low + 1);
    hard_state.vote = random_.below(3);
    state.hard_state = hard_state;
    states_.push_back(state);
    changed = hard_state;
  }
  return log_->append(entries, changed);
}

Result<void> Workload::step() {
  const std::uint64_t kind = random_.below(20);
  if (kind < 10) return append();
  if (kind < 16) return sync();
  if (kind == 16) return log_->prepare_next_segment();
  if (kind == 17) return random_.chance(1, 4) ? reopen() : Result<void>{};
  if (kind == 18 && random_.chance(1, 4)) {
    LogState state = states_.back();
    state.previous_index = state.last_index() + random_.below(5);
    state.previous_term = state.hard_state.term;
    state.entries.clear();
    states_.push_back(state);
    return log_->restart_after(state.previous_index, state.previous_term);
  }
  const raft::Index commit = states_.front().hard_state.commit;
  released_ = std::max(released_, commit - random_.below(std::min<raft::Index>(commit, 3) + 1));
  if (Result<void> released = log_->release(released_); !released) return released;
  if (log_->pending_bytes() == 0) states_.erase(states_.begin(), states_.end() - 1);
  return {};
}

}  // namespace conclave::wal
