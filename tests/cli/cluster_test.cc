// The verbs for clusters, in real processes against a cluster of three: the packaged etcd's, or our
// own if the environment's CONCLAVE_TEST_SERVER names it.

#include <algorithm>
#include <fstream>
#include <list>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

#include "conclave/client/client.h"

#include "tests/support/etcd_cluster.h"

namespace conclave {
namespace {

using conclave::test::Process;
using conclave::test::wait_until;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

std::string joined(const Words& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

Words lines_of(const std::string& text) {
  Words out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

class ClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    binary_ = test::etcd_binary(CONCLAVE_PEERS_DIR);
    if (binary_.empty()) GTEST_SKIP() << "there is no etcd in " CONCLAVE_PEERS_DIR;
    cluster_ = std::make_unique<test::EtcdCluster>(binary_, 3);
    ASSERT_TRUE(wait_until([&] {
      return run({"endpoint", "health"}).status == 0;
    })) << cluster_->log(0);
  }

  struct Ended {
    int status;
    std::string output;
  };
  Ended start_and_wait(Words words) {
    Process& process = processes_.emplace_back(std::move(words), file(std::to_string(++started_)));
    const int status = process.wait();
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), process.output()};
  }
  Ended run_at(const Words& endpoints, Words words) {
    words.insert(words.begin(), {CONCLAVE_COMMAND, "--endpoints", joined(endpoints, ",")});
    return start_and_wait(std::move(words));
  }
  Ended run(Words words) { return run_at(cluster_->endpoints(), std::move(words)); }
  std::string etcdctl(Words words) {
    words.insert(words.begin(), {CONCLAVE_PEERS_DIR "/etcdctl", "--endpoints",
                                 joined(cluster_->endpoints(), ",")});
    return start_and_wait(std::move(words)).output;
  }
  json in_json(Words words) {
    words.insert(words.end(), {"-w", "json"});
    return parsed(run(std::move(words)).output);
  }
  static json parsed(const std::string& text) {
    json out = json::parse(text, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(out.is_discarded()) << text;
    return out;
  }

  bool is_ours() const { return std::filesystem::path(binary_).filename() == "conclaved"; }
  // Each has a file of its own, which the other cannot read.
  json snapshot_status(const std::string& path) {
    const Words words{"snapshot", "status", path, "-w", "json"};
    return parsed(is_ours() ? run(words).output : etcdctl(words));
  }

  struct Standing {
    std::string endpoint;
    std::uint64_t member;
    bool leads;
  };
  std::vector<Standing> standings() {
    std::vector<Standing> out;
    for (const json& one : in_json({"endpoint", "status"})) {
      const json& status = one["Status"];
      const std::uint64_t member = status["header"]["member_id"];
      out.push_back({one["Endpoint"], member, status.value("leader", std::uint64_t{0}) == member});
    }
    return out;
  }
  static std::string hex(std::uint64_t id) {
    std::ostringstream out;
    out << std::hex << id;
    return out.str();
  }
  std::string file(const std::string& name) const { return directory_.path() / name; }

  std::string binary_;
  std::unique_ptr<test::EtcdCluster> cluster_;
  test::TempDir directory_;
  std::list<Process> processes_;
  int started_ = 0;
};

TEST_F(ClusterTest, EveryMemberIsAsked) {
  const Words one{cluster_->endpoints().front()};
  const Ended healthy = run_at(one, {"endpoint", "health", "--cluster"});
  EXPECT_EQ(healthy.status, 0) << healthy.output;
  EXPECT_THAT(lines_of(healthy.output), SizeIs(3));
  EXPECT_THAT(lines_of(run_at(one, {"endpoint", "status", "--cluster"}).output), SizeIs(3));
  EXPECT_THAT(run({"endpoint", "status", "-w", "table"}).output, HasSubstr("| IN USE |"));
  const Ended defragmented = run_at(one, {"defrag", "--cluster"});
  EXPECT_EQ(defragmented.status, 0) << defragmented.output;
  EXPECT_THAT(lines_of(defragmented.output), SizeIs(3));

  cluster_->kill(1);
  // If it led, the others have nobody to commit with for a while.
  const Words others{cluster_->endpoints()[0], cluster_->endpoints()[2]};
  ASSERT_TRUE(wait_until([&] { return run_at(others, {"endpoint", "health"}).status == 0; }));
  const Ended unhealthy = run_at(one, {"endpoint", "health", "--cluster"});
  EXPECT_EQ(unhealthy.status, 122);
  EXPECT_THAT(unhealthy.output, HasSubstr(cluster_->endpoints()[1] + " is unhealthy"));
  EXPECT_THAT(unhealthy.output, HasSubstr(cluster_->endpoints()[2] + " is healthy"));
  EXPECT_THAT(unhealthy.output, HasSubstr("Error: unhealthy cluster"));
  const Ended status = run({"endpoint", "status"});
  EXPECT_EQ(status.status, 122);
  EXPECT_THAT(status.output, HasSubstr("Failed to get the status of endpoint"));
}

TEST_F(ClusterTest, HashesAreComparedAtOneRevision) {
  ASSERT_EQ(run({"put", "a", "1"}).status, 0);
  ASSERT_TRUE(wait_until([&] {
    const json all = in_json({"endpoint", "hashkv"});
    return std::all_of(all.begin(), all.end(),
                       [](const json& one) { return one["HashKV"]["header"]["revision"] == 2; });
  }));
  EXPECT_EQ(run({"endpoint", "hashkv"}).output, etcdctl({"endpoint", "hashkv"}));
  EXPECT_EQ(run({"endpoint", "hashkv", "--rev", "99"}).status, 1);

  // While it is written to, the newest revisions differ, and with them the hashes.
  Client client = Client::connect({.endpoints = cluster_->endpoints()}).value();
  std::vector<std::jthread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&client](const std::stop_token& stop) {
      while (!stop.stop_requested()) (void)client.put("k", "v");
    });
  }
  for (int i = 0; i < 10; ++i) {
    const Ended hashes = run({"endpoint", "hashkv", "--cluster"});
    EXPECT_EQ(hashes.status, 0) << hashes.output;
    EXPECT_THAT(lines_of(hashes.output), SizeIs(3));
  }
}

