// The command itself, in real processes against a real server.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <list>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/store_server.h"

namespace conclave {
namespace {

using conclave::test::Process;
using conclave::test::wait_until;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

class CommandTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(conclave::test::server_binary())) return;
    server_ = std::make_unique<conclave::test::StoreServer>();
  }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    if (!server_) GTEST_SKIP() << "there is no " << conclave::test::server_binary();
    ASSERT_TRUE(wait_until([&] {
      return run({"endpoint", "health"}).status == 0;
    })) << server_->log();
    name_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
  }

  Process& start(const std::string& program, Words words) {
    words.insert(words.begin(), {program, "--endpoints", server_->endpoint()});
    return processes_.emplace_back(std::move(words), file("out" + std::to_string(++started_)));
  }
  Process& conclave(Words words) { return start(CONCLAVE_COMMAND, std::move(words)); }

  struct Ended {
    int status;
    std::string output;
  };
  Ended run(Words words) {
    Process& process = conclave(std::move(words));
    const int status = process.wait();
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), process.output()};
  }
  std::string etcdctl(Words words) {
    Process& process = start(conclave::test::etcdctl_binary(), std::move(words));
    process.wait();
    return process.output();
  }
  static int status_of(Process& process) {
    const int status = process.wait();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string file(const std::string& name) const { return directory_.path() / name; }
  std::string contents(const std::string& name) const {
    std::ifstream in(file(name));
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  bool has_contender(const std::string& what) {
    return run({"lock", "--list", name_}).output.find(what) != std::string::npos;
  }

  // A command whose family has a grandchild in a session of its own; nobody in it heeds SIGTERM.
  Words family() const {
    const std::string pids = file("pids");
    return {"sh", "-c",
            "trap '' TERM; echo $$ >> " + pids + "; sleep 1000 & echo $! >> " + pids +
                "; setsid sh -c 'trap \"\" TERM; (sleep 1000 & echo $! >> " + pids + "); touch " +
                file("ready") + "' & wait; sleep 1000"};
  }
  // Succeeds if none of the family is left.
  Words check_family() const {
    return {"sh", "-c",
            "for p in $(cat " + file("pids") + "); do kill -0 $p && exit 50; done; exit 0"};
  }
  Process& lock(const Words& flags, const Words& command) {
    Words words{"lock", name_};
    words.insert(words.end(), flags.begin(), flags.end());
    if (!command.empty()) words.push_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return conclave(std::move(words));
  }

  static std::unique_ptr<conclave::test::StoreServer> server_;
  conclave::test::TempDir directory_;
  std::list<Process> processes_;
  int started_ = 0;
  std::string name_;
};
std::unique_ptr<conclave::test::StoreServer> CommandTest::server_;

TEST_F(CommandTest, EightProcessesIncrementOneFile) {
  std::ofstream(file("count")) << "0\n";
  const std::string count = file("count");
  const Words increment{"sh", "-c", "n=$(cat " + count + "); sleep 0.05; echo $((n+1)) > " + count};
  std::vector<Process*> all;
  for (int i = 0; i < 8; ++i) all.push_back(&lock({}, increment));
  for (Process* one : all) EXPECT_EQ(status_of(*one), 0) << one->output();
  EXPECT_EQ(contents("count"), "8\n");
  EXPECT_THAT(run({"lock", "--list", name_}).output, HasSubstr("free"));
}

TEST_F(CommandTest, AKilledHolderTakesItsFamilyAlong) {
  Process& holder = lock({"--ttl", "3"}, family());
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(file("ready")); }));
  Process& next = lock({}, check_family());
  ASSERT_TRUE(wait_until([&] { return has_contender("2nd"); }));
  holder.kill(SIGKILL);
  EXPECT_EQ(status_of(next), 0) << next.output();
}

TEST_F(CommandTest, AStoppedHolderLosesItsFamilyBeforeTheLockPasses) {
  Process& holder = lock({"--ttl", "3"}, family());
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(file("ready")); }));
  Process& next = lock({}, check_family());
  ASSERT_TRUE(wait_until([&] { return has_contender("2nd"); }));
  holder.kill(SIGSTOP);
  EXPECT_EQ(status_of(next), 0) << next.output();
  holder.kill(SIGCONT);
  EXPECT_EQ(status_of(holder), 121);
  EXPECT_THAT(holder.output(), HasSubstr("lost the lock"));
}

