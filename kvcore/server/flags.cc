#include "conclave/server/flags.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <string_view>

#include <boost/program_options.hpp>

#include "conclave/server/flag_values.h"

namespace conclave::server {
namespace {

namespace po = boost::program_options;

struct Flag {
  const char* name;
  const char* argument;
  const char* fallback;  // what holds if it is not given; "" where that depends on other flags
  const char* help;
};

constexpr Flag kMemberFlags[] = {
    {"name", "NAME", "default", "name of this member"},
    {"data-dir", "DIR", "", "where the data lies; NAME.conclave if not given"},
    {"listen-client-urls", "URLS", "http://127.0.0.1:2379", "where clients are served"},
    {"advertise-client-urls", "URLS", "", "what clients are told; the listening URLs if not given"},
    {"heartbeat-interval", "MS", "100", "time between a leader's heartbeats"},
    {"election-timeout", "MS", "1000", "time without a leader after which one is elected"},
    {"quota-backend-bytes", "BYTES", "2147483648",
     "size of the store beyond which writes are refused"},
    {"max-request-bytes", "BYTES", "1572864", "largest request that is taken"},
    {"max-txn-ops", "N", "128",
     "most operations in one list of a transaction; over all its levels, 8 times as many"},
    {"max-concurrent-streams", "N", "4294967295", "most calls in flight on one connection"},
    {"watch-progress-notify-interval", "TIME", "10m",
     "time without a change after which a watch that asks for it is told how far it is"},
    {"max-watch-streams", "N", "100000", "most watch streams, of all connections"},
    {"max-watchers-per-stream", "N", "100000", "most watchers on one of them"},
    {"auto-compaction-mode", "MODE", "periodic",
     "how old revisions are dropped: periodic (by age) or revision (by count)"},
    {"auto-compaction-retention", "HISTORY", "5m",
     "history that is kept: a duration (a bare number means hours), or a count of revisions; 0 "
     "keeps "
     "all. On by default, where etcd has it off, so that a store of locks never fills up"},
};

constexpr Flag kClusterFlags[] = {
    {"listen-peer-urls", "URLS", "http://localhost:2380",
     "where other members are served; a member alone listens for none unless this is given"},
    {"initial-advertise-peer-urls", "URLS", "http://localhost:2380", "what other members are told"},
    {"initial-cluster", "NAME=URL,...", "", "the members; this one alone if not given"},
    {"initial-cluster-token", "TOKEN", "conclave-cluster", "makes the cluster's id its own"},
    {"initial-cluster-state", "STATE", "new",
     "new, or existing: this member was added to a cluster that runs"},
    {"pre-vote", "BOOL", "true",
     "a member asks whether it would win before it stands for election"},
    {"strict-reconfig-check", "BOOL", "true",
     "refuse changes of the members after which too few would be there to serve"},
};

constexpr Flag kSecurityFlags[] = {
    {"cert-file", "FILE", "", "certificate of this server (PEM), for https client URLs"},
    {"key-file", "FILE", "", "its private key (PEM)"},
    {"trusted-ca-file", "FILE", "", "whose certificates clients must have (PEM)"},
    {"client-cert-auth", "BOOL", "false", "the same; --trusted-ca-file says it alone"},
    {"peer-cert-file", "FILE", "", "certificate shown to other members (PEM), for https peer URLs"},
    {"peer-key-file", "FILE", "", "its private key (PEM)"},
    {"peer-trusted-ca-file", "FILE", "", "whose certificates other members must have (PEM)"},
    {"peer-client-cert-auth", "BOOL", "false", "the same; --peer-trusted-ca-file says it alone"},
};

constexpr Flag kLogFlags[] = {
    {"log-level", "LEVEL", "info", "debug, info, warn or error"},
    {"log-format", "FORMAT", "console", "console (key=value) or json"},
    {"log-outputs", "WHERE", "stderr", "stderr, stdout or a file"},
};

po::options_description describe(const char* title, std::span<const Flag> flags) {
  po::options_description group(title, 80, 44);
  for (const Flag& flag : flags) {
    std::string help = flag.help;
    if (*flag.fallback != '\0') help += std::string(" [") + flag.fallback + "]";
    auto* value = po::value<std::string>()->value_name(flag.argument);
    if (std::string_view(flag.argument) == "BOOL") value->implicit_value("true");
    group.add_options()(flag.name, value, help.c_str());
  }
  return group;
}

po::options_description describe_all() {
  po::options_description all;
  all.add(describe("Member", kMemberFlags));
  all.add(describe("Cluster", kClusterFlags));
  all.add(describe("Security", kSecurityFlags));
  all.add(describe("Log", kLogFlags));
  po::options_description asked("Help", 80, 44);
  asked.add_options()("help,h", "this text")("version", "the version");
  all.add(asked);
  return all;
}

std::string help_text() {
  std::ostringstream text;
  text << "usage: conclaved [--FLAG VALUE | --FLAG=VALUE]...\n\n"
          "Serves the etcd v3 API, alone or as a member of a cluster. Without flags it serves\n"
          "http://127.0.0.1:2379 and keeps its data in ./default.conclave.\n\n"
          "  conclaved --data-dir /var/lib/conclave --listen-client-urls http://10.0.0.7:2379\n\n"
          "  conclaved --name a --listen-client-urls http://10.0.0.1:2379 \\\n"
          "    --listen-peer-urls http://10.0.0.1:2380 \\\n"
          "    --initial-advertise-peer-urls http://10.0.0.1:2380 \\\n"
          "    --initial-cluster "
          "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380\n\n"
          "Each flag may come as an environment variable instead (--data-dir as\n"
          "CONCLAVE_DATA_DIR); the flag wins. URLS are separated by commas.\n\n"
          "Exit status: 0 stopped by SIGTERM or SIGINT, 1 cannot serve, 2 wrong flags.\n"
       << describe_all();
  return text.str();
}

Error wrong(std::string message) {
  return {Errc::invalid_argument, std::move(message)};
}

// The flags' values with their origin. The first thing wrong stays in error().
class Values {
 public:
  Values(const po::variables_map& given, const Environment& environment) {
    for (const auto flags :
         {std::span<const Flag>(kMemberFlags), std::span<const Flag>(kClusterFlags),
          std::span<const Flag>(kSecurityFlags), std::span<const Flag>(kLogFlags)}) {
      for (const Flag& flag : flags) take(flag, given, environment);
    }
  }

