#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/master_slave/child.h"

namespace master_slave {

// A temporary directory that goes with this object.
class TemporaryDirectory {
 public:
  static conclave::Result<TemporaryDirectory> make();

  TemporaryDirectory(TemporaryDirectory&&) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;  // empty: moved away
};

// The processes of the demo, and what they say. Everything on it ends with it. Use it from the main
// thread only; see Child.
class Stage {
 public:
  struct Said {
    std::string who;
    std::string line;
  };

  explicit Stage(TemporaryDirectory directory) : directory_(std::move(directory)) {}

  const std::filesystem::path& directory() const { return directory_.path(); }

  conclave::Result<void> start(const std::string& name, const std::vector<std::string>& command);
  // This very program, in another role.
  conclave::Result<void> start_role(const std::string& name, std::vector<std::string> arguments);
  // Kills it, if it runs.
  void remove(const std::string& name);
  // The process must have been started and not removed.
  Child& child(const std::string& name);

  // Everything that is said until something is said or `timeout` has passed.
  std::vector<Said> listen(std::chrono::milliseconds timeout);
  // The first process found that has ended and was not removed; empty: none.
  std::string first_ended();
  // The last lines that it wrote to its standard error.
  std::vector<std::string> last_words(const std::string& name, std::size_t lines_max) const;

 private:
  std::filesystem::path log_of(const std::string& name) const;

  TemporaryDirectory directory_;
  std::vector<std::unique_ptr<Child>> children_;  // before directory_ is gone, they are
};

}  // namespace master_slave
