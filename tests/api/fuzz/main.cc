// api_fuzz: sends the same random requests to conclaved and to etcd and compares every answer.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "tests/api/fuzz/known_differences.h"
#include "tests/api/fuzz/round.h"

namespace conclave::test {
namespace {

namespace options = boost::program_options;
using Clock = std::chrono::steady_clock;
using Steps = std::vector<std::size_t>;

constexpr std::chrono::seconds kShrinkLimit{60};
constexpr std::size_t kDefaultSteps = 150;

struct Request {
  std::uint64_t seed = 1;
  std::int64_t duration_s = 10;
  std::size_t steps = kDefaultSteps;
  Steps only;
  bool trace = false;
};

// The fewest of the steps, as far as dropping parts of them one after the other finds out, that
// still show a difference on fresh servers. Empty if they do not show it there at all.
Steps shrink(std::uint64_t seed, Steps steps) {
  const auto end = Clock::now() + kShrinkLimit;
  const auto differs = [seed](const Steps& some) {
    return !some.empty() && ServerPair().run(seed, some.back() + 1, some, false).has_value();
  };
  if (!differs(steps)) return {};
  for (std::size_t part = (steps.size() + 1) / 2; part > 0; part /= 2) {
    for (std::size_t from = 0; from < steps.size() && Clock::now() < end;) {
      Steps fewer = steps;
      const auto begin = fewer.begin() + static_cast<std::ptrdiff_t>(from);
      fewer.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(part, steps.size() - from)));
      if (differs(fewer)) {
        steps = std::move(fewer);
      } else {
        from += part;
      }
    }
  }
  return steps;
}

void report(std::uint64_t seed, std::size_t count, const Steps& only, const Difference& found) {
  std::printf("\nA difference, seed %llu, step %zu:\n  %s\nconclaved:\n%s\netcd:\n%s\n",
              static_cast<unsigned long long>(seed), found.step, found.asked.c_str(),
              found.conclaved.c_str(), found.etcd.c_str());
  std::fflush(stdout);
  Steps steps = only;
  if (steps.empty()) {
    for (std::size_t i = 0; i <= std::min(found.step, count - 1); ++i) steps.push_back(i);
  }
  steps = shrink(seed, std::move(steps));
  if (steps.empty()) {
    std::printf("It does not come again on fresh servers; api_fuzz --seed %llu --steps %zu\n",
                static_cast<unsigned long long>(seed), count);
    return;
  }
  std::string list;
  for (const std::size_t step : steps) list += (list.empty() ? "" : ",") + std::to_string(step);
  std::printf("Replay: api_fuzz --seed %llu --seconds 0 --trace --only %s\n",
              static_cast<unsigned long long>(seed), list.c_str());
}

std::optional<Request> parse(int argc, char** argv) {
  Request request;
  std::string only;
  options::options_description all("api_fuzz: conclaved and etcd must answer alike", 100);
  all.add_options()("help", "this text and the known differences")(
      "seed", options::value(&request.seed), "of the first round; each further one adds 1")(
      "seconds", options::value(&request.duration_s), "how long; 0 is one round")(
      "steps", options::value(&request.steps), "steps in a round")(
      "only", options::value(&only), "a list of step numbers: one round of these")(
      "trace", options::bool_switch(&request.trace), "print every step");
  options::variables_map given;
  options::store(options::parse_command_line(argc, argv, all), given);
  options::notify(given);
  if (given.count("help") != 0) {
    std::string text = "Not compared:\n";
    for (const KnownDifference& known : kKnownDifferences) {
      text += "  " + std::string(known.what) + "\n      " + std::string(known.why) + "\n";
    }
    std::puts(text.c_str());
    return std::nullopt;
  }
  for (std::size_t at = 0; at < only.size();) {
    std::size_t length = 0;
    request.only.push_back(std::stoul(only.substr(at), &length));
    at += length + 1;
  }
  if (!request.only.empty()) {
    request.steps = *std::max_element(request.only.begin(), request.only.end()) + 1;
    request.duration_s = 0;
  }
  return request;
}

int fuzz(const Request& request) {
  ServerPair servers;
  const auto end = Clock::now() + std::chrono::seconds(request.duration_s);
  std::uint64_t seed = request.seed;
  do {
    if (auto found = servers.run(seed, request.steps, request.only, request.trace)) {
      report(seed, request.steps, request.only, *found);
      return 1;
    }
    ++seed;
  } while (Clock::now() < end);
  std::printf("seeds %llu to %llu, %llu rounds, %llu requests to each: no difference\n",
              static_cast<unsigned long long>(request.seed),
              static_cast<unsigned long long>(seed - 1),
              static_cast<unsigned long long>(seed - request.seed),
              static_cast<unsigned long long>(servers.calls()));
  return 0;
}

}  // namespace
}  // namespace conclave::test

int main(int argc, char** argv) {
  try {
    if (conclave::test::program_of(conclave::test::ServerKind::etcd).empty()) {
      std::puts("no etcd in " CONCLAVE_PEERS_DIR);
      return 77;
    }
    const auto request = conclave::test::parse(argc, argv);
    return request ? conclave::test::fuzz(*request) : 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "api_fuzz: %s\n", error.what());
    return 2;
  }
}
