#include "conclave/server/flags.h"

#include <map>

#include <gtest/gtest.h>

namespace conclave::server {
namespace {

using Variables = std::map<std::string, std::string>;

Result<CommandLine> parse(const std::vector<std::string>& arguments, Variables variables = {}) {
  return parse_command_line(arguments, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

Config config(const std::vector<std::string>& arguments, Variables variables = {}) {
  const auto line = parse(arguments, std::move(variables));
  EXPECT_TRUE(line && line->config) << (line ? "no config" : line.error().message);
  return line && line->config ? *line->config : Config{};
}

std::string refusal(const std::vector<std::string>& arguments, Variables variables = {}) {
  const auto line = parse(arguments, std::move(variables));
  if (line) return "accepted";
  EXPECT_EQ(line.error().code, Errc::invalid_argument);
  EXPECT_EQ(line.error().message.find('\n'), std::string::npos);
  return line.error().message;
}

TEST(Flags, DefaultsServeALockUserOnThisMachine) {
  const Config defaults = config({});
  EXPECT_EQ(defaults.front.listen_urls, std::vector{*parse_url("http://127.0.0.1:2379")});
  EXPECT_EQ(defaults.node.client_urls, std::vector<std::string>{"http://127.0.0.1:2379"});
  EXPECT_EQ(defaults.node.peer_urls, std::vector<std::string>{"http://localhost:2380"});
  EXPECT_EQ(defaults.node.name, "default");
  EXPECT_EQ(defaults.node.data_dir, "default.conclave");
  EXPECT_EQ(defaults.node.cluster_token, "conclave-cluster");
  EXPECT_EQ(defaults.node.heartbeat_interval, std::chrono::milliseconds(100));
  EXPECT_EQ(defaults.node.election_timeout, std::chrono::milliseconds(1000));
  EXPECT_EQ(defaults.node.quota_bytes, std::uint64_t{2} << 30);
  EXPECT_EQ(defaults.node.max_request_bytes, 1572864U);
  EXPECT_EQ(defaults.front.max_request_bytes, 1572864U);
  EXPECT_EQ(defaults.node.max_txn_operations, 128U);
  EXPECT_EQ(defaults.node.max_watch_streams, 100000U);
  EXPECT_EQ(defaults.node.max_watchers_per_stream, 100000U);
  EXPECT_EQ(defaults.node.history_retention, std::chrono::minutes(5));
  EXPECT_EQ(defaults.node.history_revisions, 0);
  EXPECT_EQ(defaults.front.max_concurrent_streams, UINT32_MAX);
  EXPECT_EQ(defaults.node.watch_progress_interval, std::chrono::minutes(10));
  EXPECT_EQ(defaults.log.output, "stderr");
}

TEST(Flags, EachReachesItsPlace) {
  const Config all = config({"--name=m1",
                             "--data-dir",
                             "/d",
                             "--listen-client-urls",
                             "https://10.0.0.1:1,http://[::1]:2",
                             "--advertise-client-urls",
                             "https://m1.example:1",
                             "--heartbeat-interval=50",
                             "--election-timeout=500",
                             "--quota-backend-bytes=4096",
                             "--max-request-bytes=1000",
                             "--max-txn-ops=9",
                             "--max-watch-streams=11",
                             "--max-watchers-per-stream=12",
                             "--max-concurrent-streams=7",
                             "--watch-progress-notify-interval=90s",
                             "--initial-advertise-peer-urls",
                             "http://m1.example:2380",
                             "--listen-peer-urls=http://0.0.0.0:2380",
                             "--initial-cluster",
                             "m1=http://m1.example:2380",
                             "--initial-cluster-token=t",
                             "--initial-cluster-state=new",
                             "--cert-file=c",
                             "--key-file=k",
                             "--trusted-ca-file=ca",
                             "--client-cert-auth",
                             "--log-level=debug",
                             "--log-format=json",
                             "--log-outputs=stdout"});
  EXPECT_EQ(all.node.name, "m1");
  EXPECT_EQ(all.node.data_dir, "/d");
  EXPECT_EQ(all.front.listen_urls.size(), 2U);
  EXPECT_EQ(all.node.client_urls, std::vector<std::string>{"https://m1.example:1"});
  EXPECT_EQ(all.node.peer_urls, std::vector<std::string>{"http://m1.example:2380"});
  EXPECT_EQ(all.node.heartbeat_interval, std::chrono::milliseconds(50));
  EXPECT_EQ(all.node.election_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(all.node.quota_bytes, 4096U);
  EXPECT_EQ(all.node.max_request_bytes, 1000U);
  EXPECT_EQ(all.node.max_txn_operations, 9U);
  EXPECT_EQ(all.node.max_watch_streams, 11U);
  EXPECT_EQ(all.node.max_watchers_per_stream, 12U);
  EXPECT_EQ(all.front.max_concurrent_streams, 7U);
  EXPECT_EQ(all.node.watch_progress_interval, std::chrono::seconds(90));
  EXPECT_EQ(all.node.cluster_token, "t");
  EXPECT_EQ(all.front.tls.certificate, "c");
  EXPECT_EQ(all.front.tls.private_key, "k");
  EXPECT_EQ(all.front.tls.trusted_ca, "ca");
  EXPECT_TRUE(all.front.tls.ask_for_client_certificate);
  const Config with_ca = config({"--cert-file=c", "--key-file=k", "--trusted-ca-file=ca",
                                 "--listen-client-urls=https://127.0.0.1:1"});
  EXPECT_TRUE(with_ca.front.tls.ask_for_client_certificate) << "as etcd takes it";
  EXPECT_EQ(all.log.level, LogLevel::debug);
  EXPECT_EQ(all.log.format, LogFormat::json);
  EXPECT_EQ(all.log.output, "stdout");
}

TEST(Flags, ADataDirectoryFollowsTheName) {
  EXPECT_EQ(config({"--name=m1"}).node.data_dir, "m1.conclave");
}

TEST(Flags, AWildcardIsNotAdvertised) {
  EXPECT_EQ(config({"--listen-client-urls=http://0.0.0.0:7"}).node.client_urls,
            std::vector<std::string>{"http://localhost:7"});
}

TEST(Flags, AnEnvironmentVariableStandsInAndTheFlagWins) {
  const Variables variables = {
      {"CONCLAVE_NAME", "env"}, {"CONCLAVE_MAX_TXN_OPS", "5"}, {"CONCLAVE_DATA_DIR", ""}};
  const Config mixed = config({"--name=flag"}, variables);
  EXPECT_EQ(mixed.node.name, "flag");
  EXPECT_EQ(mixed.node.max_txn_operations, 5U);
  EXPECT_EQ(mixed.node.data_dir, "flag.conclave") << "an empty variable is none";
}

TEST(Flags, EveryLimitIsAVariableToo) {
  const Config limited = config({}, {{"CONCLAVE_MAX_REQUEST_BYTES", "1000"},
                                     {"CONCLAVE_MAX_TXN_OPS", "5"},
                                     {"CONCLAVE_MAX_CONCURRENT_STREAMS", "6"},
                                     {"CONCLAVE_QUOTA_BACKEND_BYTES", "7000"}});
  EXPECT_EQ(limited.node.max_request_bytes, 1000U);
  EXPECT_EQ(limited.front.max_request_bytes, 1000U);
  EXPECT_EQ(limited.node.max_txn_operations, 5U);
  EXPECT_EQ(limited.front.max_concurrent_streams, 6U);
  EXPECT_EQ(limited.node.quota_bytes, 7000U);
  EXPECT_EQ(config({"--quota-backend-bytes=0"}).node.quota_bytes, std::uint64_t{2} << 30);
}

TEST(Flags, CompactionTakesAnAgeOrACount) {
  const auto by_age = [](const std::string& retention) {
    return config({"--auto-compaction-retention=" + retention}).node.history_retention;
  };
  EXPECT_EQ(by_age("0"), std::chrono::seconds(0));
  EXPECT_EQ(by_age("2"), std::chrono::hours(2));
  EXPECT_EQ(by_age("90s"), std::chrono::seconds(90));
  const Config by_count =
      config({"--auto-compaction-mode=revision", "--auto-compaction-retention=1000"});
  EXPECT_EQ(by_count.node.history_retention, std::chrono::seconds(0));
  EXPECT_EQ(by_count.node.history_revisions, 1000);
}

TEST(Flags, HelpAndVersionAreTexts) {
  const auto help = parse({"--help"});
  ASSERT_TRUE(help && !help->config);
  for (const char* expected : {"--listen-client-urls URLS", "usage: conclaved", "where etcd has it",
                               "Exit status", "--auto-compaction-retention"}) {
    EXPECT_NE(help->text.find(expected), std::string::npos) << expected << "\n" << help->text;
  }
  const auto version = parse({"--version", "--name=x"});
  ASSERT_TRUE(version && !version->config);
  EXPECT_EQ(version->text.find("conclaved "), 0U);
}

struct Wrong {
  std::vector<std::string> arguments;
  std::string message;
};

class WrongFlags : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongFlags, AreRefusedInOneLine) {
  EXPECT_EQ(refusal(GetParam().arguments), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Parsing, WrongFlags,
    ::testing::Values(Wrong{{"--nam=x"}, "unrecognised option '--nam=x'"},
                      Wrong{{"serve"}, "unexpected argument 'serve'"},
                      Wrong{{"--name"}, "the required argument for option '--name' is missing"},
                      Wrong{{"--name=a", "--name=b"},
                            "option '--name' cannot be specified more than once"}));

INSTANTIATE_TEST_SUITE_P(
    Values, WrongFlags,
    ::testing::Values(
        Wrong{{"--election-timeout=1s"}, "--election-timeout=1s: not a number from 1 to 50000"},
        Wrong{{"--heartbeat-interval=0"}, "--heartbeat-interval=0: not a number from 1 to 10000"},
        Wrong{{"--max-txn-ops=-1"}, "--max-txn-ops=-1: not a number from 1 to 1000000"},
        Wrong{{"--quota-backend-bytes=2GB"},
              "--quota-backend-bytes=2GB: not a number from 0 to 70368744177664"},
        Wrong{{"--max-request-bytes=0"},
              "--max-request-bytes=0: not a number from 1 to 1073741824"},
        Wrong{{"--max-concurrent-streams=0"},
              "--max-concurrent-streams=0: not a number from 1 to 4294967295"},
        Wrong{{"--listen-client-urls=127.0.0.1:2379"},
              "--listen-client-urls=127.0.0.1:2379: \"127.0.0.1:2379\" is not of the form "
              "http://host:port"},
        Wrong{{"--listen-client-urls=http://example.org:2379"},
              "--listen-client-urls=http://example.org:2379: \"example.org\" is no IP address to "
              "listen on"},
        Wrong{{"--listen-client-urls=http://127.0.0.1:0"},
              "--listen-client-urls=http://127.0.0.1:0: the port must not be 0"},
        Wrong{{"--advertise-client-urls=x"},
              "--advertise-client-urls=x: \"x\" is not of the form http://host:port"},
        Wrong{{"--listen-peer-urls=x"},
              "--listen-peer-urls=x: \"x\" is not of the form http://host:port"},
        Wrong{{"--client-cert-auth=maybe"}, "--client-cert-auth=maybe: neither true nor false"},
        Wrong{{"--watch-progress-notify-interval=5"},
              "--watch-progress-notify-interval=5: not a time of 100ms or more such as 10m"},
        Wrong{{"--auto-compaction-retention=soon"},
              "--auto-compaction-retention=soon: neither a number of hours nor a duration of a "
              "second or more such as 5m"},
        Wrong{{"--auto-compaction-retention=5ms"},
              "--auto-compaction-retention=5ms: neither a number of hours nor a duration of a "
              "second or more such as 5m"},
        Wrong{{"--auto-compaction-mode=never"},
              "--auto-compaction-mode=never: not one of: periodic, revision"},
        Wrong{{"--log-level=loud"}, "--log-level=loud: not one of: debug, error, info, warn"},
        Wrong{{"--log-format=xml"}, "--log-format=xml: not one of: console, json"},
        Wrong{{"--name", ""}, "--name=: must not be empty"}));

INSTANTIATE_TEST_SUITE_P(
    Combinations, WrongFlags,
    ::testing::Values(
        Wrong{{"--heartbeat-interval=300"},
              "--election-timeout=1000: must be at least 5 times --heartbeat-interval (300)"},
        Wrong{{"--listen-client-urls=https://127.0.0.1:1", "--cert-file=c"},
              "--listen-client-urls=https://127.0.0.1:1: https needs --cert-file and --key-file"},
        Wrong{{"--cert-file=c", "--key-file=k"},
              "--cert-file=c: of no use without an https URL in --listen-client-urls"},
        Wrong{{"--client-cert-auth"},
              "--client-cert-auth=true: needs --trusted-ca-file and an https client URL"},
        Wrong{{"--auto-compaction-mode=revision"},
              "--auto-compaction-mode=revision: needs --auto-compaction-retention, the count of "
              "revisions to keep"},
        Wrong{{"--initial-cluster=a=http://h:1,b=http://i:1"},
              "--initial-cluster=a=http://h:1,b=http://i:1: does not name this member, "
              "--name=default"},
        Wrong{{"--initial-cluster=a=http://localhost:2380"},
              "--initial-cluster=a=http://localhost:2380: does not name this member, "
              "--name=default"},
        Wrong{{"--initial-cluster=default=http://h:1"},
              "--initial-cluster=default=http://h:1: differs from "
              "--initial-advertise-peer-urls=http://localhost:2380"},
        Wrong{{"--initial-cluster=default"},
              "--initial-cluster=default: \"default\" is not of the form NAME=http://host:port"},
        Wrong{{"--initial-cluster-state=existing"},
              "--initial-cluster-state=existing: needs --initial-cluster with the members of the "
              "cluster and this one"},
        Wrong{{"--initial-cluster-state=old"},
              "--initial-cluster-state=old: not one of: existing, new"},
        Wrong{{"--listen-peer-urls=https://127.0.0.1:1"},
              "--listen-peer-urls=https://127.0.0.1:1: https needs --peer-cert-file and "
              "--peer-key-file"},
        Wrong{{"--listen-peer-urls=http://a.host:1"},
              "--listen-peer-urls=http://a.host:1: \"a.host\" is no IP address to listen on"},
        Wrong{{"--peer-client-cert-auth"},
              "--peer-client-cert-auth=true: needs --peer-trusted-ca-file"}));

TEST(Flags, AClusterOfThreeIsRead) {
  const Config three = config({"--name=b", "--initial-advertise-peer-urls=http://10.0.0.2:2380",
                               "--listen-peer-urls=http://10.0.0.2:2380", "--pre-vote=false",
                               "--initial-cluster=a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,"
                               "c=http://10.0.0.3:2380,c=http://10.0.0.4:2380"});
  ASSERT_EQ(three.node.initial_cluster.size(), 3U);
  EXPECT_EQ(three.node.initial_cluster[2].name, "c");
  EXPECT_EQ(three.node.initial_cluster[2].peer_urls.size(), 2U);
  EXPECT_EQ(three.node.listen_peer_urls, std::vector<std::string>{"http://10.0.0.2:2380"});
  EXPECT_FALSE(three.node.joins);
  EXPECT_FALSE(three.node.pre_vote);
  EXPECT_TRUE(three.node.strict_reconfig_check);
}

TEST(Flags, AMemberAloneListensForNoOthers) {
  EXPECT_TRUE(config({}).node.listen_peer_urls.empty());
  EXPECT_FALSE(config({"--listen-peer-urls=http://127.0.0.1:2380"}).node.listen_peer_urls.empty());
}

TEST(Flags, AWrongVariableIsNamed) {
  EXPECT_EQ(refusal({}, {{"CONCLAVE_ELECTION_TIMEOUT", "soon"}}),
            "CONCLAVE_ELECTION_TIMEOUT=soon: not a number from 1 to 50000");
}

}  // namespace
}  // namespace conclave::server
