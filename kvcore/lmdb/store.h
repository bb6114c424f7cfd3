#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "conclave/mvcc/storage.h"

namespace conclave::lmdb {

struct Options {
  // What the owner lets the store grow to. Enforced by the owner, before it proposes, not here.
  std::uint64_t quota_bytes = 2ULL << 30;
  // Address space that is set aside, and so the hard limit of the file; 0: four times the quota, so
  // that what was proposed below the quota always finds room. Can be made larger at each open.
  std::uint64_t map_size_bytes = 0;
};

// The storage port on LMDB: the directory holds `data.mdb` and LMDB's own `data.mdb-lock`.
//
// Caveats:
// - A directory is opened once at a time, by one process; not across fork() and not on a network
//   file system.
// - Keys are of 1 to 511 bytes.
// - A read keeps LMDB from reusing the pages of all later commits for as long as it runs: keep
//   scans short, and begin no commit from inside a visitor.
//
// Values carry a CRC32C; a read that meets a wrong one returns Errc::corrupt. LMDB's own page
// headers carry none, so damage to those may show as any error, or to get() as a missing key. A
// scan of a whole table finds out whether records are missing or out of order.
//
// Threads and durability as mvcc::Storage says. Errors of commit() and sync() are final for the
// object: Errc::resource_exhausted when the map is full, Errc::corrupt, Errc::invalid_argument for
// a key of a wrong length, Errc::io for all else. Reads go on answering from the last good commit.
class Store final : public mvcc::Storage {
 public:
  // Opens the store in `directory`, or makes one (directories 0700, files 0600). A store that could
  // not be completed because of a power cut is made anew.
  //
  // Errc::unavailable: open elsewhere. Errc::corrupt: not a store, cut short or damaged.
  // Errc::refused: of another version. Errc::invalid_argument: a map below the quota. Errc::io: the
  // file system, in its words.
  static Result<std::unique_ptr<Store>> open(const std::string& directory, const Options& options);
  ~Store() override;  // no reads or commits may be running

  Result<void> commit(const mvcc::Batch& batch) override;
  Result<void> sync() override;
  Result<std::optional<std::string>> get(mvcc::Table table, std::string_view key) const override;
  Result<void> scan(mvcc::Table table, std::string_view begin, std::string_view end,
                    const Visitor& visit) const override;
  std::uint64_t size_bytes() const override;
  std::uint64_t size_in_use_bytes() const override;

  // Writes the last committed state, without free pages, as a new store into `directory` and waits
  // for the disk. Reads go on; commits too, but pages are not reused meanwhile. `directory` must
  // hold no store; after an error it may hold an incomplete file, which open() does not take for a
  // store.
  Result<void> compact_to(const std::string& directory) const;

  // Puts a copy without free pages in the place of the file: written beside it, synced, opened,
  // renamed over it. On the committing thread. Reads go on, in the old file until they end; a crash
  // at any point leaves the one or the other, both whole and of the last commit.
  //
  // Errors: as of commit() if the rename or the directory's sync failed; before that, nothing has
  // happened but that the copy could not be made, and the store goes on as it was.
  Result<void> defragment();
  // The directory has been renamed to this. On the committing thread.
  void moved_to(std::string directory) { directory_ = std::move(directory); }
  // Whether a commit, sync or defragment() has failed for good.
  bool failed() const { return failure_.has_value(); }

 private:
  struct Environment;
  explicit Store(std::shared_ptr<Environment> environment);
  std::shared_ptr<Environment> environment() const;
  Error fail(Error error);

  mutable std::mutex mutex_;
  std::shared_ptr<Environment>
      environment_;               // protected by mutex_; shared with the reads under way
  std::optional<Error> failure_;  // the committing thread's
  std::string directory_;         // the committing thread's
};

}  // namespace conclave::lmdb
