#include "conclave/bench/options.h"

#include <sstream>

#include <boost/program_options.hpp>

namespace conclave::bench {
namespace {

namespace po = boost::program_options;

Error wrong(std::string message) {
  return {Errc::invalid_argument, std::move(message)};
}

po::options_description describe() {
  po::options_description general("Options", 100, 60);
  auto number = [](std::int64_t fallback) {
    return po::value<std::int64_t>()->default_value(fallback)->value_name("N");
  };
  auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  general.add_options()("help,h", "this text")("list", "the workloads")(
      "only", text("W1,W2,..."), "these workloads; all if not given")(
      "pairs", number(5),
      "repetitions, each on both servers; W8, W10, W11, W15 and W18 get fewer unless "
      "this is given")("servers", text("WHICH"), "both, conclave or etcd")(
      "conclaved", text("PATH"), "our server")("etcd", text("PATH"),
                                               "the other: etcd, or any server with etcd's flags")(
      "conclaved-flag", po::value<std::vector<std::string>>()->value_name("--FLAG=VALUE"),
      "a flag more for our server; repeatable")(
      "etcd-flag", po::value<std::vector<std::string>>()->value_name("--FLAG=VALUE"),
      "a flag more for the other; repeatable")(
      "dir", text("DIR"), "below which the servers' data lies, on the disk to be measured")(
      "output", text("DIR"), "where results.md, .csv, .json and .svg go")(
      "quick", "small numbers everywhere: shows that all works, measures nothing")(
      "soak", po::value<std::int64_t>()->value_name("SECONDS"),
      "instead: steady load with compactions for so long, on each server in turn")(
      "encode", text("CALL"), "instead: write a framed put or range to stdout, for h2load");
  po::options_description numbers("Numbers of the workloads (what they are if not given)", 100, 60);
  for (const Parameter& parameter : all_parameters()) {
    const std::string help =
        std::string(parameter.help) + " [" + std::to_string(parameter.value) + "]";
    numbers.add_options()(parameter.name, po::value<std::int64_t>()->value_name("N"), help.c_str());
  }
  po::options_description all;
  all.add(general).add(numbers);
  return all;
}

std::string help_text() {
  std::ostringstream out;
  out << "usage: conclave-bench [OPTION]...\n\n"
         "Runs workloads on conclaved and on etcd in turn, each on a fresh server, and compares.\n"
         "Exit status: 0 all ran, 1 a workload failed, 2 wrong arguments. Floors do not count.\n\n"
      << describe();
  return out.str();
}

Result<void> read_servers(const po::variables_map& given, const std::string& bin_dir,
                          const std::string& peers_dir, Options& options) {
  auto text = [&given](const char* name, const std::string& fallback) {
    return given.count(name) != 0 ? given[name].as<std::string>() : fallback;
  };
  auto flags = [&given](const char* name) {
    return given.count(name) != 0 ? given[name].as<std::vector<std::string>>()
                                  : std::vector<std::string>();
  };
  const std::string which = text("servers", "both");
  if (which != "both" && which != "conclave" && which != "etcd") {
    return wrong("--servers=" + which + ": neither both, conclave nor etcd");
  }
  if (which != "etcd") {
    options.servers.push_back(
        {"conclave", text("conclaved", bin_dir + "/conclaved"), flags("conclaved-flag")});
  }
  if (which != "conclave") {
    options.servers.push_back({"etcd", text("etcd", peers_dir + "/etcd"), flags("etcd-flag")});
  }
  for (const ServerProgram& server : options.servers) {
    if (!std::filesystem::exists(server.path)) {
      return wrong("there is no " + server.path + ": say --" +
                   (server.name == "etcd" ? "etcd" : "conclaved") + " or choose with --servers");
    }
  }
  return {};
}

Result<void> read_workloads(const po::variables_map& given, Options& options) {
  if (given.count("only") == 0) {
    for (const Workload& workload : all_workloads()) options.workloads.push_back(&workload);
    return {};
  }
  std::istringstream ids(given["only"].as<std::string>());
  for (std::string id; std::getline(ids, id, ',');) {
    const Workload* workload = find_workload(id);
    if (workload == nullptr) return wrong("there is no workload " + id + ": see --list");
    options.workloads.push_back(workload);
  }
  return {};
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments, const std::string& bin_dir,
                              const std::string& peers_dir) {
  po::variables_map given;
  try {
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    const po::options_description known = describe();
    po::store(po::command_line_parser(arguments)
                  .options(known)
                  .positional(po::positional_options_description())
                  .style(style)
                  .run(),
              given);
  } catch (const po::error& refused) {
    return wrong(refused.what());
  }
  Options options;
  if (given.count("help") != 0) options.help = help_text();
  options.list = given.count("list") != 0;
  if (given.count("encode") != 0) options.encode = given["encode"].as<std::string>();
  options.parameters = Parameters(given.count("quick") != 0);
  for (const Parameter& parameter : all_parameters()) {
    if (given.count(parameter.name) == 0) continue;
    const auto value = given[parameter.name].as<std::int64_t>();
    if (value < 1) return wrong(std::string("--") + parameter.name + ": must be above 0");
    options.parameters.set(parameter.name, value);
  }
  if (!options.help.empty() || options.list || !options.encode.empty()) return options;
  options.pairs = given["pairs"].as<std::int64_t>();
  options.pairs_given = !given["pairs"].defaulted();
  if (options.pairs < 1) return wrong("--pairs: must be above 0");
  if (given.count("soak") != 0) {
    options.soak_seconds = given["soak"].as<std::int64_t>();
    if (options.soak_seconds < 1) return wrong("--soak: must be above 0");
  }
  const std::filesystem::path beside = std::filesystem::path(bin_dir).parent_path() / "bench";
  options.directory = given.count("dir") != 0 ? given["dir"].as<std::string>() : beside.string();
  options.output = given.count("output") != 0 ? given["output"].as<std::string>() : beside.string();
  Result<void> read = read_servers(given, bin_dir, peers_dir, options);
  if (read) read = read_workloads(given, options);
  if (!read) return read.error();
  return options;
}

}  // namespace conclave::bench
