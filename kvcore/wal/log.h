#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/raft/types.h"
#include "conclave/wal/disk.h"
#include "conclave/wal/format.h"

namespace conclave::wal {

struct Options {
  // A record larger than a segment gets a larger segment of its own.
  std::uint64_t segment_bytes = 64ULL << 20;
  // How far ahead of the records a new segment is filled with zeros: writing into filled space
  // costs a fdatasync about a third less than into reserved or missing space.
  std::uint64_t zero_ahead_bytes = 1ULL << 20;
  // Released segments that are kept for reuse; the others are removed.
  std::size_t spare_segments_max = 2;
  // Stored when the log is created, and handed back ever after: cluster id, member id, incarnation.
  // The log does not look into it. At most 64 KiB.
  std::string metadata;
  // The index that the store has applied: a log that ends before it, or begins after it, has lost
  // entries. Absent: not known, and not checked; so too while a snapshot is installed, when the
  // store is ahead of the log until restart_after() is synced.
  std::optional<raft::Index> must_reach;
};

class Log;
struct Recovery;

// What open() found.
struct Recovered {
  std::unique_ptr<Log> log;
  bool created = false;  // there was none before
  std::string metadata;  // as given when the log was created
  raft::HardState hard_state;
  // The place just before the first of `entries`: what is at or below it was released, or is
  // covered by a snapshot. The term is 0 for index 0.
  raft::Index previous_index = 0;
  raft::Term previous_term = 0;
  std::vector<raft::Entry> entries;  // without gaps
};

// The Raft log of one node on disk, in the form that FORMAT.md describes.
//
// Caveats:
// - Nothing is durable before sync() returns success, and nothing that Raft wants persisted first
//   may be sent before. A power cut takes back what was not synced, as a whole or from some record
//   on.
// - Every failed call on the disk is final: the object refuses all further calls with the first
//   error, and the node must stop. A failed sync is never tried again.
// - Damage to records that were surely synced is Errc::corrupt at open(), never a shorter log.
//   "Surely" means: below the start of a later sync, at or below the saved commit index, or at or
//   below Options::must_reach. Damage to the last batch alone cannot be told from a torn write
//   unless the log was closed or those indices say so.
//
// Threads: one at a time (the log thread). Calls that touch the disk block. The Disk must outlive
// the Log.
//
//   Result<Recovered> recovered = Log::open(disk, directory, options);
//   if (!recovered) return recovered.error();
//   Log& log = *recovered->log;
//   log.append(entries, hard_state);
//   Result<raft::Index> durable = log.sync();  // acknowledge up to *durable
class Log {
 public:
  // Reads the log in `directory`, or creates one, and makes sure that all it hands out is on disk.
  //
  // Errc::unavailable: another process has it open. Errc::corrupt: synced records are damaged or
  // missing; no file was changed. Errc::refused: written by a later version. Errc::io: the disk.
  static Result<Recovered> open(Disk& disk, const std::string& directory, const Options& options);

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  // Does not sync: what was appended since the last sync() is lost.
  ~Log();

  // Adds entries, then the hard state, to the batch that the next sync() writes. The first entry
  // follows the last one, or replaces everything from its own index on (Raft paper, section 5.3).
  // `hard_state.commit` must not exceed the last index.
  Result<void> append(std::span<const raft::Entry> entries,
                      const std::optional<raft::HardState>& hard_state);

  // A snapshot was installed: forgets all entries, and goes on after `index`. Part of the batch, as
  // append().
  Result<void> restart_after(raft::Index index, raft::Term term);

  // Writes the batch and waits for the disk. Returns the last index of the log, now durable.
  Result<raft::Index> sync();

  // Entries at or below `index` are not needed any more: segments that hold no others are recycled.
  // Only for indices that the store has surely on disk. The newest segment always stays. Where
  // there is something to recycle, what is pending is synced first; where not, nothing is written.
  Result<void> release(raft::Index index);

  // Makes the next segment's file, if there is none, so that the sync() that needs it does not have
  // to. For a moment in which no batch waits.
  Result<void> prepare_next_segment();
  bool wants_next_segment() const { return !failed_ && prepared_last_ <= file_segment_; }

  // Syncs, and marks the end, so that damage to the last batch can be told from a torn write. The
  // object refuses all further calls.
  Result<void> close();

  raft::Index last_index() const { return last_index_; }  // what is not yet synced included
  std::size_t pending_bytes() const;                      // what the next sync() will write
  std::size_t segment_count() const { return segments_.size(); }

 private:
  struct Segment {
    std::uint64_t id = 0;
    raft::Index max_index = 0;  // the highest that is alive in it
    std::uint64_t file_bytes = 0;
  };
  // Consecutive bytes of one segment: one write and one sync.
  struct Chunk {
    Position start;
    std::string bytes;
  };

  Log(Disk& disk, std::string directory, Options options, std::unique_ptr<DirectoryLock> lock);

  Result<void> create_first_segment();
  Result<void> settle_tail(const Recovery& recovery);
  Result<void> zero_out(std::string_view rest);
  Result<void> use_segment(std::uint64_t id);
  Result<void> make_segment_file(std::uint64_t id);
  Result<void> write_chunk(const Chunk& chunk);
  Result<void> fill_ahead(std::uint64_t data_end);
  Result<void> recycle(const Segment& segment);
  // The end of the chunk into which a record of `record_bytes` is to be written.
  std::string& room_for(std::uint64_t record_bytes);
  void start_chunk();
  void start_segment();
  void write_mark(std::string& out, Position synced_end, bool closing);
  void record_written(const std::string& out);
  void move_end(raft::Index index, raft::Term term);
  raft::Term term_at(raft::Index index) const;
  std::string path_of(std::uint64_t segment) const;
  Error fail(Error error);

  Disk& disk_;
  const std::string directory_;
  const Options options_;
  std::unique_ptr<DirectoryLock> lock_;
  std::optional<Error> failed_;

  // On disk.
  std::unique_ptr<File> file_;
  std::uint64_t file_segment_ = 0;   // which one file_ is
  std::uint64_t file_bytes_ = 0;     // its size: all of it is filled
  std::uint64_t prepared_last_ = 0;  // files from file_segment_ + 1 to here exist and are unused

  // With what is pending.
  std::vector<Chunk> pending_;
  Position end_;
  Position fresh_end_;  // the end of the newest segment when it held no records yet
  std::uint32_t chain_ = 0;
  raft::HardState hard_state_;
  raft::Index last_index_ = 0;
  std::deque<Segment> segments_;
  // Where each term begins, from the first index on that is known; for the place before a cut.
  struct TermStart {
    raft::Index index;
    raft::Term term;
  };
  std::deque<TermStart> terms_;
};

}  // namespace conclave::wal
