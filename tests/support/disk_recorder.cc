#include "tests/support/disk_recorder.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conclave/base/check.h"

namespace conclave::test {
namespace {

using Kind = DiskRecorder::Operation::Kind;

struct Recording {
  std::recursive_mutex mutex;  // held over a call and its record, so that their orders agree
  std::atomic<bool> is_on = false;
  std::string directory;
  std::vector<DiskRecorder::Operation> operations;
};

Recording& recording() {
  static Recording instance;
  return instance;
}

bool is_watched(std::string_view path) {
  const std::string& directory = recording().directory;
  return path.size() >= directory.size() && path.substr(0, directory.size()) == directory;
}

std::optional<std::string> watched_path(int fd) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  if (size <= 0) return std::nullopt;
  std::string name(path.data(), static_cast<std::size_t>(size));
  if (!is_watched(name) || name.ends_with(" (deleted)")) return std::nullopt;
  return name;
}

void record(DiskRecorder::Operation operation) {
  recording().operations.push_back(std::move(operation));
}

void record_write(int fd, std::uint64_t offset, std::string bytes) {
  std::optional<std::string> path = watched_path(fd);
  if (!path) return;
  const bool through = (::fcntl(fd, F_GETFL) & O_DSYNC) != 0;
  record({.kind = through ? Kind::write_through : Kind::write,
          .path = *std::move(path),
          .to = {},
          .offset = offset,
          .bytes = std::move(bytes)});
}

// Runs `call`, then `note` if it succeeded and a recording is on; errno stays the call's.
template <class Call, class Note>
auto recorded(Call call, Note note) {
  if (!recording().is_on) return call();
  const std::lock_guard guard(recording().mutex);
  const auto result = call();
  const int error = errno;
  if (result >= 0) note(result);
  errno = error;
  return result;
}

std::string joined(std::span<const iovec> parts, std::size_t size) {
  std::string bytes;
  for (const iovec& part : parts)
    bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
  bytes.resize(size);
  return bytes;
}

std::uint64_t position_of(int fd) {
  return static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR));
}

int record_sync(int fd, long number) {
  return recorded([&] { return static_cast<int>(::syscall(number, fd)); },
                  [&](int) {
                    std::optional<std::string> path = watched_path(fd);
                    if (!path) return;
                    struct stat status {};
                    ::fstat(fd, &status);
                    record({.kind = S_ISDIR(status.st_mode) ? Kind::sync_directory : Kind::sync,
                            .path = *std::move(path),
                            .to = {},
                            .bytes = {}});
                  });
}

void record_remove(const char* path) {
  if (is_watched(path)) record({.kind = Kind::remove, .path = path, .to = {}, .bytes = {}});
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  const bool creates = (flags & O_CREAT) != 0 && ::access(path, F_OK) != 0;
  return recorded(
      [&] { return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode)); },
      [&](int) {
        if (!creates || !is_watched(path)) return;
        record({.kind = Kind::create, .path = path, .to = {}, .bytes = {}});
      });
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open(path, flags, mode);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return recorded(
      [&] { return ::syscall(SYS_pwrite64, fd, bytes, size, offset); },
      [&](long done) {
        record_write(fd, static_cast<std::uint64_t>(offset),
                     std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(done)));
      });
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  return pwrite(fd, bytes, size, offset);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  return recorded([&] { return ::syscall(SYS_write, fd, bytes, size); },
                  [&](long done) {
                    if (!watched_path(fd)) return;
                    const auto length = static_cast<std::size_t>(done);
                    record_write(fd, position_of(fd) - length,
                                 std::string(static_cast<const char*>(bytes), length));
                  });
}

