#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "tests/linearizability/history_files.h"

namespace conclave::linearizability {
namespace {

namespace fs = std::filesystem;
using test::check_linearizability;
using test::Verdict;

fs::path known_histories() {
  const char* folder = std::getenv("CONCLAVE_LINEARIZABILITY");  // NOLINT(concurrency-mt-unsafe)
  return folder != nullptr ? fs::path(folder) : fs::path(KNOWN_HISTORIES);
}

// Counts what was decided, and says so at its end.
class Tally {
 public:
  explicit Tally(std::string what) : what_(std::move(what)) {}
  ~Tally() {
    std::printf("%s: decided %d histories (%d linearizable, %d not)", what_.c_str(), good_ + bad_,
                good_, bad_);
    if (good_ + bad_ > 0) {
      std::printf("; slowest %s: %.1f ms, %zu configurations", slowest_.c_str(), slowest_ms_,
                  slowest_configurations_);
    }
    std::printf("\n");
  }

  template <class Model>
  Verdict decide(const std::string& name, const std::vector<test::Operation<Model>>& history) {
    const auto begin = std::chrono::steady_clock::now();
    Verdict verdict = check_linearizability<Model>(history);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    if (took.count() > slowest_ms_) {
      slowest_ms_ = took.count();
      slowest_ = name;
      slowest_configurations_ = verdict.configurations;
    }
    if (verdict.answer == Verdict::Answer::linearizable) ++good_;
    if (verdict.answer == Verdict::Answer::not_linearizable) ++bad_;
    return verdict;
  }

 private:
  std::string what_;
  int good_ = 0;
  int bad_ = 0;
  double slowest_ms_ = 0;
  std::string slowest_;
  std::size_t slowest_configurations_ = 0;
};

Verdict::Answer answer(bool linearizable) {
  return linearizable ? Verdict::Answer::linearizable : Verdict::Answer::not_linearizable;
}

TEST(KnownHistories, Registers) {
  Tally tally("registers");
  std::ifstream expected(known_histories() / "expected.txt");
  std::string name;
  std::string verdict_name;
  while (expected >> name >> verdict_name) {
    ASSERT_TRUE(verdict_name == "linearizable" || verdict_name == "not-linearizable") << name;
    const auto history = read_register_history(known_histories() / "jepsen" / name);
    ASSERT_TRUE(history) << history.error().message;
    const Verdict verdict = tally.decide(name, *history);
    EXPECT_EQ(verdict.answer, answer(verdict_name == "linearizable")) << name << verdict.text();
  }
}

TEST(KnownHistories, Texts) {
  Tally tally("texts");
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(known_histories() / "kv", absent)) {
    const std::string name = entry.path().stem();
    ASSERT_TRUE(name.ends_with("-ok") || name.ends_with("-bad")) << name;
    const auto history = read_text_history(entry.path());
    ASSERT_TRUE(history) << history.error().message;
    const Verdict verdict = tally.decide(name, *history);
    EXPECT_EQ(verdict.answer, answer(name.ends_with("-ok"))) << name << verdict.text();
  }
}

}  // namespace
}  // namespace conclave::linearizability
