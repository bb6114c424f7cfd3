#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "conclave/raft/types.h"

namespace conclave::raft {

struct LogPosition {
  Term term = 0;
  Index index = 0;

  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

// The log as this node sees it, in memory: what is above the compaction point, with four marks.
//
//   compacted <= applied <= committed <= last
//                persisted <= last
//
// `persisted` is how far the log is known to be on this node's disk as it is here. It falls back
// when entries are overwritten. Not thread-safe.
class Log {
 public:
  // The entries are on disk. Ends the process if they have a gap.
  Log(LogPosition compacted, std::vector<Entry> entries, Index committed, Index applied);

  LogPosition compacted() const { return compacted_; }
  Index first_index() const { return compacted_.index + 1; }
  Index last_index() const { return compacted_.index + entries_.size(); }
  Term last_term() const { return entries_.empty() ? compacted_.term : entries_.back().term; }
  Index committed() const { return committed_; }
  Index applied() const { return applied_; }
  Index persisted() const { return persisted_; }

  // Nothing below the compaction point or above the last entry.
  std::optional<Term> term_at(Index index) const;
  bool matches(LogPosition position) const { return term_at(position.index) == position.term; }
  // The paper's 5.4.1: whether a log that ends at `last` is at least as up to date as this one.
  bool up_to_date(LogPosition last) const;
  const Entry& at(Index index) const;
  // Copies of [from, to], cut where the payloads exceed max_bytes; the first one always comes.
  std::vector<Entry> slice(Index from, Index to, std::uint64_t max_bytes) const;
  std::uint64_t payload_bytes(Index from, Index to) const;
  // Of all payloads that are in memory.
  std::uint64_t payload_bytes() const { return payload_bytes_; }
  // The highest index at or below `index` whose term is not above `term`, and that term (0 if it is
  // compacted away): the logs cannot match between the two.
  LogPosition last_not_above(Index index, Term term) const;
  bool has_config_change(Index from, Index to) const;

  void append(Entry entry);  // entry.index must be last_index() + 1
  // Drops `from` and what follows. Never a committed entry.
  void truncate(Index from);
  void commit_to(Index index);
  void applied_to(Index index);
  void persisted_to(Index index);
  void compact(Index index);
  // The log becomes empty, after a snapshot that is not yet on disk.
  void restore(LogPosition snapshot);

 private:
  LogPosition compacted_;
  std::deque<Entry> entries_;
  std::uint64_t payload_bytes_ = 0;
  Index committed_;
  Index applied_;
  Index persisted_;
};

}  // namespace conclave::raft
