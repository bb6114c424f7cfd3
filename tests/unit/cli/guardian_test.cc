// The guardian with real processes and no store: whatever becomes of the keeper, the command's
// family is gone in time.

#include <csignal>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/cli/guardian/guarded_command.h"
#include "conclave/cli/guardian/process_tree.h"

#include "tests/support/fresh_directory.h"

namespace conclave::cli {
namespace {

using namespace std::chrono_literals;

bool runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  const char state = line[line.rfind(')') + 2];
  return state != 'Z' && state != 'X';
}

class GuardianTest : public testing::Test {
 protected:
  // A shell, a child of it, and a grandchild that has left its session and ignores SIGTERM. Each
  // writes its pid down; once all three have, "ready" is written.
  std::vector<std::string> family() const {
    const std::string pids = directory_.path() + "/pids";
    return {"sh", "-c",
            "trap '' TERM; echo $$ >> " + pids + "; sleep 1000 & echo $! >> " + pids +
                "; setsid sh -c 'trap \"\" TERM; (sleep 1000 & echo $! >> " + pids +
                "); echo ready >> " + pids + "' & wait; wait; sleep 1000"};
  }

  std::set<pid_t> wait_for_family() const {
    for (;;) {
      std::ifstream file(directory_.path() + "/pids");
      std::set<pid_t> pids;
      bool ready = false;
      for (std::string line; std::getline(file, line);) {
        if (line == "ready") {
          ready = true;
        } else if (!line.empty()) {
          pids.insert(static_cast<pid_t>(std::stol(line)));
        }
      }
      if (ready && pids.size() == 3) return pids;
      std::this_thread::sleep_for(5ms);
    }
  }

  static CommandEnd wait_for_end(GuardedCommand& command) {
    for (;;) {
      if (auto end = command.poll_end()) return *end;
      pollfd source{command.fd(), POLLIN, 0};
      ::poll(&source, 1, -1);
    }
  }

  static void wait_until_gone(const std::set<pid_t>& pids) {
    for (const pid_t pid : pids) {
      while (runs(pid)) std::this_thread::sleep_for(2ms);
    }
  }

  static CommandEnd run(std::vector<std::string> words) {
    auto command = GuardedCommand::prepare(std::move(words), {});
    EXPECT_TRUE(command);
    command->start(60s, BootClock::now() + 60s, {{"GIVEN", "19"}});
    return wait_for_end(*command);
  }

