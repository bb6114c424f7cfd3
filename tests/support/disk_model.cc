#include "tests/support/disk_model.h"

#include <algorithm>
#include <utility>

#include "conclave/base/check.h"

namespace conclave::test {
namespace {

void put(std::string& contents, std::uint64_t offset, std::string_view bytes) {
  if (contents.size() < offset + bytes.size()) contents.resize(offset + bytes.size(), '\0');
  std::copy(bytes.begin(), bytes.end(), contents.begin() + static_cast<std::ptrdiff_t>(offset));
}

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// Calls `visit(sector, offset, piece)` for the part of a write that falls into each sector.
template <class Visit>
void for_each_sector(std::uint64_t offset, std::string_view bytes, std::uint64_t sector_bytes,
                     Visit visit) {
  while (!bytes.empty()) {
    const std::uint64_t sector = offset / sector_bytes;
    const std::uint64_t room = (sector + 1) * sector_bytes - offset;
    const std::string_view piece = bytes.substr(0, room);
    visit(sector, offset, piece);
    offset += piece.size();
    bytes.remove_prefix(piece.size());
  }
}

}  // namespace

DiskModel::FileId DiskModel::create(const std::string& path) {
  CONCLAVE_CHECK(!names_.contains(path), "a created file's name is taken");
  const FileId file = next_file_++;
  files_[file];
  names_[path] = file;
  unsynced_names_.push_back({"", path, file});
  return file;
}

std::optional<DiskModel::FileId> DiskModel::find(const std::string& path) const {
  const auto found = names_.find(path);
  if (found == names_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> DiskModel::list(const std::string& directory) const {
  std::vector<std::string> listed;
  for (const auto& [path, file] : names_) {
    if (directory_of(path) == directory) listed.push_back(path.substr(directory.size() + 1));
  }
  return listed;
}

void DiskModel::rename(const std::string& from, const std::string& to) {
  unsynced_names_.push_back({from, to, names_.at(from)});
  apply(unsynced_names_.back(), names_);
}

void DiskModel::remove(const std::string& path) {
  unsynced_names_.push_back({path, "", names_.at(path)});
  apply(unsynced_names_.back(), names_);
}

void DiskModel::apply(const NameChange& change, std::map<std::string, FileId>& names) const {
  if (!change.from.empty()) names.erase(change.from);
  if (!change.to.empty()) names[change.to] = change.file;
}

void DiskModel::sync_directory(const std::string& directory) {
  std::vector<NameChange> others;
  for (NameChange& change : unsynced_names_) {
    const std::string& path = change.to.empty() ? change.from : change.to;
    if (directory_of(path) == directory) {
      apply(change, durable_names_);
    } else {
      others.push_back(std::move(change));
    }
  }
  unsynced_names_ = std::move(others);
}

void DiskModel::write(FileId file, std::uint64_t offset, std::string_view bytes) {
  Content& content = files_.at(file);
  put(content.current, offset, bytes);
  content.unsynced.push_back({offset, std::string(bytes)});
}

void DiskModel::write_through(FileId file, std::uint64_t offset, std::string_view bytes) {
  write(file, offset, bytes);
  Content& content = files_.at(file);
  put(content.durable, offset, bytes);
  content.unsynced.back().is_durable = true;
}

void DiskModel::truncate(FileId file, std::uint64_t size) {
  files_.at(file).current.resize(size, '\0');
  files_.at(file).durable.resize(size, '\0');
}

void DiskModel::sync_file(FileId file) {
  Content& content = files_.at(file);
  for (const Change& change : content.unsynced) put(content.durable, change.offset, change.bytes);
  content.unsynced.clear();
}

void DiskModel::fail_sync(FileId file) {
  files_.at(file).unsynced.clear();
}

void DiskModel::flip_bit(const std::string& path, std::uint64_t bit) {
  Content& content = files_.at(names_.at(path));
  const char mask = static_cast<char>(1U << (bit % 8));
  for (std::string* side : {&content.current, &content.durable}) {
    if (bit / 8 < side->size()) (*side)[bit / 8] = static_cast<char>((*side)[bit / 8] ^ mask);
  }
}

bool DiskModel::has_unsynced() const {
  return !unsynced_names_.empty() ||
         std::any_of(files_.begin(), files_.end(),
                     [](const auto& entry) { return !entry.second.unsynced.empty(); });
}

void DiskModel::restart() {
  unsynced_names_.clear();
  names_ = durable_names_;
  for (auto& [file, content] : files_) {
    content.unsynced.clear();
    content.current = content.durable;
  }
}

void DiskModel::power_cut_dropping_all_unsynced() {
  restart();
}

void DiskModel::power_cut(Random& random, std::uint64_t sector_bytes) {
  const std::uint64_t kept_names = random.below(unsynced_names_.size() + 1);
  for (std::uint64_t i = 0; i < kept_names; ++i) apply(unsynced_names_[i], durable_names_);

  // Some cuts keep all or nothing of a sector's writes, which random choice seldom does for many
  // sectors.
  const std::uint64_t mood = random.below(4);
  for (auto& named : files_) {
    Content& content = named.second;
    struct Sector {
      std::uint64_t touched = 0;
      std::uint64_t kept_least = 0;
      std::uint64_t kept = 0;
    };
    std::map<std::uint64_t, Sector> sectors;
    for (const Change& change : content.unsynced) {
      for_each_sector(change.offset, change.bytes, sector_bytes,
                      [&](std::uint64_t sector, std::uint64_t, std::string_view) {
                        ++sectors[sector].touched;
                        if (change.is_durable) {
                          sectors[sector].kept_least = sectors[sector].touched;
                        }
                      });
    }
    for (auto& [number, sector] : sectors) {
      sector.kept = random.below(sector.touched + 1);
      if (mood == 0 && random.chance(3, 4)) sector.kept = 0;
      if (mood == 1 && random.chance(3, 4)) sector.kept = sector.touched;
      sector.kept = std::max(sector.kept, sector.kept_least);
    }
    for (const Change& change : content.unsynced) {
      for_each_sector(change.offset, change.bytes, sector_bytes,
                      [&](std::uint64_t sector, std::uint64_t offset, std::string_view piece) {
                        std::uint64_t& kept = sectors[sector].kept;
                        if (kept == 0) return;
                        --kept;
                        put(content.durable, offset, piece);
                      });
    }
  }
  restart();
}

}  // namespace conclave::test
