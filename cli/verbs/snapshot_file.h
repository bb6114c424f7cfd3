#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "conclave/base/result.h"
#include "conclave/cli/guardian/unique_fd.h"

namespace conclave::cli {

// A file that stands at its path whole or not at all, whatever happens to this process or machine:
// it grows as PATH.part, which commit() syncs and renames. Readable by its owner alone.
//
// One process at a time writes PATH.part; one that was killed leaves it behind for the next to
// overwrite. Errors are io and name the path.
class SnapshotFile {
 public:
  static Result<SnapshotFile> create(const std::string& path);
  SnapshotFile(SnapshotFile&&) noexcept = default;
  SnapshotFile& operator=(SnapshotFile&&) = delete;
  // Removes PATH.part, unless commit() has succeeded.
  ~SnapshotFile();

  Result<void> append(std::string_view bytes);
  // A file that was at the path is replaced.
  Result<void> commit();

  std::uint64_t size() const { return size_; }
  // Of what was appended, in hexadecimal; asked once, at the end.
  std::string sha256();

 private:
  struct Digest;
  struct DigestDeleter {
    void operator()(Digest* digest) const;
  };

  SnapshotFile(std::string path, UniqueFd file);

  std::string path_;
  std::string part_;
  UniqueFd file_;  // none: committed, or moved from
  std::unique_ptr<Digest, DigestDeleter> digest_;
  std::uint64_t size_ = 0;
};

}  // namespace conclave::cli