  test::FreshDirectory directory_;
};

TEST_F(GuardianTest, ExitStatusPassesThrough) {
  const CommandEnd end = run({"sh", "-c", "exit 7"});
  EXPECT_TRUE(end.started);
  EXPECT_EQ(end.cause, EndCause::none);
  ASSERT_TRUE(WIFEXITED(end.wait_status));
  EXPECT_EQ(WEXITSTATUS(end.wait_status), 7);
}

TEST_F(GuardianTest, SignalPassesThrough) {
  const CommandEnd end = run({"sh", "-c", "kill -9 $$"});
  ASSERT_TRUE(WIFSIGNALED(end.wait_status));
  EXPECT_EQ(WTERMSIG(end.wait_status), SIGKILL);
}

TEST_F(GuardianTest, EnvironmentReachesTheCommand) {
  EXPECT_EQ(WEXITSTATUS(run({"sh", "-c", "exit $GIVEN"}).wait_status), 19);
}

TEST_F(GuardianTest, AMissingCommandIsSaidToBeMissing) {
  const CommandEnd end = run({"/nowhere/at-all"});
  EXPECT_FALSE(end.started);
  EXPECT_EQ(end.error_number, ENOENT);
}

TEST_F(GuardianTest, ACommandIsNotStartedTooLate) {
  auto command = GuardedCommand::prepare(family(), {});
  ASSERT_TRUE(command);
  command->start(10s, BootClock::now() + 1s, {});
  const CommandEnd end = wait_for_end(*command);
  EXPECT_FALSE(end.started);
  EXPECT_EQ(end.cause, EndCause::deadline);
}

TEST_F(GuardianTest, DeadlineEndsTheWholeFamilyBeforeTheValidityEnds) {
  auto command = GuardedCommand::prepare(family(), {});
  ASSERT_TRUE(command);
  const Instant valid_until = BootClock::now() + 8s;
  command->start(10s, valid_until, {});
  const auto pids = wait_for_family();
  const CommandEnd end = wait_for_end(*command);
  EXPECT_LT(BootClock::now(), valid_until);
  EXPECT_EQ(end.cause, EndCause::deadline);
  for (const pid_t pid : pids) EXPECT_FALSE(runs(pid)) << pid;
}

TEST_F(GuardianTest, ExtensionsKeepItRunning) {
  auto command = GuardedCommand::prepare({"sh", "-c", "sleep 3; exit 4"}, {});
  ASSERT_TRUE(command);
  command->start(2s, BootClock::now() + 2s, {});
  std::optional<CommandEnd> end;
  while (!(end = command->poll_end())) {
    command->extend(BootClock::now() + 2s);
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(end->cause, EndCause::none);
  EXPECT_EQ(WEXITSTATUS(end->wait_status), 4);
}

// What the guardian has not read when it ends must not cost its report.
TEST_F(GuardianTest, AnExtensionThatCrossesTheEndLosesNoStatus) {
  for (int i = 0; i < 100; ++i) {
    auto command = GuardedCommand::prepare({"sh", "-c", "exit 4"}, {});
    ASSERT_TRUE(command);
    command->start(60s, BootClock::now() + 60s, {});
    std::optional<CommandEnd> end;
    while (!(end = command->poll_end())) command->extend(BootClock::now() + 60s);
    ASSERT_EQ(end->cause, EndCause::none) << i;
    ASSERT_EQ(WEXITSTATUS(end->wait_status), 4);
  }
}

TEST_F(GuardianTest, ALostLockEndsTheFamilyAtOnce) {
  auto command = GuardedCommand::prepare(family(), {});
  ASSERT_TRUE(command);
  command->start(600s, BootClock::now() + 600s, {});
  const auto pids = wait_for_family();
  command->end_now();
  EXPECT_EQ(wait_for_end(*command).cause, EndCause::lost);
  for (const pid_t pid : pids) EXPECT_FALSE(runs(pid)) << pid;
}

TEST_F(GuardianTest, SignalsReachTheCommand) {
  const std::string ready = directory_.path() + "/ready";
  auto command = GuardedCommand::prepare(
      {"sh", "-c", "trap 'exit 9' USR1; echo > " + ready + "; while :; do sleep 0.05; done"}, {});
  ASSERT_TRUE(command);
  command->start(600s, BootClock::now() + 600s, {});
  while (::access(ready.c_str(), F_OK) != 0) std::this_thread::sleep_for(5ms);
  command->pass_signal(SIGUSR1);
  EXPECT_EQ(WEXITSTATUS(wait_for_end(*command).wait_status), 9);
}

TEST_F(GuardianTest, WhatACommandLeavesBehindIsEndedWithIt) {
  const std::string pids = directory_.path() + "/pids";
  const CommandEnd end = run({"sh", "-c",
                              "setsid sh -c 'echo $$ >> " + pids + "; sleep 1000' & while ! [ -s " +
                                  pids + " ]; do sleep 0.01; done; exit 3"});
  EXPECT_EQ(end.cause, EndCause::leftovers);
  EXPECT_EQ(WEXITSTATUS(end.wait_status), 3);
  std::ifstream file(pids);
  pid_t left_behind = 0;
  file >> left_behind;
  EXPECT_GT(left_behind, 0);
  EXPECT_FALSE(runs(left_behind));
}

TEST_F(GuardianTest, AKilledGuardianLeavesNobodyBehind) {
  auto command = GuardedCommand::prepare(family(), {});
  ASSERT_TRUE(command);
  command->start(600s, BootClock::now() + 600s, {});
  const auto pids = wait_for_family();
  pid_t guardian = 0;
  for (const pid_t pid : descendants()) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    if (std::getline(file, name) && name == "lock-guardian") guardian = pid;
  }
  ASSERT_GT(guardian, 0);
  ::kill(guardian, SIGKILL);
  EXPECT_EQ(wait_for_end(*command).cause, EndCause::abandoned);
  for (const pid_t pid : pids) EXPECT_FALSE(runs(pid)) << pid;
}

// A keeper in a process of its own, to be killed or stopped.
class KeeperTest : public GuardianTest {
 protected:
  pid_t start_keeper(Duration ttl, Instant valid_until) const {
    const pid_t keeper = ::fork();
    if (keeper != 0) return keeper;
    auto command = GuardedCommand::prepare(family(), {});
    if (!command) ::_exit(1);
    command->start(ttl, valid_until, {});
    for (;;) ::pause();
  }
};

TEST_F(KeeperTest, AKilledKeeperTakesTheFamilyAlong) {
  const Instant valid_until = BootClock::now() + 600s;
  const pid_t keeper = start_keeper(600s, valid_until);
  const auto pids = wait_for_family();
  ::kill(keeper, SIGKILL);
  const Instant killed_at = BootClock::now();
  wait_until_gone(pids);
  EXPECT_LT(BootClock::now() - killed_at, 60s);
  ::waitpid(keeper, nullptr, 0);
}

TEST_F(KeeperTest, AStoppedKeeperDoesNotHoldUpTheDeadline) {
  const Instant valid_until = BootClock::now() + 8s;
  const pid_t keeper = start_keeper(10s, valid_until);
  const auto pids = wait_for_family();
  ::kill(keeper, SIGSTOP);
  wait_until_gone(pids);
  EXPECT_LT(BootClock::now(), valid_until);
  ::kill(keeper, SIGKILL);
  ::waitpid(keeper, nullptr, 0);
}

}  // namespace
}  // namespace conclave::cli