  const std::optional<Error>& error() const { return error_; }
  void fail(Error error) {
    if (!error_) error_ = std::move(error);
  }
  // `what` completes the sentence that begins with flag and value.
  void fail_flag(const std::string& name, std::string_view what) {
    const Value& value = values_.at(name);
    fail(wrong(value.origin + "=" + value.text + ": " + std::string(what)));
  }

  bool given(const std::string& name) const { return values_.at(name).given; }
  const std::string& text(const std::string& name) const { return values_.at(name).text; }

  std::uint64_t number(const std::string& name, std::uint64_t min, std::uint64_t max) {
    const auto value = parse_number(text(name), max);
    if (value && *value >= min) return *value;
    fail_flag(name, "not a number from " + std::to_string(min) + " to " + std::to_string(max));
    return min;
  }
  bool boolean(const std::string& name) {
    const auto value = parse_bool(text(name));
    if (!value) fail_flag(name, "neither true nor false");
    return value.value_or(false);
  }
  std::vector<Url> urls(const std::string& name) {
    Result<std::vector<Url>> parsed = parse_urls(text(name));
    if (!parsed) {
      fail_flag(name, parsed.error().message);
      return {};
    }
    for (const Url& url : *parsed) {
      if (url.port == 0) fail_flag(name, "the port must not be 0");
    }
    return *std::move(parsed);
  }
  template <class Choice>
  Choice one_of(const std::string& name, const std::map<std::string, Choice>& choices) {
    const auto found = choices.find(text(name));
    if (found != choices.end()) return found->second;
    std::string names;
    for (const auto& [choice, value] : choices) names += (names.empty() ? "" : ", ") + choice;
    fail_flag(name, "not one of: " + names);
    return choices.begin()->second;
  }

 private:
  struct Value {
    std::string text;
    std::string origin;
    bool given = false;
  };

