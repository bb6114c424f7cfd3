#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "tests/scenarios/group.h"
#include "tests/scenarios/pure_cases.h"
#include "tests/scenarios/scenario.h"

namespace conclave::scenarios {
namespace {

namespace fs = std::filesystem;

// Files of others that show what this implementation does not have, and why.
const std::map<std::string, std::string> kLeftOut = {
    {"confchange_disable_validation.txt", "a configuration change is always validated"},
    {"forget_leader_read_only_lease_based.txt", "there are no reads by leader lease"},
};

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + '\n';
  return out;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code absent;
  for (const auto& file : fs::directory_iterator(folder, absent)) {
    if (file.path().extension() == ".txt") files.push_back(file.path());
  }
  std::ranges::sort(files);
  return files;
}

fs::path others() {
  const char* folder = std::getenv("CONCLAVE_RAFT_SCENARIOS");  // NOLINT(concurrency-mt-unsafe)
  return folder != nullptr ? fs::path(folder) : fs::path(OTHER_CASES);
}

// Counts what was replayed, and says so at its end.
class Tally {
 public:
  explicit Tally(std::string what) : what_(std::move(what)) {}
  ~Tally() { std::printf("%s: replayed %d files, %d steps\n", what_.c_str(), files_, steps_); }
  void add(std::size_t steps) {
    ++files_;
    steps_ += static_cast<int>(steps);
  }

 private:
  std::string what_;
  int files_ = 0;
  int steps_ = 0;
};

// `run` gets each step; `compare` is applied to both sides.
template <class Run, class Compare>
void replay(const fs::path& file, Tally& tally, Run run, Compare compare) {
  const std::vector<Step> steps = parse_scenario(read_file(file));
  for (const Step& step : steps) {
    const std::vector<std::string> actual = run(step);
    ASSERT_EQ(joined(compare(step.expected)), joined(compare(actual)))
        << file.filename().string() << ":" << step.line << ": " << step.directive;
  }
  tally.add(steps.size());
}

const auto kExactly = [](const std::vector<std::string>& lines) { return lines; };

TEST(RaftScenarios, QuorumsOfOthers) {
  Tally tally("quorum");
  for (const fs::path& file : files_in(others() / "quorum")) {
    replay(file, tally, run_quorum_step, kExactly);
  }
}

TEST(RaftScenarios, ConfigurationChangesOfOthers) {
  Tally tally("configuration changes");
  for (const fs::path& file : files_in(others() / "confchange")) {
    ConfigCase config;
    replay(
        file, tally, [&](const Step& step) { return config.run(step); }, kExactly);
  }
}

TEST(RaftScenarios, GroupsOfOthers) {
  Tally tally("groups");
  for (const fs::path& file : files_in(others())) {
    if (const auto left_out = kLeftOut.find(file.filename()); left_out != kLeftOut.end()) {
      std::printf("left out: %s (%s)\n", left_out->first.c_str(), left_out->second.c_str());
      continue;
    }
    Group group;
    replay(
        file, tally, [&](const Step& step) { return group.run(step); }, normalized);
  }
}

// With CONCLAVE_RECORD=1 in the environment, writes what happens into the files instead.
TEST(RaftScenarios, OurOwn) {
  const bool record = std::getenv("CONCLAVE_RECORD") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  const std::vector<fs::path> files = files_in(OWN_CASES);
  ASSERT_FALSE(files.empty());
  Tally tally("our own");
  for (const fs::path& file : files) {
    Group group;
    std::string text;
    replay(
        file, tally,
        [&](const Step& step) {
          const std::vector<std::string> actual = group.run(step);
          text += step.preamble + step.directive + '\n' + joined(step.input) + "----\n" +
                  joined(actual);
          return record ? step.expected : actual;
        },
        kExactly);
    if (record) std::ofstream(file) << text;
  }
}

}  // namespace
}  // namespace conclave::scenarios
