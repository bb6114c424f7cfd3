#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>

#include <sys/resource.h>

#include "conclave/bench/options.h"
#include "conclave/bench/report.h"
#include "conclave/bench/soak.h"
#include "conclave/bench/sources.h"

namespace conclave::bench {
namespace {

constexpr std::chrono::seconds kStartLimit(60);

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &parts);
  return text;
}

// Many connections, and servers that inherit it: a shell's usual limit may be too low.
void allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int list() {
  for (const Workload& workload : all_workloads()) {
    std::printf("%-4s %s\n     %s\n", workload.id, workload.title,
                Parameters().text(workload.parameters).c_str());
  }
  return 0;
}

int encode(const Options& options) {
  if (options.encode == "put") {
    std::cout << PutSource('k', 1, options.parameters["value-bytes"]).framed_request();
  } else if (options.encode == "range") {
    etcdserverpb::RangeRequest request;
    request.set_key(key_of('k', 0));
    std::cout << framed(request);
  } else {
    std::cerr << "conclave-bench: --encode " << options.encode << ": neither put nor range\n";
    return 2;
  }
  return std::cout.flush() ? 0 : 1;
}

Result<std::vector<Row>> run_once(const Options& options, const Workload& workload,
                                  const ServerProgram& program) {
  settle_machine();
  ServerCluster servers(program, options.directory, workload.members);
  servers.launch();
  Rig rig(servers, options.parameters);
  const Result<void> serving = rig.wait_until_serving(kStartLimit);
  if (!serving) return serving.error();
  Result<std::vector<Row>> rows = workload.run(rig);
  if (!rows && servers.has_ended()) {
    return failure(rows.error().message + "; the server has ended:\n" + servers.last_words());
  }
  return rows;
}

// Pairs begin with one server and the other in turn, so that a machine that slowly changes favours
// neither.
void run_pairs(const Options& options, const Workload& workload, Results& results) {
  const std::int64_t pairs = options.pairs_given
                                 ? options.pairs
                                 : std::min<std::int64_t>(options.pairs, workload.pairs_max);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    for (std::size_t turn = 0; turn < options.servers.size(); ++turn) {
      const std::size_t server = (turn + static_cast<std::size_t>(pair)) % options.servers.size();
      const ServerProgram& program = options.servers[server];
      std::fprintf(stderr, "%s %s, %lld of %lld ...", workload.id, program.name.c_str(),
                   static_cast<long long>(pair + 1), static_cast<long long>(pairs));
      const TimePoint began = Clock::now();
      const Result<std::vector<Row>> rows = run_once(options, workload, program);
      if (is_interrupted()) return;
      std::fprintf(stderr, " %.1f s\n",
                   std::chrono::duration<double>(Clock::now() - began).count());
      if (!rows) {
        results.add_failure(std::string(workload.id) + " on " + program.name + ": " +
                            rows.error().message);
        std::fprintf(stderr, "FAILED: %s\n", results.failures().back().c_str());
        continue;
      }
      for (const Row& row : *rows) results.add(server, row);
    }
  }
}

bool write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc | std::ios::binary);
  file << text;
  file.close();
  if (file) return true;
  std::cerr << "conclave-bench: cannot write " << path << '\n';
  return false;
}

bool write_all(const std::filesystem::path& directory, const Preface& preface,
               const Results& results) {
  return write_file(directory / "results.md", markdown(preface, results)) &&
         write_file(directory / "results.csv", csv(preface, results)) &&
         write_file(directory / "results.json", json(preface, results)) &&
         write_file(directory / "results.svg", plot_svg(preface, results));
}

int measure(const Options& options, Preface preface) {
  Results results(options.servers.size());
  bool written = true;
  for (const Workload* workload : options.workloads) {
    run_pairs(options, *workload, results);
    // After each, so that an interrupted run leaves what it found.
    written = write_all(options.output, preface, results) && written;
    if (is_interrupted()) break;
  }
  std::cout << table_text(preface, results) << "\nwritten: " << options.output.string()
            << "/results.{md,csv,json,svg}\n";
  if (is_interrupted()) std::cerr << "conclave-bench: interrupted, the rest was not run\n";
  return results.failures().empty() && written && !is_interrupted() ? 0 : 1;
}

int run(const Options& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.directory, failed);
  if (!failed) std::filesystem::create_directories(options.output, failed);
  if (failed) {
    std::cerr << "conclave-bench: cannot make " << options.directory << ": " << failed.message()
              << '\n';
    return 1;
  }
  allow_many_files();
  catch_interrupts();
  Preface preface;
  preface.machine = describe_machine(options.directory);
  preface.warning = why_not_quiet(preface.machine);
  for (const ServerProgram& server : options.servers) {
    preface.servers.push_back(server.name);
    preface.programs.push_back(server.path);
  }
  preface.pairs = options.pairs;
  preface.started = utc_now();
  preface.parameters = options.parameters;
  if (!preface.warning.empty()) std::cerr << "WARNING: " << preface.warning << '\n';
  if (options.soak_seconds > 0) return soak(options);
  return measure(options, std::move(preface));
}

}  // namespace
}  // namespace conclave::bench

int main(int argc, char** argv) {
  using namespace conclave::bench;
  std::signal(SIGPIPE, SIG_IGN);
  const auto options = parse_options(std::vector<std::string>(argv + 1, argv + argc),
                                     CONCLAVE_BIN_DIR, CONCLAVE_PEERS_DIR);
  if (!options) {
    std::cerr << "conclave-bench: " << options.error().message << " (see --help)\n";
    return 2;
  }
  if (!options->help.empty()) {
    std::cout << options->help;
    return 0;
  }
  if (options->list) return list();
  if (!options->encode.empty()) return encode(*options);
  return run(*options);
}
