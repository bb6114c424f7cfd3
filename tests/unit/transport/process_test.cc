// A peer in a process of its own: what its end, and what its silence looks like.

#include "tests/support/process.h"

#include <csignal>

#include <gtest/gtest.h>

#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

using std::chrono::milliseconds;

class ProcessTest : public ::testing::Test {
 protected:
  void start_member() {
    member_.options.ping_interval = member_.options.ping_timeout = milliseconds(300);
    member_.start();
  }
  void start_echo() {
    const auto output = directory_.path() / ("echo" + std::to_string(++starts_));
    echo_ = std::make_unique<test::Process>(
        std::vector<std::string>{TRANSPORT_ECHO_MEMBER, "2", "1", member_.url()}, output);
    ASSERT_TRUE(test::wait_until([&] { return echo_->output().ends_with("\n"); }));
    const std::string url = echo_->output();
    member_.links->set_peers({{2, {url.substr(0, url.size() - 1)}}});
  }
  // Packets go there and back.
  void exchange_packets() {
    const std::string mark = "mark " + std::to_string(++marks_);
    ASSERT_TRUE(test::wait_until([&] {
      member_.links->send(2, Lane::bulk, mark);
      return member_.events.look([&] {
        const auto& packets = member_.events.packets;
        return std::find(packets.begin(), packets.end(), mark) != packets.end();
      });
    }));
  }
  int goings() {
    return member_.events.look([&] { return member_.events.goings[2]; });
  }

  test::TempDir directory_;
  Member member_{1};
  std::unique_ptr<test::Process> echo_;
  int starts_ = 0;
  int marks_ = 0;
};

TEST_F(ProcessTest, AKilledPeerIsGone) {
  start_member();
  for (int round = 1; round <= 5; ++round) {
    start_echo();
    exchange_packets();
    echo_->kill(SIGKILL);
    EXPECT_TRUE(member_.events.wait_for([&] { return member_.events.goings[2] >= round; }));
    echo_->wait();
  }
  EXPECT_EQ(goings(), 5);
}

TEST_F(ProcessTest, AStoppedPeerIsUnreachableButNotGone) {
  start_member();
  start_echo();
  exchange_packets();
  const auto losses = [&] { return member_.events.losses[2]; };
  const int before = member_.events.look(losses);
  echo_->kill(SIGSTOP);
  EXPECT_TRUE(member_.events.wait_for([&] { return losses() > before; }));
  // Whatever is sent meanwhile is dropped once it is too much.
  const std::string megabyte(1'000'000, 'x');
  for (int i = 0; i < 200; ++i) member_.links->send(2, Lane::bulk, megabyte);
  const int then = member_.events.look(losses);
  EXPECT_TRUE(member_.events.wait_for([&] { return losses() > then; }));
  echo_->kill(SIGCONT);
  exchange_packets();
  EXPECT_EQ(goings(), 0);
}

TEST_F(ProcessTest, StoppingDoesNotWaitForAPeerThatDoesNotAnswer) {
  start_member();
  start_echo();
  exchange_packets();
  echo_->kill(SIGSTOP);
  for (int i = 0; i < 100; ++i) member_.links->send(2, Lane::bulk, std::string(1'000'000, 'x'));
  const auto begin = std::chrono::steady_clock::now();
  member_.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace conclave::transport
