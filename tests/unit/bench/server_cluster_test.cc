#include "conclave/bench/server_cluster.h"

#include <cstddef>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "conclave/bench/machine.h"

namespace conclave::bench {
namespace {

// A program that says with which flags it was started, and stays.
class ServerClusterTest : public ::testing::Test {
 protected:
  ServerClusterTest() {
    const std::string path = directory_.path() + "/server";
    std::ofstream(path) << "#!/bin/sh\nprintf '%s\\n' \"$@\" end\nexec sleep 1000\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    program_ = {"pretended", path, {"--of-the-program"}};
  }

  // What the values of a flag are, over all members and their runs, once they have said `ends`
  // times that this is all.
  static std::multiset<std::string> values(ServerCluster& servers, const std::string& flag,
                                           std::size_t ends) {
    std::multiset<std::string> found;
    EXPECT_TRUE(test::wait_until([&] {
      std::istringstream lines(servers.last_words());
      std::size_t ended = 0;
      found.clear();
      for (std::string line; std::getline(lines, line);) {
        if (line == "end") ++ended;
        if (line.starts_with(flag)) found.insert(line.substr(flag.size()));
      }
      return ended == ends;
    }));
    return found;
  }

  test::FreshDirectory directory_;
  ServerProgram program_;
};

TEST_F(ServerClusterTest, MembersKnowEachOtherAndShareNothing) {
  ServerCluster servers(program_, directory_.path(), 3);
  servers.launch();
  const auto clusters = values(servers, "--initial-cluster=", 3);
  ASSERT_EQ(clusters.size(), 3U);
  EXPECT_EQ(clusters.count(*clusters.begin()), 3U) << "all are told of the same";
  for (const char* flag :
       {"--name=", "--data-dir=", "--listen-client-urls=", "--initial-advertise-peer-urls="}) {
    const auto found = values(servers, flag, 3);
    EXPECT_EQ(std::set<std::string>(found.begin(), found.end()).size(), 3U) << flag;
  }
  for (const std::string& url : values(servers, "--initial-advertise-peer-urls=", 3)) {
    EXPECT_NE(clusters.begin()->find(url), std::string::npos) << url;
  }
  EXPECT_EQ(values(servers, "--of-the-program", 3).size(), 3U);
}

TEST_F(ServerClusterTest, FlagsOfARestartStay) {
  ServerCluster servers(program_, directory_.path(), 2);
  servers.launch();
  const auto before = servers.pids();
  EXPECT_TRUE(values(servers, "--more", 2).empty());
  servers.restart_with({"--more"});
  EXPECT_NE(servers.pids(), before);
  EXPECT_EQ(values(servers, "--more", 4).size(), 2U);
  servers[1].begin_kill();
  servers[1].kill_hard();
  EXPECT_TRUE(servers.has_ended());
  servers.launch(1);
  EXPECT_FALSE(servers.has_ended());
  EXPECT_EQ(values(servers, "--more", 5).size(), 3U);
}

TEST_F(ServerClusterTest, APausedMemberStandsStillUntilItIsResumed) {
  ServerCluster servers(program_, directory_.path(), 1);
  servers.launch();
  values(servers, "--name=", 1);
  const auto state = [&servers] {
    std::ifstream file("/proc/" + std::to_string(servers[0].pid()) + "/stat");
    std::string text;
    std::getline(file, text);
    return text.at(text.rfind(')') + 2);
  };
  servers[0].pause();
  EXPECT_EQ(state(), 'T');
  servers[0].resume();
  EXPECT_TRUE(test::wait_until([&state] { return state() != 'T'; }));
}

TEST(UsageMeter, AddsTheServersUp) {
  const UsageMeter one({getpid()});
  const UsageMeter two({getpid(), getpid()});
  const double begin = own_cpu_seconds();
  while (own_cpu_seconds() - begin < 0.02) {
  }
  const double twice = two.stop().server_cpu_seconds;
  const double once = one.stop().server_cpu_seconds;
  EXPECT_GE(once, 0.02);
  EXPECT_GE(twice, 0.04);
  EXPECT_LT(twice, 2.5 * once);
}

}  // namespace
}  // namespace conclave::bench
