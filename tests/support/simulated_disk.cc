#include "tests/support/simulated_disk.h"

#include <utility>

namespace conclave::test {
namespace {

Error io_error(const std::string& path, const char* words) {
  return Error{Errc::io, path + ": " + words};
}

}  // namespace

class SimulatedDisk::SimulatedFile final : public wal::File {
 public:
  SimulatedFile(SimulatedDisk& disk, DiskModel::FileId file, std::string path)
      : disk_(disk), file_(file), path_(std::move(path)), life_(disk.life_) {}

  Result<std::string> read(std::uint64_t offset, std::size_t size) override {
    if (Result<void> begun = begin(Operation::Kind::read, offset, size); !begun) {
      return begun.error();
    }
    const std::string& contents = disk_.model_.contents(file_);
    return offset >= contents.size() ? std::string() : contents.substr(offset, size);
  }

  Result<void> write(std::uint64_t offset, std::string_view bytes) override {
    Result<void> begun = begin(Operation::Kind::write, offset, bytes.size());
    if (!begun) {
      // A write that fails may have put down a part.
      if (life_ == disk_.life_ && disk_.fault_ != Fault::io_error) {
        disk_.model_.write(file_, offset, bytes.substr(0, bytes.size() / 2));
      }
      return begun;
    }
    const std::uint64_t size = disk_.model_.contents(file_).size();
    const std::uint64_t end = offset + bytes.size();
    const std::uint64_t growth = end > size ? end - size : 0;
    if (disk_.size_limit_ && disk_.total_bytes() + growth > *disk_.size_limit_) {
      return io_error(path_, "No space left on device");
    }
    disk_.model_.write(file_, offset, bytes);
    return {};
  }

  Result<void> sync() override {
    if (Result<void> begun = begin(Operation::Kind::sync, 0, 0); !begun) {
      if (life_ == disk_.life_) disk_.model_.fail_sync(file_);
      return begun;
    }
    disk_.model_.sync_file(file_);
    return {};
  }

  Result<void> reserve(std::uint64_t bytes) override {
    if (Result<void> begun = begin(Operation::Kind::reserve, 0, bytes); !begun) return begun;
    if (disk_.size_limit_ && disk_.total_bytes() + bytes > *disk_.size_limit_) {
      return io_error(path_, "No space left on device");
    }
    return {};
  }

  Result<std::uint64_t> size() override {
    if (Result<void> begun = begin(Operation::Kind::size, 0, 0); !begun) return begun.error();
    return disk_.model_.contents(file_).size();
  }

 private:
  Result<void> begin(Operation::Kind kind, std::uint64_t offset, std::uint64_t bytes) {
    if (life_ != disk_.life_) return io_error(path_, "opened before the power cut");
    return disk_.begin({kind, path_, offset, bytes});
  }

  SimulatedDisk& disk_;
  const DiskModel::FileId file_;
  const std::string path_;
  const std::uint64_t life_;
};

class SimulatedDisk::Lock final : public wal::DirectoryLock {
 public:
  Lock(std::shared_ptr<std::set<std::string>> locks, std::string path)
      : locks_(std::move(locks)), path_(std::move(path)) {}
  ~Lock() override { locks_->erase(path_); }

 private:
  const std::shared_ptr<std::set<std::string>> locks_;
  const std::string path_;
};

Result<void> SimulatedDisk::begin(Operation operation) {
  if (callback_) callback_(operation);
  const bool fails = faulty_ == operations_.size();
  operations_.push_back(std::move(operation));
  if (!fails) return {};
  fault_happened_ = true;
  return io_error(operations_.back().path,
                  fault_ == Fault::no_space ? "No space left on device" : "Input/output error");
}

std::uint64_t SimulatedDisk::total_bytes() const {
  std::uint64_t total = 0;
  for (const auto& [path, file] : model_.names()) total += model_.contents(file).size();
  return total;
}

void SimulatedDisk::power_cut(Random& random) {
  model_.power_cut(random, kSectorBytes);
  kill_process();
}

void SimulatedDisk::power_cut_dropping_all_unsynced() {
  model_.power_cut_dropping_all_unsynced();
  kill_process();
}

void SimulatedDisk::kill_process() {
  ++life_;
  locks_ = std::make_shared<std::set<std::string>>();
}

Result<void> SimulatedDisk::make_directory(const std::string& path) {
  return begin({Operation::Kind::make_directory, path});
}

Result<std::unique_ptr<wal::DirectoryLock>> SimulatedDisk::lock_directory(const std::string& path) {
  if (Result<void> begun = begin({Operation::Kind::lock, path}); !begun) return begun.error();
  if (!locks_->insert(path).second) {
    return Error{Errc::unavailable, path + " is in use by another process"};
  }
  return std::unique_ptr<wal::DirectoryLock>(new Lock(locks_, path));
}

Result<std::vector<std::string>> SimulatedDisk::list(const std::string& directory) {
  if (Result<void> begun = begin({Operation::Kind::list, directory}); !begun) {
    return begun.error();
  }
  return model_.list(directory);
}

Result<void> SimulatedDisk::sync_directory(const std::string& path) {
  if (Result<void> begun = begin({Operation::Kind::sync_directory, path}); !begun) return begun;
  model_.sync_directory(path);
  return {};
}

Result<std::unique_ptr<wal::File>> SimulatedDisk::open(const std::string& path) {
  if (Result<void> begun = begin({Operation::Kind::open, path}); !begun) return begun.error();
  const std::optional<DiskModel::FileId> file = model_.find(path);
  if (!file) return io_error(path, "No such file or directory");
  return std::unique_ptr<wal::File>(new SimulatedFile(*this, *file, path));
}

Result<std::unique_ptr<wal::File>> SimulatedDisk::create(const std::string& path) {
  if (Result<void> begun = begin({Operation::Kind::create, path}); !begun) return begun.error();
  if (model_.find(path)) return io_error(path, "File exists");
  return std::unique_ptr<wal::File>(new SimulatedFile(*this, model_.create(path), path));
}

Result<void> SimulatedDisk::rename(const std::string& from, const std::string& to) {
  if (Result<void> begun = begin({Operation::Kind::rename, from}); !begun) return begun;
  if (!model_.find(from)) return io_error(from, "No such file or directory");
  model_.rename(from, to);
  return {};
}

Result<void> SimulatedDisk::remove(const std::string& path) {
  if (Result<void> begun = begin({Operation::Kind::remove, path}); !begun) return begun;
  if (!model_.find(path)) return io_error(path, "No such file or directory");
  model_.remove(path);
  return {};
}

}  // namespace conclave::test