TEST_F(CommandTest, TheCommandsEndPassesThrough) {
  EXPECT_EQ(run({"lock", name_, "--", "sh", "-c", "exit 7"}).status, 7);
  EXPECT_EQ(run({"lock", name_, "--", "sh", "-c", "kill -9 $$"}).status, 128 + SIGKILL);
  EXPECT_EQ(run({"lock", name_, "--", "/nowhere/at-all"}).status, 127);
  EXPECT_EQ(run({"lock", name_, "--", "/"}).status, 126);
  const Ended ambiguous = run({"lock", name_, "--", "sh", "-c", "exit 121"});
  EXPECT_EQ(ambiguous.status, 121);
  EXPECT_THAT(ambiguous.output, HasSubstr("that of sh itself"));
  EXPECT_THAT(run({"lock", "--list", name_}).output, HasSubstr("free"));
}

TEST_F(CommandTest, SignalsPassToTheCommand) {
  Process& holder =
      lock({}, {"sh", "-c",
                "trap 'exit 9' TERM; touch " + file("ready") + "; while :; do sleep 0.05; done"});
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(file("ready")); }));
  holder.kill(SIGTERM);
  EXPECT_EQ(status_of(holder), 9);
}

TEST_F(CommandTest, TheCommandFindsItsFence) {
  const auto fence = [&] {
    return std::stoll(run({"lock", name_, "--", "sh", "-c",
                           "[ $CONCLAVE_FENCE = $ETCD_LOCK_REV ] && [ -n \"$ETCD_LOCK_KEY\" ] && "
                           "echo $CONCLAVE_FENCE"})
                          .output);
  };
  const auto first = fence();
  EXPECT_GT(fence(), first);
}

TEST_F(CommandTest, AWaitTimesOutAndLeavesNothing) {
  Process& holder = lock({"--label", "rollout"}, {});
  ASSERT_TRUE(wait_until([&] { return has_contender("(rollout)"); }));
  const Ended late = run({"lock", name_, "--timeout", "300ms", "--", "true"});
  EXPECT_EQ(late.status, 120);
  EXPECT_THAT(late.output, HasSubstr("waiting for " + name_ + ": held by "));
  EXPECT_THAT(late.output, HasSubstr("(rollout)"));
  EXPECT_THAT(late.output, HasSubstr("you are 2nd"));
  EXPECT_THAT(run({"lock", "--list", name_}).output, HasSubstr("held, 0 waiting"));
  holder.kill(SIGINT);
  EXPECT_EQ(status_of(holder), 0);
  EXPECT_THAT(holder.output(), HasSubstr(name_ + "/"));
  EXPECT_THAT(run({"lock", "--list", name_}).output, HasSubstr("free"));
}

TEST_F(CommandTest, ATimeoutOfZeroTriesOnce) {
  for (const char* zero : {"0", "0s"}) {
    EXPECT_EQ(run({"lock", name_, "--timeout", zero, "--", "sh", "-c", "exit 7"}).status, 7);
    EXPECT_EQ(run({"elect", name_, "me", "--timeout", zero, "--", "sh", "-c", "exit 7"}).status, 7);
  }
  ASSERT_EQ(run({"put", name_ + "/squatter", "x"}).status, 0);
  EXPECT_EQ(run({"lock", name_, "--timeout=0", "--", "true"}).status, 120);
  EXPECT_EQ(run({"elect", name_, "me", "--timeout=0", "--", "true"}).status, 120);
}

TEST_F(CommandTest, ATimeoutBoundsTheFirstConnectionToo) {
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(run({"lock", name_, "--endpoints", "127.0.0.1:1", "--command-timeout", "60s",
                 "--timeout", "300ms", "--", "true"})
                .status,
            122);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 30s);
}