ssize_t writev(int fd, const iovec* parts, int count) {
  return recorded([&] { return ::syscall(SYS_writev, fd, parts, count); },
                  [&](long done) {
                    if (!watched_path(fd)) return;
                    const auto length = static_cast<std::size_t>(done);
                    record_write(fd, position_of(fd) - length,
                                 joined({parts, static_cast<std::size_t>(count)}, length));
                  });
}

ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  return recorded([&] { return ::syscall(SYS_pwritev, fd, parts, count, offset, 0L); },
                  [&](long done) {
                    record_write(fd, static_cast<std::uint64_t>(offset),
                                 joined({parts, static_cast<std::size_t>(count)},
                                        static_cast<std::size_t>(done)));
                  });
}

int fdatasync(int fd) {
  return record_sync(fd, SYS_fdatasync);
}

int fsync(int fd) {
  return record_sync(fd, SYS_fsync);
}

int ftruncate(int fd, off_t size) noexcept {
  return recorded([&] { return static_cast<int>(::syscall(SYS_ftruncate, fd, size)); },
                  [&](int) {
                    std::optional<std::string> path = watched_path(fd);
                    if (!path) return;
                    record({.kind = Kind::truncate,
                            .path = *std::move(path),
                            .to = {},
                            .offset = static_cast<std::uint64_t>(size),
                            .bytes = {}});
                  });
}

int rename(const char* from, const char* to) noexcept {
  return recorded([&] { return static_cast<int>(::syscall(SYS_rename, from, to)); },
                  [&](int) {
                    if (!is_watched(from)) return;
                    record({.kind = Kind::rename, .path = from, .to = to, .bytes = {}});
                  });
}

int unlink(const char* path) noexcept {
  return recorded([&] { return static_cast<int>(::syscall(SYS_unlink, path)); },
                  [&](int) { record_remove(path); });
}

int remove(const char* path) noexcept {
  const int removed = unlink(path);
  return removed != 0 && errno == EISDIR ? ::rmdir(path) : removed;
}

}  // extern "C"

DiskRecorder::DiskRecorder(std::string directory) {
  const std::lock_guard guard(recording().mutex);
  CONCLAVE_CHECK(!recording().is_on, "two disk recorders at a time");
  recording().directory = std::move(directory);
  recording().operations.clear();
  recording().is_on = true;
}

DiskRecorder::~DiskRecorder() {
  recording().is_on = false;
}

void DiskRecorder::note(std::uint64_t number) {
  const std::lock_guard guard(recording().mutex);
  record({.kind = Kind::note, .path = {}, .to = {}, .offset = number, .bytes = {}});
}

std::vector<DiskRecorder::Operation> DiskRecorder::operations() const {
  const std::lock_guard guard(recording().mutex);
  return recording().operations;
}

void DiskRecorder::replay(const Operation& operation, DiskModel& model) {
  const std::optional<DiskModel::FileId> known = model.find(operation.path);
  // A file that was there before the recording is seen first when something is done to it.
  const auto file = [&] { return known ? *known : model.create(operation.path); };
  switch (operation.kind) {
    case Kind::create:
      (void)file();
      return;
    case Kind::write:
      model.write(file(), operation.offset, operation.bytes);
      return;
    case Kind::write_through:
      model.write_through(file(), operation.offset, operation.bytes);
      return;
    case Kind::sync:
      model.sync_file(file());
      return;
    case Kind::truncate:
      model.truncate(file(), operation.offset);
      return;
    case Kind::rename:
      if (known) model.rename(operation.path, operation.to);
      return;
    case Kind::remove:
      if (known) model.remove(operation.path);
      return;
    case Kind::sync_directory:
      model.sync_directory(operation.path);
      return;
    case Kind::note:
      return;
  }
}

void write_image(const DiskModel& model, const std::string& from, const std::string& to) {
  for (const auto& [path, file] : model.names()) {
    if (!path.starts_with(from + "/") || path.ends_with("-lock")) continue;
    const std::filesystem::path target = to + path.substr(from.size());
    std::filesystem::create_directories(target.parent_path());
    std::ofstream out(target, std::ios::binary);
    out << model.contents(file);
    CONCLAVE_CHECK(out.flush().good(), "cannot write a power-cut image");
  }
}

}  // namespace conclave::test
