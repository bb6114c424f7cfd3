#include "conclave/wal/log.h"

#include <algorithm>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/wal/recovery.h"

namespace conclave::wal {
namespace {

constexpr std::size_t kMetadataBytesMax = 64 << 10;
constexpr std::uint64_t kFirstSegment = 1;

}  // namespace

Log::Log(Disk& disk, std::string directory, Options options, std::unique_ptr<DirectoryLock> lock)
    : disk_(disk),
      directory_(std::move(directory)),
      options_(std::move(options)),
      lock_(std::move(lock)) {}

Log::~Log() = default;

std::string Log::path_of(std::uint64_t segment) const {
  return directory_ + "/" + segment_name(segment);
}

Error Log::fail(Error error) {
  if (!failed_) failed_ = std::move(error);
  return *failed_;
}

std::size_t Log::pending_bytes() const {
  std::size_t bytes = 0;
  for (const Chunk& chunk : pending_) bytes += chunk.bytes.size();
  return bytes;
}

// --- The batch that waits.

void Log::write_mark(std::string& out, Position synced_end, bool closing) {
  encode_mark(out, end_.segment, chain_,
              Mark{.self = end_, .synced_end = synced_end, .closing = closing});
}

void Log::record_written(const std::string& out) {
  end_.offset = pending_.back().start.offset + out.size();
}

void Log::start_chunk() {
  pending_.push_back({.start = end_, .bytes = {}});
  std::string& out = pending_.back().bytes;
  write_mark(out, end_, false);
  record_written(out);
}

void Log::start_segment() {
  const Position synced_end = end_;
  SegmentHeader header;
  header.segment = end_.segment + 1;
  header.previous_end = end_.offset;
  header.previous_crc = chain_;
  header.previous_index = last_index_;
  header.previous_term = term_at(last_index_);
  header.hard_state = hard_state_;
  header.metadata = options_.metadata;
  pending_.push_back({.start = {header.segment, 0}, .bytes = encode_header(header)});
  std::string& out = pending_.back().bytes;
  end_ = {header.segment, header.size};
  chain_ = header.crc;
  segments_.push_back({.id = header.segment, .max_index = last_index_, .file_bytes = 0});
  write_mark(out, synced_end, false);
  record_written(out);
  fresh_end_ = end_;
}

std::string& Log::room_for(std::uint64_t record_bytes) {
  // Behind every record there is room for the closing mark.
  const std::uint64_t mark_bytes = pending_.empty() ? kMarkBytes : 0;
  const std::uint64_t need = mark_bytes + record_bytes + kMarkBytes;
  const bool fits = end_.offset + need <= options_.segment_bytes;
  // A segment that is only just begun takes a record of any size.
  if (!fits && end_ != fresh_end_) {
    start_segment();
  } else if (pending_.empty()) {
    start_chunk();
  }
  return pending_.back().bytes;
}

raft::Term Log::term_at(raft::Index index) const {
  const auto after = std::upper_bound(
      terms_.begin(), terms_.end(), index,
      [](raft::Index wanted, const TermStart& start) { return wanted < start.index; });
  return after == terms_.begin() ? 0 : std::prev(after)->term;
}

void Log::move_end(raft::Index index, raft::Term term) {
  last_index_ = index;
  while (!terms_.empty() && terms_.back().index > index) terms_.pop_back();
  if (term_at(index) != term) terms_.push_back({index, term});
  for (Segment& segment : segments_) segment.max_index = std::min(segment.max_index, index);
}

Result<void> Log::append(std::span<const raft::Entry> entries,
                         const std::optional<raft::HardState>& hard_state) {
  if (failed_) return *failed_;
  for (const raft::Entry& entry : entries) {
    CONCLAVE_CHECK(entry.index != 0 && entry.index <= last_index_ + 1,
                   "an appended entry leaves a gap in the log");
    if (entry.index <= last_index_) {
      const raft::Index before = entry.index - 1;
      const raft::Term term = term_at(before);
      std::string& out = room_for(kMarkBytes);
      encode_place(out, end_.segment, chain_, RecordType::move_end, before, term);
      record_written(out);
      move_end(before, term);
    }
    std::string& out = room_for(encoded_bytes(entry));
    encode_entry(out, end_.segment, chain_, entry);
    record_written(out);
    last_index_ = entry.index;
    segments_.back().max_index = entry.index;
    if (terms_.empty() || terms_.back().term != entry.term) {
      terms_.push_back({entry.index, entry.term});
    }
  }
  if (hard_state) {
    CONCLAVE_CHECK(hard_state->commit <= last_index_, "a commit index beyond the log's end");
    std::string& out = room_for(kMarkBytes);
    encode_hard_state(out, end_.segment, chain_, *hard_state);
    record_written(out);
    hard_state_ = *hard_state;
  }
  return {};
}

Result<void> Log::restart_after(raft::Index index, raft::Term term) {
  if (failed_) return *failed_;
  std::string& out = room_for(kMarkBytes);
  encode_place(out, end_.segment, chain_, RecordType::restart, index, term);
  record_written(out);
  terms_.clear();
  move_end(index, term);
  return {};
}

// --- The disk.

Result<raft::Index> Log::sync() {
  if (failed_) return *failed_;
  for (const Chunk& chunk : pending_) {
    if (Result<void> written = write_chunk(chunk); !written) return fail(written.error());
  }
  pending_.clear();
  return last_index_;
}

Result<void> Log::write_chunk(const Chunk& chunk) {
  if (chunk.start.segment != file_segment_) {
    if (Result<void> used = use_segment(chunk.start.segment); !used) return used;
  }
  if (Result<void> written = file_->write(chunk.start.offset, chunk.bytes); !written) {
    return written;
  }
  const std::uint64_t data_end = chunk.start.offset + chunk.bytes.size();
  if (data_end > file_bytes_) {
    if (Result<void> filled = fill_ahead(data_end); !filled) return filled;
  }
  return CONCLAVE_PLANTED(skips_sync) ? Result<void>() : file_->sync();
}

Result<void> Log::fill_ahead(std::uint64_t data_end) {
  file_bytes_ = data_end;
  const std::uint64_t target =
      std::min(options_.segment_bytes, data_end + options_.zero_ahead_bytes);
  if (target <= data_end) return {};
  file_bytes_ = target;
  return file_->write(data_end, std::string(target - data_end, '\0'));
}

Result<void> Log::use_segment(std::uint64_t id) {
  for (Segment& segment : segments_) {
    if (segment.id == file_segment_) segment.file_bytes = file_bytes_;
  }
  if (prepared_last_ < id) {
    if (Result<void> made = make_segment_file(id); !made) return made;
  }
  Result<std::unique_ptr<File>> file = disk_.open(path_of(id));
  if (!file) return file.error();
  Result<std::uint64_t> size = (*file)->size();
  if (!size) return size.error();
  file_ = *std::move(file);
  file_segment_ = id;
  file_bytes_ = *size;
  return {};
}

Result<void> Log::make_segment_file(std::uint64_t id) {
  Result<std::unique_ptr<File>> file = disk_.create(path_of(id));
  if (!file) return file.error();
  // A disk that has no room for a whole segment still takes the records that fit: it is their own
  // writes that fail when it is full. What a refused reservation may have taken is given back.
  if (!(*file)->reserve(options_.segment_bytes)) {
    file->reset();
    if (Result<void> removed = disk_.remove(path_of(id)); !removed) return removed;
    if (file = disk_.create(path_of(id)); !file) return file.error();
  }
  prepared_last_ = id;
  return CONCLAVE_PLANTED(new_segment_unsynced) ? Result<void>() : disk_.sync_directory(directory_);
}

Result<void> Log::prepare_next_segment() {
  if (failed_) return *failed_;
  if (!wants_next_segment()) return {};
  if (Result<void> made = make_segment_file(file_segment_ + 1); !made) return fail(made.error());
  return {};
}

Result<void> Log::release(raft::Index index) {
  const auto is_releasable = [&](const Segment& segment) {
    return segment.id < file_segment_ && segment.max_index <= index;
  };
  if (failed_) return *failed_;
  if (!is_releasable(segments_.front())) return {};
  // What waits may drop entries of older segments, which are needed until it is on disk.
  if (Result<raft::Index> synced = sync(); !synced) return synced.error();
  // One that has a later segment on disk, whose header is synced, is not needed to find the log's
  // end.
  while (is_releasable(segments_.front())) {
    if (Result<void> recycled = recycle(segments_.front()); !recycled) {
      return fail(recycled.error());
    }
    segments_.pop_front();
  }
  while (terms_.size() > 1 && terms_[1].index <= index) terms_.pop_front();
  return {};
}

// Oldest first, each durable before the next, so that a power cut never leaves a gap.
Result<void> Log::recycle(const Segment& segment) {
  const std::uint64_t spare_id = std::max(prepared_last_, file_segment_) + 1;
  const bool keep = spare_id - file_segment_ <= options_.spare_segments_max &&
                    segment.file_bytes <= options_.segment_bytes;
  Result<void> moved = keep ? disk_.rename(path_of(segment.id), path_of(spare_id))
                            : disk_.remove(path_of(segment.id));
  if (!moved) return moved;
  if (keep) prepared_last_ = spare_id;
  return disk_.sync_directory(directory_);
}

Result<void> Log::close() {
  if (Result<raft::Index> synced = sync(); !synced) return synced.error();
  pending_.push_back({.start = end_, .bytes = {}});
  std::string& out = pending_.back().bytes;
  write_mark(out, end_, true);
  record_written(out);
  if (Result<raft::Index> synced = sync(); !synced) return synced.error();
  fail(Error{Errc::io, "the log in " + directory_ + " is closed"});
  file_.reset();
  lock_.reset();
  return {};
}

// --- Opening.

Result<Recovered> Log::open(Disk& disk, const std::string& directory, const Options& options) {
  if (options.metadata.size() > kMetadataBytesMax) {
    return Error{Errc::invalid_argument, "more than 64 KiB of metadata for a log"};
  }
  if (Result<void> made = disk.make_directory(directory); !made) return made.error();
  Result<std::unique_ptr<DirectoryLock>> lock = disk.lock_directory(directory);
  if (!lock) return lock.error();
  Result<Recovery> recovery = read_log(disk, directory, options.must_reach);
  if (!recovery) return recovery.error();

  Recovered recovered;
  recovered.created = recovery->segments.empty();
  recovered.metadata = recovered.created ? options.metadata : recovery->metadata;
  Options kept = options;
  kept.metadata = recovered.metadata;
  recovered.log.reset(new Log(disk, directory, std::move(kept), *std::move(lock)));
  if (Result<void> settled = recovered.log->settle_tail(*recovery); !settled) {
    return settled.error();
  }
  recovered.hard_state = recovery->hard_state;
  recovered.previous_index = recovery->previous_index;
  recovered.previous_term = recovery->previous_term;
  recovered.entries = std::move(recovery->entries);
  return recovered;
}

Result<void> Log::settle_tail(const Recovery& recovery) {
  // A file that a torn write began may hold records that would count again once its header is
  // written.
  for (const std::uint64_t id : recovery.not_started) {
    if (Result<void> removed = disk_.remove(path_of(id)); !removed) return removed;
  }
  // The names that were read may be in the cache only.
  if (Result<void> synced = disk_.sync_directory(directory_); !synced) return synced;
  if (recovery.segments.empty()) return create_first_segment();

  for (const Recovery::Segment& segment : recovery.segments) {
    segments_.push_back({segment.id, segment.max_index, segment.file_bytes});
  }
  end_ = recovery.end;
  chain_ = recovery.chain;
  hard_state_ = recovery.hard_state;
  terms_.push_back({recovery.previous_index, recovery.previous_term});
  for (const raft::Entry& entry : recovery.entries) {
    if (entry.term != terms_.back().term) terms_.push_back({entry.index, entry.term});
  }
  last_index_ = recovery.last_index();
  prepared_last_ = end_.segment;
  if (Result<void> used = use_segment(end_.segment); !used) return used;

  // The last batch may be in the cache only: unsynced, or left "clean" by a sync that failed.
  // Written anew, it is surely synced. What stands behind it must never count as records again.
  const std::uint64_t batch_bytes = end_.offset - recovery.last_batch;
  const std::string_view tail = recovery.tail;
  Result<void> written = file_->write(recovery.last_batch, tail.substr(0, batch_bytes));
  if (!written) return written;
  if (Result<void> zeroed = zero_out(tail.substr(batch_bytes)); !zeroed) return zeroed;
  return CONCLAVE_PLANTED(tail_left_in_cache) ? Result<void>() : file_->sync();
}

Result<void> Log::zero_out(std::string_view rest) {
  constexpr std::size_t kStepBytes = 64 << 10;
  for (std::size_t at = 0; at < rest.size(); at += kStepBytes) {
    const std::string_view step = rest.substr(at, kStepBytes);
    if (step.find_first_not_of('\0') == std::string_view::npos) continue;
    Result<void> zeroed = file_->write(end_.offset + at, std::string(step.size(), '\0'));
    if (!zeroed) return zeroed;
  }
  return {};
}

// The header is synced by itself, so that the first batch's mark proves it.
Result<void> Log::create_first_segment() {
  SegmentHeader header;
  header.segment = kFirstSegment;
  header.metadata = options_.metadata;
  const Chunk chunk{.start = {kFirstSegment, 0}, .bytes = encode_header(header)};
  end_ = {kFirstSegment, header.size};
  chain_ = header.crc;
  segments_.push_back({.id = kFirstSegment, .max_index = 0, .file_bytes = 0});
  return write_chunk(chunk);
}

}  // namespace conclave::wal