TEST_F(ClusterTest, HashesThatDifferAreAFailure) {
  const test::EtcdCluster other(binary_, 1);
  ASSERT_TRUE(wait_until([&] { return run_at(other.endpoints(), {"put", "a", "2"}).status == 0; }));
  ASSERT_EQ(run({"put", "a", "1"}).status, 0);
  const Words both{cluster_->endpoints()[0], other.endpoints()[0]};
  ASSERT_TRUE(wait_until([&] {
    const std::string text = run_at(both, {"endpoint", "hashkv"}).output;
    return text.find("hold different data") != std::string::npos;
  }));
  EXPECT_EQ(run_at(both, {"endpoint", "hashkv"}).status, 1);
}

TEST_F(ClusterTest, AMemberComesAndGoes) {
  const std::string peer = "http://127.0.0.1:" + std::to_string(test::free_port());
  const std::string client = "http://127.0.0.1:" + std::to_string(test::free_port());
  Ended added{};
  // etcd refuses it until its members have been connected for a while.
  ASSERT_TRUE(wait_until([&] {
    added = run({"member", "add", "m3", "--learner", "--peer-urls", peer});
    return added.status == 0;
  })) << added.output;
  EXPECT_THAT(added.output, HasSubstr("\nETCD_NAME=\"m3\"\nETCD_INITIAL_CLUSTER=\""));
  EXPECT_THAT(added.output, HasSubstr("\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n"));
  // As in etcdctl the line pads the id to sixteen places, though not with zeros.
  const std::string padded = added.output.substr(7, 16);
  const std::string id = padded.substr(padded.find_first_not_of(' '));

  const Ended early = run({"member", "promote", id});
  EXPECT_EQ(early.status, 1);
  EXPECT_THAT(early.output, HasSubstr("in sync with leader: start it"));
  const Words lines = lines_of(added.output);
  const auto flags = std::ranges::find_if(
      lines, [](const std::string& line) { return line.starts_with("--name "); });
  ASSERT_NE(flags, lines.end()) << added.output;
  Process fourth(
      {"/bin/sh", "-c",
       "exec " + binary_ + " " + *flags + " --data-dir " + file("m3") + " --listen-peer-urls " +
           peer + " --listen-client-urls " + client + " --advertise-client-urls " + client},
      file("m3.log"));
  Ended promoted{};
  ASSERT_TRUE(wait_until([&] {
    promoted = run({"member", "promote", id});
    return promoted.status == 0;
  })) << promoted.output
      << fourth.output();
  EXPECT_THAT(promoted.output, StartsWith("Member " + padded + " promoted in cluster "));
  EXPECT_THAT(run({"member", "list"}).output,
              HasSubstr(id + ", started, m3, " + peer + ", " + client + ", false\n"));
  EXPECT_EQ(run({"member", "list"}).output, etcdctl({"member", "list"}));

  const Ended updated = run({"member", "update", id, "--peer-urls", peer + ",http://127.0.0.1:1"});
  EXPECT_EQ(updated.status, 0) << updated.output;
  EXPECT_THAT(updated.output, HasSubstr(" updated in cluster "));
  EXPECT_THAT(run({"member", "list"}).output, HasSubstr("http://127.0.0.1:1,"));
  Ended removed{};
  ASSERT_TRUE(wait_until([&] {
    removed = run({"member", "remove", id, "-w", "table"});
    return removed.status == 0;
  })) << removed.output;
  EXPECT_THAT(removed.output, Not(HasSubstr(id)));
  const Ended again = run({"member", "remove", id});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.output, HasSubstr("member not found; conclave member list"));
}

