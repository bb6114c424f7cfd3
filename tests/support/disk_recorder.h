#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/disk_model.h"

namespace conclave::test {

// Records what this program really writes and syncs below a directory, by standing in for the C
// library's calls: for power cuts of code that has no port, as LMDB. Link conclave_disk_recorder by
// name.
//
// Sees open, write, pwrite, writev, pwritev, fdatasync, fsync, ftruncate, rename, unlink and
// remove, of all threads; not stores through a mapping, which LMDB makes to its lock file only.
class DiskRecorder {
 public:
  struct Operation {
    enum class Kind {
      create,
      write,
      write_through,
      sync,
      truncate,
      rename,
      remove,
      sync_directory,
      note,  // the test's own: see note()
    };
    Kind kind;
    std::string path;          // of the file or directory
    std::string to;            // rename
    std::uint64_t offset = 0;  // write; size of truncate; number of note
    std::string bytes;         // write
  };

  // One at a time in a program. The directory's path must be free of links.
  explicit DiskRecorder(std::string directory);
  DiskRecorder(const DiskRecorder&) = delete;
  DiskRecorder& operator=(const DiskRecorder&) = delete;
  ~DiskRecorder();

  // Puts a number into the record, to tell later what had been acknowledged by then.
  void note(std::uint64_t number);
  std::vector<Operation> operations() const;

  // Does to a model what was done to the disk.
  static void replay(const Operation& operation, DiskModel& model);
};

// Writes the files that a model holds below `from` to the directory `to`, without LMDB's lock
// files.
void write_image(const DiskModel& model, const std::string& from, const std::string& to);

}  // namespace conclave::test
