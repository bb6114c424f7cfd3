#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/random.h"

namespace conclave::test {

// What a disk and the cache above it hold: each file as programs read it and as a power cut would
// leave it, and the same for names. Directories are there as soon as a name uses them.
//
// A value: copy it to try several power cuts from one moment.
//
// How a cut is modelled: of the writes since a file's last sync, each sector keeps some number of
// the first ones that touched it, sectors independently of each other. Of the changes to names
// since their directory's last sync, a prefix is kept, as journals do.
class DiskModel {
 public:
  using FileId = std::uint64_t;

  FileId create(const std::string& path);  // the name must be free
  std::optional<FileId> find(const std::string& path) const;
  std::vector<std::string> list(const std::string& directory) const;  // sorted names
  void rename(const std::string& from, const std::string& to);
  void remove(const std::string& path);
  void sync_directory(const std::string& directory);

  const std::string& contents(FileId file) const { return files_.at(file).current; }
  void write(FileId file, std::uint64_t offset, std::string_view bytes);
  // A write through a descriptor opened with O_DSYNC: durable itself, while earlier ones stay as
  // they are.
  void write_through(FileId file, std::uint64_t offset, std::string_view bytes);
  // Changes of a file's size alone are taken for durable at once.
  void truncate(FileId file, std::uint64_t size);
  void sync_file(FileId file);
  // A failed sync: the cache goes on showing the unsynced writes, but takes their pages for clean,
  // so that no later sync writes them (ATC 2020, as File's header says).
  void fail_sync(FileId file);
  // Bit rot: changes what is stored, synced or not.
  void flip_bit(const std::string& path, std::uint64_t bit);

  bool has_unsynced() const;
  void power_cut_dropping_all_unsynced();
  void power_cut(Random& random, std::uint64_t sector_bytes);

  const std::map<std::string, FileId>& names() const { return names_; }

 private:
  struct Change {
    std::uint64_t offset;
    std::string bytes;
    bool is_durable = false;
  };
  struct Content {
    std::string current;
    std::string durable;
    std::vector<Change> unsynced;
  };
  struct NameChange {
    std::string from;  // empty: created
    std::string to;    // empty: removed
    FileId file;
  };

  void apply(const NameChange& change, std::map<std::string, FileId>& names) const;
  void restart();

  std::map<FileId, Content> files_;
  std::map<std::string, FileId> names_;
  std::map<std::string, FileId> durable_names_;
  std::vector<NameChange> unsynced_names_;
  FileId next_file_ = 1;
};

}  // namespace conclave::test