TEST_F(ClusterTest, TheLeadershipMoves) {
  const std::vector<Standing> before = standings();
  const auto leader = std::ranges::find(before, true, &Standing::leads);
  const auto follower = std::ranges::find(before, false, &Standing::leads);
  ASSERT_TRUE(leader != before.end() && follower != before.end());
  const std::string target = hex(follower->member);

  const Ended elsewhere = run_at({follower->endpoint}, {"move-leader", target});
  EXPECT_EQ(elsewhere.status, 1);
  EXPECT_THAT(elsewhere.output, HasSubstr("the leader, member " + hex(leader->member)));
  const Ended unknown = run({"move-leader", "5"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.output, HasSubstr("not the id of a voting member"));

  const Ended moved = run_at({follower->endpoint}, {"move-leader", "--cluster", target});
  EXPECT_EQ(moved.status, 0);
  EXPECT_EQ(moved.output,
            "Leadership transferred from " + hex(leader->member) + " to " + target + "\n");
  EXPECT_TRUE(wait_until([&] {
    const std::vector<Standing> after = standings();
    const auto now = std::ranges::find(after, true, &Standing::leads);
    return now != after.end() && now->member == follower->member;
  }));
}

TEST_F(ClusterTest, ASavedSnapshotIsWholeAndRestored) {
  const std::string big(100'000, 'v');
  for (int i = 0; i < 10; ++i) ASSERT_EQ(run({"put", "k" + std::to_string(i), big}).status, 0);
  const json saved = in_json({"snapshot", "save", file("b.db")});
  ASSERT_TRUE(saved.contains("sha256")) << saved;
  EXPECT_GT(saved["size"], 1'000'000);
  EXPECT_EQ(saved["size"], std::filesystem::file_size(file("b.db")));
  EXPECT_EQ(start_and_wait({"/usr/bin/sha256sum", file("b.db")}).output,
            saved["sha256"].get<std::string>() + "  " + file("b.db") + "\n");
  EXPECT_FALSE(std::filesystem::exists(file("b.db.part")));
  const json status = snapshot_status(file("b.db"));
  ASSERT_TRUE(status.contains("revision")) << status;
  EXPECT_EQ(status["revision"], 11);
  const Ended restored = run({"snapshot", "restore", file("b.db"), "--data-dir", file("new")});
  if (is_ours()) {
    EXPECT_EQ(restored.status, 0) << restored.output;
    EXPECT_THAT(restored.output, StartsWith("revision 11, "));
    EXPECT_EQ(status["bytes"], saved["size"]);
  } else {
    EXPECT_EQ(restored.status, 1);
    EXPECT_THAT(restored.output, HasSubstr("is a snapshot of etcd's"));
  }
  EXPECT_EQ(std::filesystem::exists(file("new")), is_ours());
}

TEST_F(ClusterTest, AMemberWithoutAQuorumIsSavedOnlyIfItIsMeant) {
  ASSERT_EQ(run({"put", "a", "1"}).status, 0);
  cluster_->kill(0);
  cluster_->kill(1);
  const std::string path = file("b.db");
  const Ended refused = run({"snapshot", "save", path, "--command-timeout", "1s"});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.output, HasSubstr("no endpoint has a quorum behind it"));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  const Words left{cluster_->endpoints()[2]};
  const Ended saved = run_at(left, {"snapshot", "save", path});
  EXPECT_EQ(saved.status, 0) << saved.output;
  EXPECT_THAT(saved.output, StartsWith("Snapshot saved at " + path + "\n"));
  EXPECT_TRUE(snapshot_status(path).contains("revision"));

  cluster_->pause(2);
  const Ended silent = run_at(left, {"snapshot", "save", file("c.db"), "--command-timeout", "1s"});
  EXPECT_EQ(silent.status, 122) << silent.output;
  EXPECT_FALSE(std::filesystem::exists(file("c.db")));
  cluster_->resume(2);
}

}  // namespace
}  // namespace conclave