TEST_F(CommandTest, AWaiterOutlivesTheStoresAbsence) {
  ASSERT_EQ(run({"put", name_ + "/squatter", "x"}).status, 0);
  Process& waiter = lock({"--ttl", "2", "--command-timeout", "1s"}, {"sh", "-c", "exit 7"});
  ASSERT_TRUE(wait_until([&] { return has_contender("2nd"); }));
  const auto says = [&](const char* what) {
    return wait_until([&] { return waiter.output().find(what) != std::string::npos; });
  };
  server_->kill(SIGSTOP);
  const bool told = says("the store is away");
  server_->kill(SIGCONT);
  EXPECT_TRUE(told) << waiter.output();
  EXPECT_TRUE(says("the store is back; queueing again")) << waiter.output();
  ASSERT_TRUE(wait_until([&] { return run({"del", name_ + "/squatter"}).output == "1\n"; }));
  EXPECT_EQ(status_of(waiter), 7) << waiter.output();
}

TEST_F(CommandTest, AWaiterThatWasStoppedQueuesAgain) {
  ASSERT_EQ(run({"put", name_ + "/squatter", "x"}).status, 0);
  Process& waiter = lock({"--ttl", "2"}, {"sh", "-c", "exit 7"});
  ASSERT_TRUE(wait_until([&] { return has_contender("2nd"); }));
  waiter.kill(SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return has_contender("0 waiting"); }));
  waiter.kill(SIGCONT);
  EXPECT_TRUE(wait_until([&] { return has_contender("2nd"); })) << waiter.output();
  EXPECT_THAT(waiter.output(), HasSubstr("queueing again"));
  ASSERT_EQ(run({"del", name_ + "/squatter"}).status, 0);
  EXPECT_EQ(status_of(waiter), 7) << waiter.output();
}

// A shell with job control on a terminal of its own; what it prints comes back.
TEST_F(CommandTest, TheCommandReadsFromTheTerminalAfterFg) {
  const std::string script = file("script");
  std::ofstream(script) << "set -m\n"
                        << CONCLAVE_COMMAND << " --endpoints " << server_->endpoint() << " lock "
                        << name_ << " -- sh -c 'echo $$ > " << file("pid")
                        << "; read x; echo got $x' &\n"
                        << "until grep -q '^State:.*T' /proc/$(cat " << file("pid")
                        << ")/status; do sleep 0.05; done 2>" << file("noise")
                        << "\necho stopped\nfg\n";
  int master = -1;
  const pid_t shell = ::forkpty(&master, nullptr, nullptr, nullptr);
  if (shell == 0) {
    ::execlp("bash", "bash", "--norc", "--noprofile", script.c_str(), nullptr);
    ::_exit(127);
  }
  ASSERT_GT(shell, 0);
  std::string seen;
  const auto sees = [&](const char* what) {
    return wait_until([&] {
      pollfd source{master, POLLIN, 0};
      char bytes[1024];
      while (::poll(&source, 1, 0) > 0) {
        const ssize_t size = ::read(master, bytes, sizeof(bytes));
        if (size <= 0) break;
        seen.append(bytes, static_cast<std::size_t>(size));
      }
      return seen.find(what) != std::string::npos;
    });
  };
  EXPECT_TRUE(sees("stopped")) << seen;
  EXPECT_EQ(::write(master, "hello\n", 6), 6);
  EXPECT_TRUE(sees("got hello")) << seen;
  ::close(master);
  if (::testing::Test::HasFailure()) ::kill(shell, SIGKILL);
  ::waitpid(shell, nullptr, 0);
}

TEST_F(CommandTest, EtcdctlAndConclaveExcludeEachOther) {
  Process& ours = lock({}, {});
  ASSERT_TRUE(wait_until([&] { return has_contender("1st"); }));
  Process& theirs = start(conclave::test::etcdctl_binary(), {"lock", name_});
  ASSERT_TRUE(wait_until([&] { return has_contender("2nd"); }));
  EXPECT_EQ(theirs.output(), "");
  ours.kill(SIGINT);
  EXPECT_EQ(status_of(ours), 0);
  ASSERT_TRUE(wait_until([&] { return !theirs.output().empty(); }));
  EXPECT_EQ(run({"lock", name_, "--timeout", "300ms", "--", "true"}).status, 120);
  theirs.kill(SIGINT);
  EXPECT_EQ(run({"lock", name_, "--", "true"}).status, 0);
}

