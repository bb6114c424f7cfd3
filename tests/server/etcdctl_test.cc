// The revision model, walked with the stock client.

#include <nlohmann/json.hpp>

#include "conclave/api/rpc.pb.h"
#include "conclave/client/raw.h"

#include "tests/server/conclaved_fixture.h"

namespace conclave::test {
namespace {

using nlohmann::json;

class EtcdctlTest : public ConclavedTest {
 protected:
  void SetUp() override { start(); }

  json in_json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-w", "json"});
    const std::string text = etcdctl(std::move(arguments));
    json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(parsed.is_discarded()) << text;
    return parsed;
  }
  void put_ten() {
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(etcdctl({"put", "key" + std::to_string(i), "value" + std::to_string(i)}), "OK\n");
    }
  }
  void expect_key(const json& reply, int create_revision, int mod_revision, int version) {
    ASSERT_TRUE(reply.contains("kvs")) << reply;
    EXPECT_EQ(reply["kvs"][0]["create_revision"], create_revision);
    EXPECT_EQ(reply["kvs"][0]["mod_revision"], mod_revision);
    EXPECT_EQ(reply["kvs"][0]["version"], version);
  }
};

TEST_F(EtcdctlTest, RevisionsVersionsAndWhatARestartKeeps) {
  put_ten();
  EXPECT_EQ(in_json({"get", "key0"})["header"]["revision"], 11);
  EXPECT_EQ(etcdctl({"get", "key2", "key6", "--print-value-only"}),
            "value2\nvalue3\nvalue4\nvalue5\n");
  EXPECT_EQ(in_json({"get", "--prefix", "key"})["count"], 10);

  EXPECT_EQ(in_json({"put", "other", "x"})["header"]["revision"], 12);
  expect_key(in_json({"get", "key3"}), 5, 5, 1);
  etcdctl({"put", "key3", "value3"});
  expect_key(in_json({"get", "key3"}), 5, 13, 2);
  EXPECT_EQ(in_json({"del", "key3"})["header"]["revision"], 14);
  etcdctl({"put", "key3", "again"});
  expect_key(in_json({"get", "key3"}), 15, 15, 1);

  const json before = in_json({"get", "key3"});
  kill_server();
  start();
  const json after = in_json({"get", "key3"});
  EXPECT_GT(after["header"]["raft_term"], before["header"]["raft_term"]);
  EXPECT_EQ(after["header"]["revision"], before["header"]["revision"]);
  EXPECT_EQ(after["header"]["cluster_id"], before["header"]["cluster_id"]);
  EXPECT_EQ(after["header"]["member_id"], before["header"]["member_id"]);
  EXPECT_EQ(after["kvs"], before["kvs"]);
  EXPECT_EQ(etcdctl({"get", "key3", "--rev", "13", "--print-value-only"}), "value3\n");
}

TEST_F(EtcdctlTest, JsonHasKeysAndValuesInBase64) {
  etcdctl({"put", "key1", "value1"});
  const json reply = in_json({"get", "key1"});
  EXPECT_EQ(reply["kvs"][0]["key"], "a2V5MQ==");
  EXPECT_EQ(reply["kvs"][0]["value"], "dmFsdWUx");
}

TEST_F(EtcdctlTest, AWatchFromAnOldRevisionReplaysInOrder) {
  put_ten();
  etcdctl({"del", "key4"});
  Process watch({"/usr/bin/env", "ETCDCTL_API=3", CONCLAVE_PEERS_DIR "/etcdctl", "--endpoints",
                 endpoint(), "watch", "--prefix", "key", "--rev", "2"},
                dir_.path() / "watch");
  std::string expected;
  for (int i = 0; i < 10; ++i) {
    expected += "PUT\nkey" + std::to_string(i) + "\nvalue" + std::to_string(i) + "\n";
  }
  expected += "DELETE\nkey4\n\n";
  EXPECT_TRUE(wait_until([&] { return watch.output() == expected; })) << watch.output();
  etcdctl({"put", "key4", "live"});
  expected += "PUT\nkey4\nlive\n";
  EXPECT_TRUE(wait_until([&] { return watch.output() == expected; })) << watch.output();
}

TEST_F(EtcdctlTest, TransactionsTakeTheRightBranch) {
  etcdctl({"put", "k", "v"});
  const auto txn = [this](const std::string& text) {
    return run({"/bin/sh", "-c",
                "printf '" + text +
                    "' | ETCDCTL_API=3 " CONCLAVE_PEERS_DIR "/etcdctl --endpoints " + endpoint() +
                    " txn"});
  };
  EXPECT_EQ(
      txn("value(\"k\") = \"v\"\\nversion(\"k\") = \"1\"\\n\\nput k w\\nget k\\n\\nput k no\\n\\n"),
      "SUCCESS\n\nOK\n\nk\nw\n");
  EXPECT_EQ(txn("value(\"k\") = \"v\"\\n\\nput k no\\n\\nget k\\n\\n"), "FAILURE\n\nk\nw\n");
}

