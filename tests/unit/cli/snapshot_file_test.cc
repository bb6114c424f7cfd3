#include "conclave/cli/verbs/snapshot_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "tests/support/fresh_directory.h"

namespace conclave::cli {
namespace {

namespace fs = std::filesystem;

class SnapshotFileTest : public ::testing::Test {
 protected:
  static std::string contents(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  test::FreshDirectory directory_;
  std::string path_ = directory_.path() + "/b.db";
  std::string part_ = path_ + ".part";
};

TEST_F(SnapshotFileTest, AppearsWhole) {
  std::ofstream(path_) << "the last one";
  std::ofstream(part_) << "left behind by one that was killed";
  auto file = SnapshotFile::create(path_);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->append("a"));
  EXPECT_TRUE(file->append("bc"));
  EXPECT_EQ(contents(path_), "the last one");
  EXPECT_EQ(contents(part_), "abc");
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(contents(path_), "abc");
  EXPECT_FALSE(fs::exists(part_));
  EXPECT_EQ(file->size(), 3U);
  EXPECT_EQ(file->sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(SnapshotFileTest, LeavesNothingIfItIsNotCommitted) {
  {
    auto file = SnapshotFile::create(path_);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->append("abc"));
    ASSERT_TRUE(fs::exists(part_));
  }
  EXPECT_TRUE(fs::is_empty(directory_.path()));
}

TEST_F(SnapshotFileTest, IsWrittenByOneAtATime) {
  auto file = SnapshotFile::create(path_);
  ASSERT_TRUE(file);
  const auto second = SnapshotFile::create(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::io);
  EXPECT_NE(second.error().message.find(part_), std::string::npos);
  ASSERT_TRUE(file->commit());
  EXPECT_TRUE(SnapshotFile::create(path_));
}

TEST_F(SnapshotFileTest, NamesThePathThatFails) {
  const auto nowhere = SnapshotFile::create(directory_.path() + "/no/b.db");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Errc::io);
  EXPECT_NE(nowhere.error().message.find("/no/b.db.part: No such file"), std::string::npos);
  fs::create_directory(path_);
  auto taken = SnapshotFile::create(path_);
  ASSERT_TRUE(taken);
  const auto committed = taken->commit();
  ASSERT_FALSE(committed);
  EXPECT_NE(committed.error().message.find("rename"), std::string::npos);
}

}  // namespace
}  // namespace conclave::cli
