#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/wal/log.h"

namespace conclave::wal {

// What a log should hold. Entries that were released stay in it; compare with matches().
struct LogState {
  raft::Index previous_index = 0;
  raft::Term previous_term = 0;
  std::vector<raft::Entry> entries;
  raft::HardState hard_state;

  raft::Index last_index() const { return entries.empty() ? previous_index : entries.back().index; }
  bool matches(const Recovered& recovered) const;
};

// A seeded user of a log, that keeps every state which a power cut may leave: one a record.
class Workload {
 public:
  Workload(Disk& disk, std::uint64_t seed) : disk_(disk), random_(seed) {}

  static Options options();

  // Opens the log and uses it for so many steps, or until a call fails.
  Result<void> run(int steps);
  Log* log() { return log_.get(); }

  // From the state that the last sync made durable to the one that all writes so far make.
  const std::vector<LogState>& possible() const { return states_; }
  bool is_possible(const Recovered& recovered) const;
  // What a store that has applied all that it may would give.
  std::optional<raft::Index> must_reach() const;

 private:
  Result<void> step();
  Result<void> reopen();
  Result<void> append();
  Result<void> sync();
  std::string payload();

  Disk& disk_;
  Random random_;
  std::unique_ptr<Log> log_;
  std::vector<LogState> states_ = {LogState{}};
  raft::Index released_ = 0;
};

}  // namespace conclave::wal
