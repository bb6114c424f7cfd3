// A disk that is full: a clear error, a clean stop, and everything acknowledged there again once
// there is room.
//
// The disk is a tmpfs of a few megabytes in a mount namespace that the test makes, so it needs to
// be root.

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/server/conclaved_fixture.h"

namespace conclave::test {
namespace {

class FullDiskTest : public ConclavedTest {
 protected:
  void mount_disk(const std::string& options, unsigned long flags) {
    ASSERT_EQ(mount("tmpfs", disk().c_str(), "tmpfs", flags, options.c_str()), 0)
        << strerror(errno);
  }
  std::filesystem::path disk() const { return dir_.path() / "disk"; }
};

TEST_F(FullDiskTest, StopsCleanlyAndLosesNothingAcknowledged) {
  // In this process alone: nobody else sees the mount, and it goes with the process.
  if (unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "may not mount a small disk: " << strerror(errno);
  // In a changed root "/" is no mount point, and there is nobody to hide from.
  ASSERT_TRUE(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 || errno == EINVAL);
  std::filesystem::create_directory(disk());
  mount_disk("size=6m", 0);

  start_in(disk() / "data");
  int acknowledged = 0;
  {
    Client client = connect();
    // Incompressible by design: every put is a new key, and the history is young.
    for (int i = 0; i < 3000; ++i) {
      const auto put = client.put("key" + std::to_string(i), std::string(10000, 'x'),
                                  {.timeout = std::chrono::seconds(2)});
      if (!put) break;
      acknowledged = i + 1;
    }
  }
  ASSERT_GT(acknowledged, 10);
  ASSERT_LT(acknowledged, 3000) << "the disk never was full";
  ASSERT_TRUE(wait_until([this] { return server_->poll().has_value(); }));
  EXPECT_TRUE(WIFEXITED(server_->wait()) && WEXITSTATUS(server_->wait()) == 1);
  EXPECT_NE(server_->output().find("No space left on device"), std::string::npos)
      << server_->output();

  mount_disk("size=200m", MS_REMOUNT);
  start_in(disk() / "data");
  Client client = connect();
  for (int i = 0; i < acknowledged; ++i) {
    const auto got = client.get("key" + std::to_string(i));
    ASSERT_TRUE(got && got->kvs.size() == 1) << "key" << i << " is gone";
    EXPECT_EQ(got->kvs[0].value.size(), 10000U);
  }
  EXPECT_EQ(stop_server(), 0);
  umount(disk().c_str());
}

TEST_F(ConclavedTest, AFileThatMayNotGrowIsReportedLikeAFullDisk) {
  start();
  const rlimit limit{1 << 20, RLIM_INFINITY};
  ASSERT_EQ(prlimit(server_->pid(), RLIMIT_FSIZE, &limit, nullptr), 0) << strerror(errno);
  Client client = connect();
  int acknowledged = 0;
  while (acknowledged < 1000 &&
         client.put("key" + std::to_string(acknowledged), std::string(100'000, 'x'),
                    {.timeout = std::chrono::seconds(2)})) {
    ++acknowledged;
  }
  ASSERT_LT(acknowledged, 1000) << "the limit never was met";
  const int status = server_->wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  EXPECT_NE(server_->output().find("File too large"), std::string::npos) << server_->output();

  start();
  for (int i = 0; i < acknowledged; ++i) {
    const auto got = connect().get("key" + std::to_string(i));
    ASSERT_TRUE(got && got->kvs.size() == 1) << "key" << i << " is gone";
  }
}

}  // namespace
}  // namespace conclave::test
