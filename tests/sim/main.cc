// Runs seeds of the whole cluster, and says which fail and how to see it again.
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "tests/sim/run.h"

namespace {

using conclave::sim::Counts;
using conclave::sim::RunOptions;
using conclave::sim::RunResult;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 200;
  unsigned threads = 2;
  std::string trace;
  bool timing = false;
  RunOptions run;
};

constexpr char kUsage[] =
    "sim: a cluster, its disks, its network and its clients, on one seed and virtual time\n"
    "  --seeds N     how many (200)\n"
    "  --first N     the first one (1)\n"
    "  --nodes N     3 or 5; by the seed if it is not given\n"
    "  --seconds N   of virtual time, a seed (60)\n"
    "  --threads N   seeds at a time (2)\n"
    "  --trace FILE  what happened, one line each\n"
    "  --timing yes  how long it took, too: all else that is printed is the same each time\n";

// A broken invariant inside the product ends the process: the seed must be known even then.
thread_local char replay_line[160];
thread_local std::string trace_text;
int trace_file = -1;

void on_abort(int) {
  ssize_t ignored = ::write(STDOUT_FILENO, replay_line, std::strlen(replay_line));
  if (trace_file >= 0) ignored = ::write(trace_file, trace_text.data(), trace_text.size());
  static_cast<void>(ignored);
}

std::string replay_of(std::uint64_t seed, const Arguments& arguments) {
  std::string line = "replay: build/bin/sim --first " + std::to_string(seed) + " --seeds 1";
  if (arguments.run.nodes != 0) line += " --nodes " + std::to_string(arguments.run.nodes);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(arguments.run.length);
  if (seconds.count() != 60) line += " --seconds " + std::to_string(seconds.count());
  return line + " --trace /dev/stdout";
}

bool parse(int argc, char** argv, Arguments& arguments) {
  std::map<std::string_view, std::string_view> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  if (argc % 2 == 0) return false;
  for (const auto& [name, value] : given) {
    const std::uint64_t number = std::strtoull(std::string(value).c_str(), nullptr, 10);
    if (name == "--trace") {
      arguments.trace = value;
    } else if (name == "--seeds") {
      arguments.seeds = number;
    } else if (name == "--first") {
      arguments.first = number;
    } else if (name == "--nodes") {
      arguments.run.nodes = static_cast<int>(number);
    } else if (name == "--seconds") {
      arguments.run.length = std::chrono::seconds(number);
    } else if (name == "--timing") {
      arguments.timing = value == "yes";
    } else if (name == "--threads" && number > 0) {
      arguments.threads = static_cast<unsigned>(number);
    } else {
      return false;
    }
  }
  return true;
}

class Runner {
 public:
  explicit Runner(const Arguments& arguments) : arguments_(arguments), results_(arguments.seeds) {
    if (arguments.trace.empty()) return;
    trace_file = ::open(arguments.trace.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  }

  int run() {
    const auto began = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < arguments_.threads; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("entries=%" PRIu64 " answered=%" PRIu64 " unanswered=%" PRIu64
                " watch_events=%" PRIu64 " leases=%" PRIu64 " expired=%" PRIu64 " starts=%" PRIu64
                " turns=%" PRIu64 " guarded_writes=%" PRIu64 " leader_changes=%" PRIu64
                " observed=%" PRIu64 " drains=%" PRIu64 " calm_drains=%" PRIu64
                " undecided=%" PRIu64 " terms=%" PRIu64 "\n",
                counts_.entries, counts_.answered, counts_.unanswered, counts_.watch_events,
                counts_.leases, counts_.leases_expired, counts_.starts, counts_.turns,
                counts_.guarded_writes, counts_.leader_changes, counts_.observed, counts_.drains,
                counts_.calm_drains, counts_.undecided, counts_.terms);
    if (arguments_.timing) {
      std::printf("%.3f seconds, %.1f ms a seed and thread\n", took.count(),
                  took.count() * 1000 * arguments_.threads / static_cast<double>(results_.size()));
    }
    std::printf("digest=%016" PRIx64 " seeds=%zu failed=%zu\n", digest_, results_.size(), failed_);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  void work() {
    for (;;) {
      const std::uint64_t index = next_++;
      if (index >= results_.size()) return;
      const std::uint64_t seed = arguments_.first + index;
      std::snprintf(replay_line, sizeof replay_line, "%s\n", replay_of(seed, arguments_).c_str());
      RunOptions options = arguments_.run;
      trace_text.clear();
      if (trace_file >= 0) options.trace = &trace_text;
      RunResult result = conclave::sim::run_seed(seed, options);
      const std::lock_guard guard(mutex_);
      results_[index] = std::move(result);
      traces_[index] = std::move(trace_text);
      is_done_[index] = true;
      tell_what_is_done();
    }
  }

  // In the order of the seeds, whichever thread was faster.
  void tell_what_is_done() {
    for (; told_ < results_.size() && is_done_[told_]; ++told_) {
      RunResult& result = results_[told_];
      const std::uint64_t seed = arguments_.first + told_;
      write_trace(std::exchange(traces_[told_], {}));
      digest_ = (digest_ ^ result.digest) * 0x100000001b3;
      counts_ += result.counts;
      if (result.violations.empty()) continue;
      ++failed_;
      std::printf("seed %" PRIu64 " failed: %s", seed, result.violations.front().c_str());
      std::printf("%s\n", replay_of(seed, arguments_).c_str());
      std::fflush(stdout);
    }
  }

  static void write_trace(std::string_view text) {
    while (trace_file >= 0 && !text.empty()) {
      const ssize_t written = ::write(trace_file, text.data(), text.size());
      if (written <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const Arguments& arguments_;
  std::atomic<std::uint64_t> next_{0};
  std::mutex mutex_;
  std::vector<RunResult> results_;
  std::vector<std::string> traces_ = std::vector<std::string>(results_.size());
  std::vector<bool> is_done_ = std::vector<bool>(results_.size());
  std::size_t told_ = 0;
  std::size_t failed_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325;
  Counts counts_;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  return Runner(arguments).run();
}