TEST_F(CommandTest, ElectionLeadsAndListens) {
  Process& leader = conclave({"elect", name_, "10.0.0.7:80"});
  ASSERT_TRUE(wait_until([&] {
    return leader.output().find("10.0.0.7:80\n") != std::string::npos;
  })) << leader.output();
  Process& listener = conclave({"elect", "--listen", name_});
  ASSERT_TRUE(wait_until([&] { return listener.output() == leader.output(); }))
      << listener.output();
  Process& second = conclave({"elect", name_, "second", "--", "sh", "-c", "exit 5"});
  ASSERT_TRUE(wait_until([&] { return has_contender("2nd"); }));
  leader.kill(SIGINT);
  EXPECT_EQ(status_of(leader), 0);
  EXPECT_EQ(status_of(second), 5);
  ASSERT_TRUE(wait_until([&] { return listener.output().find("second\n") != std::string::npos; }));
}

TEST_F(CommandTest, OutputIsThatOfEtcdctl) {
  ASSERT_EQ(run({"put", name_ + "/a", "1"}).status, 0);
  ASSERT_EQ(run({"put", name_ + "/b", "x \"y\"\n\x01"}).status, 0);
  for (const char* format : {"simple", "json", "fields", "protobuf"}) {
    for (const Words& words : std::vector<Words>{{"get", name_ + "/", "--prefix"},
                                                 {"get", name_ + "/a", "--keys-only"},
                                                 {"get", name_ + "/none"},
                                                 {"get", "--from-key", name_, "--limit=1"},
                                                 {"del", name_ + "/none"},
                                                 {"member", "list"},
                                                 {"lease", "timetolive", "7"}}) {
      if (format == std::string("protobuf") && words[0] != "get") continue;
      Words all = words;
      all.insert(all.end(), {"-w", format});
      EXPECT_EQ(run(all).output, etcdctl(all)) << words[0] << " " << format;
    }
  }
  EXPECT_EQ(run({"member", "list", "-w", "table"}).output,
            etcdctl({"member", "list", "-w", "table"}));
}

TEST_F(CommandTest, WatchReplaysFromAnOldRevision) {
  ASSERT_EQ(run({"put", name_, "1"}).status, 0);
  const std::string json = run({"put", name_, "2", "-w", "json"}).output;
  const std::size_t at = json.find("\"revision\":") + 11;
  const auto revision = std::stoll(json.substr(at));
  Process& watch = conclave({"watch", name_, "--rev", std::to_string(revision - 1)});
  const std::string past = "PUT\n" + name_ + "\n1\nPUT\n" + name_ + "\n2\n";
  ASSERT_TRUE(wait_until([&] { return watch.output() == past; })) << watch.output();
  ASSERT_EQ(run({"del", name_}).status, 0);
  ASSERT_TRUE(wait_until([&] { return watch.output() == past + "DELETE\n" + name_ + "\n\n"; }))
      << watch.output();
}

TEST_F(CommandTest, FailuresHaveTheirStatuses) {
  EXPECT_EQ(run({"get"}).status, 123);
  EXPECT_EQ(run({"get", "a", "--endpoints", "127.0.0.1:1", "--command-timeout", "500ms"}).status,
            122);
  EXPECT_EQ(
      run({"lock", name_, "--endpoints", "127.0.0.1:1", "--command-timeout", "500ms", "--", "true"})
          .status,
      122);
  EXPECT_EQ(run({"lease", "revoke", "7"}).status, 1);
  EXPECT_EQ(run({"lease", "grant", "99999999999"}).status, 1);
  const Ended long_ttl = run({"lock", name_, "--ttl", "99999999999", "--", "true"});
  EXPECT_EQ(long_ttl.status, 123);
  EXPECT_THAT(long_ttl.output, HasSubstr("--ttl is at most"));
  EXPECT_EQ(run({"txn"}).status, 123);
  EXPECT_EQ(run({"lock", "--help"}).status, 0);
}

}  // namespace
}  // namespace conclave
