#include "conclave/raft/log.h"

#include <algorithm>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::raft {

Log::Log(LogPosition compacted, std::vector<Entry> entries, Index committed, Index applied)
    : compacted_(compacted),
      entries_(std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end())),
      committed_(std::max(committed, applied)),
      applied_(applied),
      persisted_(compacted.index + entries_.size()) {
  Index expected = compacted_.index;
  Term term = compacted_.term;
  for (const Entry& entry : entries_) {
    CONCLAVE_CHECK(entry.index == ++expected && entry.term >= term, "a gap in the stored log");
    term = entry.term;
    payload_bytes_ += entry.payload.size();
  }
  CONCLAVE_CHECK(compacted_.index <= applied_, "the log was cut beyond what is applied");
  CONCLAVE_CHECK(committed_ <= last_index(), "a committed entry is missing from the stored log");
}

std::optional<Term> Log::term_at(Index index) const {
  if (index == compacted_.index) return compacted_.term;
  if (index < compacted_.index || index > last_index()) return std::nullopt;
  return at(index).term;
}

bool Log::up_to_date(LogPosition last) const {
  if (CONCLAVE_PLANTED(log_length_alone)) return last.index >= last_index();
  return last.term > last_term() || (last.term == last_term() && last.index >= last_index());
}

const Entry& Log::at(Index index) const {
  CONCLAVE_CHECK(index > compacted_.index && index <= last_index(), "an entry outside the log");
  return entries_[index - compacted_.index - 1];
}

std::vector<Entry> Log::slice(Index from, Index to, std::uint64_t max_bytes) const {
  std::vector<Entry> out;
  std::uint64_t bytes = 0;
  for (Index index = from; index <= to; ++index) {
    const Entry& entry = at(index);
    bytes += entry.payload.size();
    if (!out.empty() && bytes > max_bytes) break;
    out.push_back(entry);
  }
  return out;
}

std::uint64_t Log::payload_bytes(Index from, Index to) const {
  std::uint64_t bytes = 0;
  for (Index index = from; index <= to; ++index) bytes += at(index).payload.size();
  return bytes;
}

LogPosition Log::last_not_above(Index index, Term term) const {
  for (; index > 0; --index) {
    const std::optional<Term> ours = term_at(index);
    if (!ours) return {0, index};
    if (*ours <= term) return {*ours, index};
  }
  return {0, 0};
}

bool Log::has_config_change(Index from, Index to) const {
  for (Index index = from; index <= to; ++index) {
    if (at(index).kind == EntryKind::config_change) return true;
  }
  return false;
}

void Log::append(Entry entry) {
  CONCLAVE_CHECK(entry.index == last_index() + 1, "an append that leaves a gap");
  CONCLAVE_CHECK(entry.term >= last_term(), "an append of a lower term");
  payload_bytes_ += entry.payload.size();
  entries_.push_back(std::move(entry));
}

void Log::truncate(Index from) {
  CONCLAVE_CHECK(from > committed_, "a committed entry would be overwritten");
  CONCLAVE_CHECK(from > compacted_.index, "a compacted entry would be overwritten");
  if (from > last_index()) return;
  payload_bytes_ -= payload_bytes(from, last_index());
  entries_.resize(from - compacted_.index - 1);
  persisted_ = std::min(persisted_, from - 1);
}

void Log::commit_to(Index index) {
  if (index <= committed_) return;
  CONCLAVE_CHECK(index <= last_index(), "told of a commit beyond the log: has it lost entries?");
  committed_ = index;
}

void Log::applied_to(Index index) {
  if (index <= applied_) return;
  CONCLAVE_CHECK(index <= committed_, "applied what is not committed");
  applied_ = index;
}

void Log::persisted_to(Index index) {
  CONCLAVE_CHECK(index <= last_index(), "more is on disk than is in the log");
  persisted_ = std::max(persisted_, index);
}

void Log::compact(Index index) {
  if (index <= compacted_.index) return;
  CONCLAVE_CHECK(index <= applied_, "the log would be cut beyond what is applied");
  const Term term = at(index).term;
  payload_bytes_ -= payload_bytes(first_index(), index);
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<std::ptrdiff_t>(index - compacted_.index));
  compacted_ = {term, index};
}

void Log::restore(LogPosition snapshot) {
  CONCLAVE_CHECK(snapshot.index > committed_, "a snapshot of what is committed here already");
  entries_.clear();
  payload_bytes_ = 0;
  compacted_ = snapshot;
  committed_ = snapshot.index;
  // The disk still holds the old log; nothing of the new one is there before the snapshot is.
  persisted_ = 0;
}

}  // namespace conclave::raft
