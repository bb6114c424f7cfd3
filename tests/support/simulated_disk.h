#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/wal/disk.h"

#include "tests/support/disk_model.h"

namespace conclave::test {

// The disk port in memory, with power cuts and failing calls. Not thread-safe.
//
//   SimulatedDisk disk;
//   …                                 // write to it
//   SimulatedDisk image(disk.model());  // what is on it now, to be cut while `disk` goes on
//   image.power_cut(random);
class SimulatedDisk final : public wal::Disk {
 public:
  static constexpr std::uint64_t kSectorBytes = 512;

  struct Operation {
    enum class Kind {
      make_directory,
      lock,
      list,
      sync_directory,
      open,
      create,
      rename,
      remove,
      read,
      write,
      sync,
      reserve,
      size,
    };
    Kind kind;
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  enum class Fault { io_error, no_space, short_write };

  SimulatedDisk() = default;
  explicit SimulatedDisk(DiskModel model) : model_(std::move(model)) {}

  const DiskModel& model() const { return model_; }
  // In the order of the calls, from the start.
  const std::vector<Operation>& operations() const { return operations_; }
  // Called before each operation takes effect.
  void on_operation(std::function<void(const Operation&)> callback) {
    callback_ = std::move(callback);
  }

  // The call that `count` more precede fails, once.
  void fail_call(std::uint64_t count, Fault fault) {
    faulty_ = operations_.size() + count;
    fault_ = fault;
  }
  bool fault_happened() const { return fault_happened_; }
  // From here on each byte that makes the files together larger than this is refused.
  void limit_size(std::uint64_t bytes) { size_limit_ = bytes; }

  // Afterwards every open file answers with errors, locks are free, and opening finds what was
  // left.
  void power_cut(Random& random);
  void power_cut_dropping_all_unsynced();
  // The process ends, the machine does not: the cache stays.
  void kill_process();
  void flip_bit(const std::string& path, std::uint64_t bit) { model_.flip_bit(path, bit); }

  Result<void> make_directory(const std::string& path) override;
  Result<std::unique_ptr<wal::DirectoryLock>> lock_directory(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<std::unique_ptr<wal::File>> open(const std::string& path) override;
  Result<std::unique_ptr<wal::File>> create(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;

 private:
  class SimulatedFile;
  class Lock;

  Result<void> begin(Operation operation);
  std::uint64_t total_bytes() const;

  DiskModel model_;
  std::vector<Operation> operations_;
  std::function<void(const Operation&)> callback_;
  std::optional<std::uint64_t> faulty_;
  Fault fault_ = Fault::io_error;
  bool fault_happened_ = false;
  std::optional<std::uint64_t> size_limit_;
  std::shared_ptr<std::set<std::string>> locks_ = std::make_shared<std::set<std::string>>();
  std::uint64_t life_ = 0;  // files opened in an earlier one are dead
};

}  // namespace conclave::test
