#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conclave/wal/disk.h"

namespace conclave::wal {
namespace {

Error error_of(const char* what, const std::string& path, int number) {
  return Error{Errc::io,
               std::string(what) + " " + path + ": " + std::generic_category().message(number)};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::string> read(std::uint64_t offset, std::size_t size) override {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = ::pread(descriptor_.get(), bytes.data() + done, size - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return error_of("cannot read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }

  Result<void> write(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put =
          ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return error_of("cannot write", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Result<void> sync() override {
    if (::fdatasync(descriptor_.get()) != 0) return error_of("cannot sync", path_, errno);
    return {};
  }

  Result<void> reserve(std::uint64_t bytes) override {
    int rc = 0;
    do {
      rc = ::fallocate(descriptor_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno != EOPNOTSUPP) return error_of("cannot reserve space for", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0) return error_of("cannot stat", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  Descriptor descriptor_;
  const std::string path_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

Result<std::unique_ptr<File>> open_file(const std::string& path, int flags) {
  Descriptor descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600));
  if (!descriptor.is_open()) {
    return error_of(flags == 0 ? "cannot open" : "cannot create", path, errno);
  }
  return std::unique_ptr<File>(new PosixFile(std::move(descriptor), path));
}

}  // namespace

Result<void> PosixDisk::make_directory(const std::string& path) {
  const std::filesystem::path whole(path);
  std::error_code ignored;
  if (std::filesystem::is_directory(whole, ignored)) return {};
  const std::filesystem::path parent = whole.has_parent_path() ? whole.parent_path() : ".";
  if (parent != whole) {
    if (Result<void> made = make_directory(parent.string()); !made) return made;
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return error_of("cannot make the directory", path, errno);
  }
  if (!std::filesystem::is_directory(whole, ignored)) {
    return error_of("cannot make the directory", path, ENOTDIR);
  }
  return sync_directory(parent.string());
}

Result<std::unique_ptr<DirectoryLock>> PosixDisk::lock_directory(const std::string& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open()) return error_of("cannot open the directory", path, errno);
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return error_of("cannot lock the directory", path, errno);
    return Error{Errc::unavailable, path + " is in use by another process"};
  }
  return std::unique_ptr<DirectoryLock>(new PosixLock(std::move(descriptor)));
}

Result<std::vector<std::string>> PosixDisk::list(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator at(directory, error);
  while (!error && at != std::filesystem::directory_iterator()) {
    names.push_back(at->path().filename().string());
    at.increment(error);
  }
  if (error) return error_of("cannot list", directory, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> PosixDisk::sync_directory(const std::string& path) {
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open()) return error_of("cannot open the directory", path, errno);
  if (::fsync(descriptor.get()) != 0) return error_of("cannot sync the directory", path, errno);
  return {};
}

Result<std::unique_ptr<File>> PosixDisk::open(const std::string& path) {
  return open_file(path, 0);
}

Result<std::unique_ptr<File>> PosixDisk::create(const std::string& path) {
  return open_file(path, O_CREAT | O_EXCL);
}

Result<void> PosixDisk::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return error_of("cannot rename", from, errno);
  return {};
}

Result<void> PosixDisk::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return error_of("cannot remove", path, errno);
  return {};
}

}  // namespace conclave::wal
