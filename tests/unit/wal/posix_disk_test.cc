#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "conclave/wal/disk.h"
#include "conclave/wal/log.h"

#include "tests/support/fresh_directory.h"

namespace conclave::wal {
namespace {

using test::FreshDirectory;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

TEST(PosixDisk, FilesReadAsWrittenAndAreTheOwnersAlone) {
  const FreshDirectory fresh;
  PosixDisk disk;
  const std::string directory = fresh.path() + "/deep/log";
  ASSERT_TRUE(disk.make_directory(directory).has_value());
  ASSERT_TRUE(disk.make_directory(directory).has_value()) << "again is no error";
  EXPECT_EQ(mode_of(directory), 0700U);
  {
    Result<std::unique_ptr<File>> file = disk.create(directory + "/a");
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE((*file)->reserve(1 << 16).has_value());
    EXPECT_EQ(*(*file)->size(), 0U) << "reserving does not change the size";
    ASSERT_TRUE((*file)->write(4, "data").has_value());
    ASSERT_TRUE((*file)->sync().has_value());
  }
  EXPECT_EQ(mode_of(directory + "/a"), 0600U);
  EXPECT_FALSE(disk.create(directory + "/a").has_value());
  ASSERT_TRUE(disk.rename(directory + "/a", directory + "/b").has_value());
  ASSERT_TRUE(disk.sync_directory(directory).has_value());
  EXPECT_EQ(*disk.list(directory), std::vector<std::string>{"b"});
  Result<std::unique_ptr<File>> file = disk.open(directory + "/b");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(*(*file)->read(0, 100), std::string(4, '\0') + "data");
  EXPECT_EQ(*(*file)->read(100, 100), "");
  ASSERT_TRUE(disk.remove(directory + "/b").has_value());
  EXPECT_FALSE(disk.open(directory + "/b").has_value());
}

TEST(PosixDisk, ErrorsNameThePathAndTheReason) {
  const FreshDirectory fresh;
  PosixDisk disk;
  const std::string file = fresh.path() + "/file";
  std::ofstream(file) << "x";
  const Result<void> made = disk.make_directory(file + "/log");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, Errc::io);
  EXPECT_NE(made.error().message.find(file), std::string::npos);
  EXPECT_NE(made.error().message.find("Not a directory"), std::string::npos);
}

TEST(PosixDisk, ADirectoryIsLockedOnceUntilTheLockGoes) {
  const FreshDirectory fresh;
  PosixDisk disk;
  {
    const Result<std::unique_ptr<DirectoryLock>> lock = disk.lock_directory(fresh.path());
    ASSERT_TRUE(lock.has_value());
    const Result<std::unique_ptr<DirectoryLock>> second = disk.lock_directory(fresh.path());
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, Errc::unavailable);
  }
  EXPECT_TRUE(disk.lock_directory(fresh.path()).has_value());
}

TEST(PosixDisk, CarriesALog) {
  const FreshDirectory fresh;
  PosixDisk disk;
  Options options;
  options.segment_bytes = 1 << 16;
  const std::string directory = fresh.path() + "/log";
  raft::Index last = 0;
  for (int life = 0; life < 4; ++life) {
    Result<Recovered> recovered = Log::open(disk, directory, options);
    ASSERT_TRUE(recovered.has_value()) << recovered.error().message;
    EXPECT_EQ(recovered->log->last_index(), last);
    for (int batch = 0; batch < 20; ++batch) {
      const raft::Entry entry{.term = 1,
                              .index = ++last,
                              .kind = raft::EntryKind::normal,
                              .payload = std::string(10000, 'x')};
      ASSERT_TRUE(recovered->log->append({&entry, 1}, std::nullopt).has_value());
      ASSERT_TRUE(recovered->log->sync().has_value());
    }
    ASSERT_TRUE(recovered->log->release(last - 5).has_value());
    if (life == 1) {
      ASSERT_TRUE(recovered->log->close().has_value());
    }
  }
}

}  // namespace
}  // namespace conclave::wal
