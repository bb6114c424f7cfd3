#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "conclave/base/check.h"

namespace conclave::test {

// An empty directory of its own, removed with all that is in it.
class FreshDirectory {
 public:
  FreshDirectory() : FreshDirectory(std::filesystem::temp_directory_path()) {}
  // On a file system in memory where there is one: for tests that sync often and need no real disk.
  static FreshDirectory in_memory() {
    std::error_code ignored;
    const std::filesystem::path memory = "/dev/shm";
    return FreshDirectory(std::filesystem::is_directory(memory, ignored)
                              ? memory
                              : std::filesystem::temp_directory_path());
  }
  explicit FreshDirectory(const std::filesystem::path& parent) {
    std::string pattern = (parent / "conclave-XXXXXX").string();
    CONCLAVE_CHECK(::mkdtemp(pattern.data()) != nullptr, "no temporary directory");
    path_ = pattern;
  }
  FreshDirectory(const FreshDirectory&) = delete;
  FreshDirectory& operator=(const FreshDirectory&) = delete;
  ~FreshDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace conclave::test