TEST_F(EtcdctlTest, ALeaseTakesItsKeysWithItUnlessItIsKeptAlive) {
  const std::string granted = etcdctl({"lease", "grant", "2"});
  const std::string id = granted.substr(6, granted.find(' ', 6) - 6);
  etcdctl({"put", "a", "1", "--lease", id});
  etcdctl({"put", "b", "1", "--lease", id});
  {
    Process keep_alive({"/usr/bin/env", "ETCDCTL_API=3", CONCLAVE_PEERS_DIR "/etcdctl",
                        "--endpoints", endpoint(), "lease", "keep-alive", id},
                       dir_.path() / "keep-alive");
    // Five answers come two thirds of a second apart: well past the TTL.
    EXPECT_TRUE(wait_until([&] {
      const std::string text = keep_alive.output();
      return std::count(text.begin(), text.end(), '\n') >= 5;
    }));
    EXPECT_EQ(etcdctl({"get", "a", "--print-value-only"}), "1\n");
  }
  const auto ended = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait_until([&] { return etcdctl({"get", "a"}).empty(); }, std::chrono::seconds(10)));
  EXPECT_EQ(etcdctl({"get", "b"}), "");
  EXPECT_LT(std::chrono::steady_clock::now() - ended, std::chrono::seconds(8));
}

TEST_F(EtcdctlTest, AlarmsAreListedAndDisarmedByBothCommands) {
  const auto conclave = [this](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {CONCLAVE_BIN_DIR "/conclave", "--endpoints", endpoint()});
    return run(std::move(arguments));
  };
  Client client = connect();
  const auto raise = [&client] {
    etcdserverpb::AlarmRequest request;
    request.set_action(etcdserverpb::AlarmRequest::ACTIVATE);
    request.set_memberid(5);
    request.set_alarm(etcdserverpb::NOSPACE);
    EXPECT_TRUE(RawClient(client).call("/etcdserverpb.Maintenance/Alarm",
                                       request.SerializeAsString(), CallKind::read));
  };
  EXPECT_EQ(etcdctl({"alarm", "list"}), "");
  raise();
  const std::string alarm = "memberID:5 alarm:NOSPACE \n";
  EXPECT_EQ(etcdctl({"alarm", "list"}), alarm);
  for (const char* format : {"simple", "json", "fields", "protobuf"}) {
    EXPECT_EQ(conclave({"alarm", "list", "-w", format}), etcdctl({"alarm", "list", "-w", format}))
        << format;
  }
  EXPECT_NE(etcdctl({"put", "a", "1"}).find("database space exceeded"), std::string::npos);
  EXPECT_NE(etcdctl({"endpoint", "status"}).find("alarm:NOSPACE"), std::string::npos);
  EXPECT_EQ(etcdctl({"alarm", "disarm"}), alarm);
  EXPECT_EQ(etcdctl({"put", "a", "1"}), "OK\n");
  raise();
  EXPECT_EQ(conclave({"alarm", "disarm"}), alarm);
  EXPECT_EQ(conclave({"alarm", "list"}), "");
}

TEST_F(EtcdctlTest, DefragMakesTheFileSmallerAndLosesNothing) {
  put_ten();
  const std::string large(100000, 'x');
  for (int i = 0; i < 10; ++i) etcdctl({"put", "large", large});
  etcdctl({"compaction", "21", "--physical"});
  const auto size = [this] {
    return in_json({"endpoint", "status"})[0]["Status"]["dbSize"].get<int>();
  };
  const int before = size();
  EXPECT_NE(etcdctl({"defrag"}).find("Finished defragmenting"), std::string::npos);
  EXPECT_LT(size(), before - 500000);
  etcdctl({"put", "key0", "after"});
  kill_server();
  start();
  EXPECT_EQ(etcdctl({"get", "key0", "--print-value-only"}), "after\n");
  EXPECT_EQ(etcdctl({"get", "key9", "--print-value-only"}), "value9\n");
  EXPECT_EQ(etcdctl({"get", "large", "--print-value-only"}).size(), large.size() + 1);
}

TEST_F(EtcdctlTest, EndpointStatusAndHealth) {
  const json status = in_json({"endpoint", "status"});
  EXPECT_EQ(status[0]["Status"]["leader"], status[0]["Status"]["header"]["member_id"]);
  EXPECT_NE(etcdctl({"endpoint", "health"}).find("is healthy"), std::string::npos);
  EXPECT_NE(etcdctl({"member", "list"}).find("started, default"), std::string::npos);
}

}  // namespace
}  // namespace conclave::test
