#include "conclave/cli/verbs/snapshot_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conclave/base/check.h"

namespace conclave::cli {
namespace {

Error failed(const std::string& what, const std::string& path) {
  return {Errc::io, "cannot " + what + " " + path + ": " + std::generic_category().message(errno)};
}

// Whether what stands at the path is still the file that was opened there.
bool is_at(int fd, const std::string& path) {
  struct stat opened {};
  struct stat there {};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &there) == 0 &&
         opened.st_ino == there.st_ino && opened.st_dev == there.st_dev;
}

}  // namespace

struct SnapshotFile::Digest {
  Digest() {
    CONCLAVE_CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1,
                   "SHA-256 is built in");
  }
  ~Digest() { EVP_MD_CTX_free(context); }
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

void SnapshotFile::DigestDeleter::operator()(Digest* digest) const {
  delete digest;
}

SnapshotFile::SnapshotFile(std::string path, UniqueFd file)
    : path_(std::move(path)), part_(path_ + ".part"), file_(std::move(file)), digest_(new Digest) {}

SnapshotFile::~SnapshotFile() {
  if (file_.valid()) ::unlink(part_.c_str());
}

Result<SnapshotFile> SnapshotFile::create(const std::string& path) {
  const std::string part = path + ".part";
  UniqueFd file(::open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) return failed("create", part);
  const bool locked = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return failed("lock", part);
  // Its former owner may have renamed or removed it between the two calls.
  if (!locked || !is_at(file.get(), part)) {
    return Error{Errc::io, part + " is being written by another process"};
  }
  // One that was left behind may have been anybody's to read.
  if (::ftruncate(file.get(), 0) != 0 || ::fchmod(file.get(), 0600) != 0) {
    return failed("empty", part);
  }
  return SnapshotFile(path, std::move(file));
}

Result<void> SnapshotFile::append(std::string_view bytes) {
  CONCLAVE_CHECK(EVP_DigestUpdate(digest_->context, bytes.data(), bytes.size()) == 1,
                 "a digest takes any bytes");
  size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write", part_);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> SnapshotFile::commit() {
  if (::fsync(file_.get()) != 0) return failed("sync", part_);
  if (std::rename(part_.c_str(), path_.c_str()) != 0)
    return failed("rename " + part_ + " to", path_);
  file_.reset();
  // The name is on disk only when its directory is.
  std::string folder = std::filesystem::path(path_).parent_path().string();
  if (folder.empty()) folder = ".";
  const UniqueFd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::fsync(directory.get()) != 0) return failed("sync", folder);
  return {};
}

std::string SnapshotFile::sha256() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  CONCLAVE_CHECK(EVP_DigestFinal_ex(digest_->context, digest.data(), &size) == 1,
                 "a digest ends once");
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char digits[] = "0123456789abcdef";
    out += digits[digest[i] >> 4];
    out += digits[digest[i] & 0xf];
  }
  return out;
}

}  // namespace conclave::cli
