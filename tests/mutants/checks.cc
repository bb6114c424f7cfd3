#include "tests/mutants/checks.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/run.h"

namespace conclave::mutants {
namespace {

// Of the simulation of raft alone, which is one of the tests.
constexpr char kRaftSeeds[] = "100";

void tell(const char* what, std::string text) {
  for (char& byte : text) {
    if (byte == '\n') byte = ' ';
  }
  std::printf("%s%s\n", what, text.c_str());
  std::fflush(stdout);
}

class Teller final : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo& test) override {
    tell(kAt, std::string(test.test_suite_name()) + "." + test.name());
  }
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed()) tell(kFound, result.summary());
  }
};

bool run_simulation(std::uint64_t seeds) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    tell(kAt, "sim, seed " + std::to_string(seed));
    const sim::RunResult result = sim::run_seed(seed, {});
    if (result.violations.empty()) continue;
    tell(kFound, result.violations.front());
    return true;
  }
  return false;
}

// In the order in which they are linked.
bool run_tests() {
  ::setenv("CONCLAVE_SEEDS", kRaftSeeds, 1);  // NOLINT(concurrency-mt-unsafe): one thread
  int argc = 1;
  std::string name = "mutants";
  char* argv[] = {name.data(), nullptr};
  testing::InitGoogleMock(&argc, argv);
  GTEST_FLAG_SET(fail_fast, true);
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new Teller);
  return RUN_ALL_TESTS() != 0;
}

}  // namespace

bool run_checks(std::uint64_t sim_seeds) {
  return run_simulation(sim_seeds) || run_tests();
}

}  // namespace conclave::mutants
