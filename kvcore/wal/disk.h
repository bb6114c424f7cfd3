#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"

namespace conclave::wal {

// An open file.
//
// Caveat: what write() put down may be lost, or be there in part, after a power cut until sync()
// has returned success. After a failed sync() nobody knows what is on disk, and a second one may
// succeed without having written anything (Rebello et al., "Can Applications Recover from fsync
// Failures?", ATC 2020): never call it again.
//
// Threads: one at a time. Errors: Errc::io, with the path and the system's words. Closed by the
// destructor.
class File {
 public:
  virtual ~File() = default;

  // Up to `size` bytes from `offset`; fewer only where the file ends.
  virtual Result<std::string> read(std::uint64_t offset, std::size_t size) = 0;
  // All of `bytes` at `offset`; the file grows as needed. After an error any part of them may be
  // written.
  virtual Result<void> write(std::uint64_t offset, std::string_view bytes) = 0;
  // fdatasync: the contents, and the size that is needed to read them, are durable on return.
  virtual Result<void> sync() = 0;
  // Sets space aside for a file of `bytes` without changing its size. Does nothing where the file
  // system cannot; an error where the disk is full.
  virtual Result<void> reserve(std::uint64_t bytes) = 0;
  virtual Result<std::uint64_t> size() = 0;
};

// Held for as long as the object lives.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

// The port through which the log touches a disk, so that a simulated one can stand in.
//
// Caveat: a created, renamed or removed name is durable only after sync_directory() of its
// directory. Threads: one at a time. Paths are the system's; names are a path's last part.
class Disk {
 public:
  virtual ~Disk() = default;

  // With its parents, mode 0700 and durable; no error if it is there already.
  virtual Result<void> make_directory(const std::string& path) = 0;
  // Errc::unavailable if another process, or another object of this one, has it. A process that
  // ends by whatever means gives it up.
  virtual Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& path) = 0;
  // The names in a directory, sorted.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  virtual Result<void> sync_directory(const std::string& path) = 0;

  virtual Result<std::unique_ptr<File>> open(const std::string& path) = 0;  // must exist
  virtual Result<std::unique_ptr<File>> create(
      const std::string& path) = 0;  // must not exist; 0600
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
};

// The machine's own disk.
class PosixDisk final : public Disk {
 public:
  Result<void> make_directory(const std::string& path) override;
  Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<std::unique_ptr<File>> open(const std::string& path) override;
  Result<std::unique_ptr<File>> create(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
};

}  // namespace conclave::wal