  void take(const Flag& flag, const po::variables_map& given, const Environment& environment) {
    std::string variable = std::string("CONCLAVE_") + flag.name;
    for (char& c : variable) {
      if (c == '-') c = '_';
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    Value& value = values_[flag.name];
    value = {flag.fallback, std::string("--") + flag.name, false};
    if (given.count(flag.name) != 0) {
      value.text = given[flag.name].as<std::string>();
      value.given = true;
    } else if (auto text = environment(variable); text && !text->empty()) {
      value = {*std::move(text), variable, true};
    }
  }

  std::map<std::string, Value> values_;
  std::optional<Error> error_;
};

std::vector<std::string> texts(const std::vector<Url>& urls) {
  std::vector<std::string> result;
  result.reserve(urls.size());
  for (const Url& url : urls) result.push_back(url.text());
  return result;
}

void read_listening(Values& values, Config& config) {
  config.front.listen_urls = values.urls("listen-client-urls");
  bool any_tls = false;
  for (const Url& url : config.front.listen_urls) {
    any_tls = any_tls || url.is_tls();
    if (!is_bindable_host(url.host)) {
      values.fail_flag("listen-client-urls", "\"" + url.host + "\" is no IP address to listen on");
    }
  }
  listener::TlsFiles& tls = config.front.tls;
  tls.certificate = values.text("cert-file");
  tls.private_key = values.text("key-file");
  tls.trusted_ca = values.text("trusted-ca-file");
  // A CA is given so that its certificates are asked for; etcd takes it so, too.
  tls.ask_for_client_certificate = values.boolean("client-cert-auth") || !tls.trusted_ca.empty();
  if (any_tls && (tls.certificate.empty() || tls.private_key.empty())) {
    values.fail_flag("listen-client-urls", "https needs --cert-file and --key-file");
  }
  for (const char* name : {"cert-file", "key-file", "trusted-ca-file"}) {
    if (!any_tls && values.given(name)) {
      values.fail_flag(name, "of no use without an https URL in --listen-client-urls");
    }
  }
  if (tls.ask_for_client_certificate && tls.trusted_ca.empty()) {
    values.fail_flag("client-cert-auth", "needs --trusted-ca-file and an https client URL");
  }
  if (values.given("advertise-client-urls")) {
    config.node.client_urls = texts(values.urls("advertise-client-urls"));
  } else {
    for (const Url& url : config.front.listen_urls) {
      config.node.client_urls.push_back(advertised(url).text());
    }
  }
  config.front.max_request_bytes = values.number("max-request-bytes", 1, std::uint64_t{1} << 30);
  config.front.max_concurrent_streams =
      static_cast<std::uint32_t>(values.number("max-concurrent-streams", 1, UINT32_MAX));
}

void read_member(Values& values, Config& config) {
  NodeOptions& node = config.node;
  node.name = values.text("name");
  if (node.name.empty()) values.fail_flag("name", "must not be empty");
  node.data_dir = values.given("data-dir") ? values.text("data-dir") : node.name + ".conclave";
  if (node.data_dir.empty()) values.fail_flag("data-dir", "must not be empty");
  const std::uint64_t heartbeat_ms = values.number("heartbeat-interval", 1, 10'000);
  const std::uint64_t election_ms = values.number("election-timeout", 1, 50'000);
  if (election_ms < 5 * heartbeat_ms) {
    values.fail_flag("election-timeout", "must be at least 5 times --heartbeat-interval (" +
                                             std::to_string(heartbeat_ms) + ")");
  }
  node.heartbeat_interval = std::chrono::milliseconds(heartbeat_ms);
  node.election_timeout = std::chrono::milliseconds(election_ms);
  node.quota_bytes = values.number("quota-backend-bytes", 0, std::uint64_t{1} << 46);
  // etcd's way to say "the default".
  if (node.quota_bytes == 0) node.quota_bytes = NodeOptions().quota_bytes;
  node.max_request_bytes = config.front.max_request_bytes;
  node.max_txn_operations = values.number("max-txn-ops", 1, 1'000'000);
  node.max_watch_streams = values.number("max-watch-streams", 1, 100'000'000);
  node.max_watchers_per_stream = values.number("max-watchers-per-stream", 1, 100'000'000);
  const auto progress = parse_duration(values.text("watch-progress-notify-interval"));
  if (progress && *progress >= std::chrono::milliseconds(100)) {
    node.watch_progress_interval = std::chrono::duration_cast<std::chrono::milliseconds>(*progress);
  } else {
    values.fail_flag("watch-progress-notify-interval", "not a time of 100ms or more such as 10m");
  }
}

void read_compaction(Values& values, Config& config) {
  constexpr std::uint64_t kHoursMax = 24 * 365 * 100;
  const bool by_age =
      values.one_of<bool>("auto-compaction-mode", {{"periodic", true}, {"revision", false}});
  const std::string& retention = values.text("auto-compaction-retention");
  config.node.history_retention = std::chrono::seconds(0);
  if (!by_age) {
    if (!values.given("auto-compaction-retention")) {
      values.fail_flag("auto-compaction-mode",
                       "needs --auto-compaction-retention, the count of revisions to keep");
      return;
    }
    config.node.history_revisions = static_cast<std::int64_t>(
        values.number("auto-compaction-retention", 0, std::uint64_t{1} << 60));
  } else if (const auto hours = parse_number(retention, kHoursMax)) {
    config.node.history_retention = std::chrono::hours(*hours);
  } else if (const auto age = parse_duration(retention);
             age && (age->count() == 0 || *age >= std::chrono::seconds(1))) {
    config.node.history_retention = std::chrono::duration_cast<std::chrono::seconds>(*age);
  } else {
    values.fail_flag("auto-compaction-retention",
                     "neither a number of hours nor a duration of a second or more such as 5m");
  }
}

void read_initial_cluster(Values& values, Config& config) {
  if (!values.given("initial-cluster")) return;
  const auto named = parse_named_urls(values.text("initial-cluster"));
  if (!named) return values.fail_flag("initial-cluster", named.error().message);
  std::vector<NodeOptions::InitialMember> members;
  for (const NamedUrls& each : *named) members.push_back({each.name, texts(each.urls)});
  const auto self = std::ranges::find(members, config.node.name, &NodeOptions::InitialMember::name);
  if (self == members.end()) {
    values.fail_flag("initial-cluster", "does not name this member, --name=" + config.node.name);
    return;
  }
  if (std::set(self->peer_urls.begin(), self->peer_urls.end()) !=
      std::set(config.node.peer_urls.begin(), config.node.peer_urls.end())) {
    values.fail_flag("initial-cluster", "differs from --initial-advertise-peer-urls=" +
                                            values.text("initial-advertise-peer-urls"));
  }
  config.node.initial_cluster = std::move(members);
}

void read_peer_tls(Values& values, Config& config, const std::vector<Url>& listen) {
  listener::TlsFiles& tls = config.node.peer_tls;
  tls.certificate = values.text("peer-cert-file");
  tls.private_key = values.text("peer-key-file");
  tls.trusted_ca = values.text("peer-trusted-ca-file");
  tls.ask_for_client_certificate =
      values.boolean("peer-client-cert-auth") || !tls.trusted_ca.empty();
  const bool any_tls = std::ranges::any_of(listen, [](const Url& url) { return url.is_tls(); });
  if (any_tls && (tls.certificate.empty() || tls.private_key.empty())) {
    values.fail_flag("listen-peer-urls", "https needs --peer-cert-file and --peer-key-file");
  }
  if (tls.ask_for_client_certificate && tls.trusted_ca.empty()) {
    values.fail_flag("peer-client-cert-auth", "needs --peer-trusted-ca-file");
  }
}

void read_cluster(Values& values, Config& config) {
  NodeOptions& node = config.node;
  const std::vector<Url> listen = values.urls("listen-peer-urls");
  node.peer_urls = texts(values.urls("initial-advertise-peer-urls"));
  node.cluster_token = values.text("initial-cluster-token");
  node.joins = values.one_of<bool>("initial-cluster-state", {{"new", false}, {"existing", true}});
  node.pre_vote = values.boolean("pre-vote");
  node.strict_reconfig_check = values.boolean("strict-reconfig-check");
  read_initial_cluster(values, config);
  if (node.joins && node.initial_cluster.size() < 2) {
    values.fail_flag("initial-cluster-state",
                     "needs --initial-cluster with the members of the cluster and this one");
  }
  read_peer_tls(values, config, listen);
  if (values.given("listen-peer-urls") || node.initial_cluster.size() > 1) {
    node.listen_peer_urls = texts(listen);
    for (const Url& url : listen) {
      if (!is_bindable_host(url.host)) {
        values.fail_flag("listen-peer-urls", "\"" + url.host + "\" is no IP address to listen on");
      }
    }
  }
}

void read_log(Values& values, Config& config) {
  config.log.level = values.one_of<LogLevel>("log-level", {{"debug", LogLevel::debug},
                                                           {"info", LogLevel::info},
                                                           {"warn", LogLevel::warn},
                                                           {"error", LogLevel::error}});
  config.log.format = values.one_of<LogFormat>(
      "log-format", {{"console", LogFormat::console}, {"json", LogFormat::json}});
  config.log.output = values.text("log-outputs");
  if (config.log.output == "default") config.log.output = "stderr";
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       const Environment& environment) {
  po::variables_map given;
  try {
    const po::options_description flags = describe_all();
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    const po::parsed_options parsed =
        po::command_line_parser(arguments).options(flags).style(style).run();
    for (const auto& option : parsed.options) {
      if (option.position_key >= 0) {
        return wrong("unexpected argument '" + option.value.front() + "'");
      }
    }
    po::store(parsed, given);
  } catch (const po::error& refused) {
    return wrong(refused.what());
  }
  if (given.count("help") != 0) return CommandLine{std::nullopt, help_text()};
  if (given.count("version") != 0) {
    return CommandLine{std::nullopt, "conclaved " CONCLAVE_VERSION "\nAPI: etcd v3\n"};
  }
  Values values(given, environment);
  Config config;
  read_listening(values, config);
  read_member(values, config);
  read_compaction(values, config);
  read_cluster(values, config);
  read_log(values, config);
  if (values.error()) return *values.error();
  return CommandLine{std::move(config), ""};
}

}  // namespace conclave::server
