#include "conclave/wal/recovery.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::wal {
namespace {

constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kIdDigits = 16;

std::optional<std::uint64_t> segment_id(std::string_view name) {
  if (name.size() != kIdDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t id = 0;
  const char* end = name.data() + kIdDigits;
  const auto parsed = std::from_chars(name.data(), end, id, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end || id == 0) return std::nullopt;
  return id;
}

// One pass over the segments, oldest first.
class Reader {
 public:
  Reader(Disk& disk, std::string directory) : disk_(disk), directory_(std::move(directory)) {}

  Result<Recovery> run(std::optional<raft::Index> must_reach) {
    Result<std::vector<std::string>> names = disk_.list(directory_);
    if (!names) return names.error();
    for (const std::string& name : *names) {
      const std::optional<std::uint64_t> id = segment_id(name);
      if (!id) continue;
      if (Result<void> read = read_segment(*id); !read) return read.error();
    }
    if (proven_ > recovery_.end) {
      return damaged(recovery_.end, "a later sync proves that there was more");
    }
    return check_reach(must_reach);
  }

 private:
  Error damaged(Position at, const std::string& why) const {
    return Error{Errc::corrupt, "the log is damaged: " + path_of(at.segment) + " at offset " +
                                    std::to_string(at.offset) + ": " + why +
                                    "; nothing was changed"};
  }
  std::string path_of(std::uint64_t id) const { return directory_ + "/" + segment_name(id); }

  void prove(std::optional<Position> synced_end) {
    if (synced_end && proven_ < *synced_end) proven_ = *synced_end;
  }

  Result<void> read_segment(std::uint64_t id) {
    Result<std::unique_ptr<File>> file = disk_.open(path_of(id));
    if (!file) return file.error();
    Result<std::uint64_t> size = (*file)->size();
    if (!size) return size.error();
    Result<std::string> bytes = (*file)->read(0, *size);
    if (!bytes) return bytes.error();

    const HeaderRead read = decode_header(*bytes);
    if (read.state == HeaderRead::State::unknown_version) {
      return Error{Errc::refused, path_of(id) + " has version " + std::to_string(read.version) +
                                      " of the log's format, which this program does not know"};
    }
    // A file with another segment's header is one that was to be used again.
    if (read.state == HeaderRead::State::invalid || read.header.segment != id) {
      recovery_.not_started.push_back(id);
      prove(highest_synced_end(*bytes, 0, id));
      return {};
    }
    if (Result<void> joined = join(read.header); !joined) return joined.error();
    recovery_.segments.push_back({id, recovery_.last_index(), *size});
    if (Result<void> replayed = replay(*bytes, read.header); !replayed) return replayed.error();
    prove(highest_synced_end(*bytes, recovery_.end.offset, id));
    recovery_.tail = bytes->substr(recovery_.last_batch);
    return {};
  }

  // A segment is begun only after the one before it was synced to its end.
  Result<void> join(const SegmentHeader& header) {
    const Position start{header.segment, 0};
    if (!recovery_.not_started.empty()) {
      return damaged({recovery_.not_started.back(), 0}, "its header is unreadable");
    }
    if (recovery_.segments.empty()) {
      recovery_.metadata = header.metadata;
      recovery_.hard_state = header.hard_state;
      recovery_.previous_index = header.previous_index;
      recovery_.previous_term = header.previous_term;
      return {};
    }
    if (recovery_.end.segment + 1 != header.segment) {
      return damaged(start, "the segment before it is missing");
    }
    if (recovery_.end.offset != header.previous_end || recovery_.chain != header.previous_crc) {
      return damaged(recovery_.end, "the next segment proves that there was more");
    }
    if (recovery_.last_index() != header.previous_index) {
      return damaged(start, "its first index does not follow");
    }
    return {};
  }

  Result<void> replay(std::string_view bytes, const SegmentHeader& header) {
    recovery_.end = {header.segment, header.size};
    recovery_.chain = header.crc;
    recovery_.last_batch = 0;
    recovery_.closed = false;
    while (std::optional<Record> record =
               read_record(bytes, recovery_.end.offset, header.segment, recovery_.chain)) {
      if (Result<void> applied = apply(*record); !applied) return applied.error();
      recovery_.end.offset = record->end;
    }
    return {};
  }

  Result<void> apply(const Record& record) {
    recovery_.closed = false;
    switch (static_cast<RecordType>(record.type)) {
      case RecordType::mark: {
        const std::optional<Mark> mark = decode_mark(record.body);
        if (!mark || mark->self != recovery_.end) return malformed("mark");
        prove(mark->synced_end);
        recovery_.closed = mark->closing;
        // The mark of a segment's first batch stands behind the header, which was written with it.
        if (mark->synced_end.segment == recovery_.end.segment) {
          recovery_.last_batch = recovery_.end.offset;
        }
        return {};
      }
      case RecordType::entry: {
        std::optional<raft::Entry> entry = decode_entry(record.body);
        if (!entry || entry->index != recovery_.last_index() + 1) return malformed("entry");
        if (entry->kind > raft::EntryKind::config_change) {
          return Error{Errc::refused, "log entry " + std::to_string(entry->index) +
                                          " is of a kind that this program does not know"};
        }
        recovery_.segments.back().max_index = entry->index;
        recovery_.entries.push_back(*std::move(entry));
        return {};
      }
      case RecordType::hard_state: {
        const std::optional<raft::HardState> hard_state = decode_hard_state(record.body);
        if (!hard_state) return malformed("hard state");
        recovery_.hard_state = *hard_state;
        return {};
      }
      case RecordType::move_end:
      case RecordType::restart: {
        const std::optional<Place> place = decode_place(record.body);
        if (!place) return malformed("place");
        move_end(*place, record.type == static_cast<std::uint8_t>(RecordType::restart));
        return {};
      }
    }
    return Error{Errc::refused, path_of(recovery_.end.segment) + " has at offset " +
                                    std::to_string(recovery_.end.offset) + " a record of type " +
                                    std::to_string(record.type) +
                                    ", which this program does not know"};
  }

  Error malformed(const std::string& what) const {
    return damaged(recovery_.end, "a malformed or misplaced " + what);
  }

  void move_end(const Place& place, bool restart) {
    std::vector<raft::Entry>& entries = recovery_.entries;
    if (restart || place.index <= recovery_.previous_index) {
      entries.clear();
      recovery_.previous_index = place.index;
      recovery_.previous_term = place.term;
    } else {
      const raft::Index last = place.index - (CONCLAVE_PLANTED(good_entry_dropped) ? 1 : 0);
      while (!entries.empty() && entries.back().index > last) entries.pop_back();
    }
    for (Recovery::Segment& segment : recovery_.segments) {
      segment.max_index = std::min(segment.max_index, place.index);
    }
  }

  Result<Recovery> check_reach(std::optional<raft::Index> must_reach) {
    const raft::Index last = recovery_.last_index();
    if (last < recovery_.hard_state.commit) {
      return damaged(recovery_.end, "it ends at index " + std::to_string(last) + ", but index " +
                                        std::to_string(recovery_.hard_state.commit) +
                                        " was committed");
    }
    const std::string applied =
        "the store has applied index " + std::to_string(must_reach.value_or(0));
    if (recovery_.segments.empty() && must_reach.value_or(0) > 0) {
      return Error{Errc::corrupt, "there is no log in " + directory_ + ", but " + applied +
                                      "; nothing was changed"};
    }
    if (last < must_reach.value_or(last)) {
      return damaged(recovery_.end,
                     "it ends at index " + std::to_string(last) + ", but " + applied);
    }
    if (recovery_.previous_index > must_reach.value_or(recovery_.previous_index)) {
      return damaged({recovery_.segments.front().id, 0},
                     "it begins after index " + std::to_string(recovery_.previous_index) +
                         ", but " + applied + " as its last");
    }
    return std::move(recovery_);
  }

  Disk& disk_;
  const std::string directory_;
  Recovery recovery_;
  Position proven_;  // what stands before it was surely synced
};

}  // namespace

std::string segment_name(std::uint64_t id) {
  const std::string digits = hex(id);
  return std::string(kIdDigits - digits.size(), '0') + digits + std::string(kSuffix);
}

Result<Recovery> read_log(Disk& disk, const std::string& directory,
                          std::optional<raft::Index> must_reach) {
  return Reader(disk, directory).run(must_reach);
}

}  // namespace conclave::wal
