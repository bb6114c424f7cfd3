#include "conclave/server/data_directory.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/support/fresh_directory.h"

namespace conclave::server {
namespace {

namespace fs = std::filesystem;

class DataDirectoryTest : public ::testing::Test {
 protected:
  DataDirectoryTest() : directory_(fresh_.path() + "/member") {
    EXPECT_TRUE(directory_.make());
    put(directory_.store(), "old");
  }
  // A directory with one file that says which it is.
  static void put(const std::string& path, const std::string& what) {
    fs::create_directories(path);
    std::ofstream(path + "/which") << what;
  }
  static std::string which(const std::string& path) {
    std::ifstream file(path + "/which");
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }

  test::FreshDirectory fresh_;
  const DataDirectory directory_;
};

TEST_F(DataDirectoryTest, ASnapshotTakesThePlaceOfTheStore) {
  put(directory_.incoming(), "new");
  ASSERT_TRUE(directory_.install({.term = 3, .index = 70}));
  EXPECT_EQ(which(directory_.store()), "new");
  // A start now finds that the log has yet to follow.
  const auto resumed = directory_.resume_installation();
  ASSERT_TRUE(resumed && *resumed);
  EXPECT_EQ(**resumed, (raft::LogPosition{.term = 3, .index = 70}));
  ASSERT_TRUE(directory_.end_installation());
  const auto after = directory_.resume_installation();
  ASSERT_TRUE(after);
  EXPECT_FALSE(*after);
  EXPECT_EQ(which(directory_.store()), "new");
}

TEST_F(DataDirectoryTest, AnExchangeThatWasCutOffIsCompleted) {
  put(directory_.incoming(), "new");
  ASSERT_TRUE(directory_.install({.term = 3, .index = 70}));
  // As a crash between the two renames leaves it.
  fs::rename(directory_.store(), directory_.incoming());
  const auto resumed = directory_.resume_installation();
  ASSERT_TRUE(resumed && *resumed);
  EXPECT_EQ(which(directory_.store()), "new");
  EXPECT_FALSE(fs::exists(directory_.incoming()));
}

TEST_F(DataDirectoryTest, WhatWasNotToBeInstalledYetGoes) {
  put(directory_.incoming(), "half");
  std::ofstream(path("installing")) << "torn";
  const auto resumed = directory_.resume_installation();
  ASSERT_TRUE(resumed);
  EXPECT_FALSE(*resumed);
  EXPECT_EQ(which(directory_.store()), "old");
  EXPECT_FALSE(fs::exists(directory_.incoming()));
  EXPECT_FALSE(fs::exists(path("installing")));
}

TEST_F(DataDirectoryTest, WhatIsDamagedIsPutAsideAndTheRepairRemembered) {
  put(directory_.log(), "log");
  EXPECT_FALSE(*directory_.is_repairing());
  const auto aside = directory_.put_aside();
  ASSERT_TRUE(aside);
  EXPECT_EQ(which(*aside + "/log"), "log");
  EXPECT_EQ(which(*aside + "/store"), "old");
  EXPECT_FALSE(fs::exists(directory_.store()));
  EXPECT_TRUE(*directory_.is_repairing());
  ASSERT_TRUE(directory_.end_repair());
  EXPECT_FALSE(*directory_.is_repairing());
  put(directory_.log(), "again");
  EXPECT_NE(*directory_.put_aside(), *aside);
}

TEST_F(DataDirectoryTest, DamageFoundWhileItRanIsRememberedUntilItIsPutAside) {
  EXPECT_FALSE(*directory_.damage());
  ASSERT_TRUE(directory_.mark_damaged("why"));
  EXPECT_EQ(*directory_.damage(), "why");
  std::ofstream(path("damaged"), std::ios::app) << "x";
  EXPECT_TRUE(*directory_.damage());
  ASSERT_TRUE(directory_.put_aside());
  EXPECT_FALSE(*directory_.damage());
  EXPECT_TRUE(*directory_.is_repairing());
}

// A file that may not grow stands for a disk that is full.
TEST_F(DataDirectoryTest, DamageIsRememberedOnAFullDisk) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit full{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const Result<void> marked = directory_.mark_damaged("why");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(marked) << marked.error().message;
  EXPECT_TRUE(*directory_.damage());
}

TEST_F(DataDirectoryTest, WhoTheMemberIsIsReadBackOrSaidToBeDamaged) {
  EXPECT_FALSE(*directory_.read_member());
  ASSERT_TRUE(directory_.write_member("somebody"));
  EXPECT_EQ(*directory_.read_member(), "somebody");
  std::ofstream(path("member"), std::ios::app) << "x";
  EXPECT_EQ(directory_.read_member().error().code, Errc::corrupt);
  fs::remove(path("member"));
  fs::create_directory(path("member"));
  EXPECT_EQ(directory_.read_member().error().code, Errc::refused) << "etcd's";
}

}  // namespace
}  // namespace conclave::server
