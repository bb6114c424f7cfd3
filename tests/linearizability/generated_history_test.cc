#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include <gtest/gtest.h>

#include "tests/linearizability/etcd_history_generator.h"

namespace conclave::linearizability {
namespace {

using test::check_etcd_history;
using test::check_linearizability;
using test::check_revisions;
using test::EtcdKeyModel;
using test::EtcdOperation;
using test::Verdict;
using Kind = EtcdKeyModel::Kind;
using Answer = Verdict::Answer;

constexpr HistoryShape kLarge = {
    .seed = 7, .operations = 20'000, .keys = 10, .clients = 20, .unknown_percent = 5};

Verdict timed(const char* what, const std::vector<EtcdOperation>& history) {
  const auto begin = std::chrono::steady_clock::now();
  Verdict verdict = check_etcd_history(history);
  Verdict searched = check_linearizability<EtcdKeyModel>(history);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  std::printf("%s: %zu operations, %.0f ms, %zu configurations\n", what, history.size(),
              took.count(), searched.configurations);
  EXPECT_EQ(verdict.answer, searched.answer) << verdict.text() << searched.text();
  // The effort, which does not depend on how loaded the machine is.
  EXPECT_LT(searched.configurations, 20 * history.size());
  return searched;
}

// The revisions of a key's values that were acknowledged.
std::set<std::int64_t> acknowledged_values(const std::vector<EtcdOperation>& history,
                                           const std::string& key) {
  std::set<std::int64_t> revisions;
  for (const EtcdOperation& operation : history) {
    if (operation.key != key || operation.kind == Kind::erase) continue;
    if (is_acknowledged_write(operation)) revisions.insert(operation.result.revision);
  }
  return revisions;
}

const EtcdOperation& write_of(const std::vector<EtcdOperation>& history, std::int64_t revision) {
  return *std::ranges::find_if(history, [&](const EtcdOperation& operation) {
    return is_acknowledged_write(operation) && operation.result.revision == revision;
  });
}

// Lets a read in the history's second half see an older value; says which read.
std::size_t plant_stale_read(std::vector<EtcdOperation>& history) {
  for (std::size_t i = history.size() / 2; i < history.size(); ++i) {
    EtcdOperation& read = history[i];
    if (read.kind != Kind::get || !read.return_time_ns || !read.result.found) continue;
    const std::set<std::int64_t> revisions = acknowledged_values(history, read.key);
    const auto seen = revisions.find(read.result.found->mod_revision);
    if (seen == revisions.end() || seen == revisions.begin()) continue;
    const std::int64_t older = *std::prev(seen);
    read.result.found = {write_of(history, older).args.value, older};
    return i;
  }
  ADD_FAILURE() << "no read to change";
  return 0;
}

// Takes the record of a write that somebody saw out of the history; says which.
EtcdOperation take_out_seen_write(std::vector<EtcdOperation>& history) {
  for (std::size_t i = history.size() / 2; i < history.size(); ++i) {
    const EtcdOperation& read = history[i];
    if (read.kind != Kind::get || !read.return_time_ns || !read.result.found) continue;
    const auto write = std::ranges::find_if(history, [&](const EtcdOperation& operation) {
      return operation.kind == Kind::put && is_acknowledged_write(operation) &&
             operation.result.revision == read.result.found->mod_revision;
    });
    if (write == history.end()) continue;
    EtcdOperation taken = *write;
    history.erase(write);
    return taken;
  }
  ADD_FAILURE() << "no write to take out";
  return {};
}

TEST(GeneratedHistory, LargeCorrectOneIsLinearizable) {
  const std::vector<EtcdOperation> history = generate_etcd_history(kLarge);
  ASSERT_EQ(history.size(), kLarge.operations);
  const auto unknown = std::ranges::count_if(
      history, [](const EtcdOperation& operation) { return !operation.return_time_ns; });
  EXPECT_GT(unknown, 800);
  EXPECT_TRUE(timed("correct", history).linearizable());
}

TEST(GeneratedHistory, StaleReadInLargeOneIsFound) {
  std::vector<EtcdOperation> history = generate_etcd_history(kLarge);
  const EtcdOperation& read = history[plant_stale_read(history)];
  const Verdict verdict = timed("stale read", history);
  EXPECT_EQ(verdict.answer, Answer::not_linearizable);
  EXPECT_EQ(verdict.key, read.key);
  EXPECT_NE(verdict.excerpt.find(describe(read)), std::string::npos) << verdict.text();
}

TEST(GeneratedHistory, WriteOfNobodyInLargeOneIsFound) {
  std::vector<EtcdOperation> history = generate_etcd_history(kLarge);
  const EtcdOperation taken = take_out_seen_write(history);
  const Verdict verdict = timed("write of nobody", history);
  EXPECT_EQ(verdict.answer, Answer::not_linearizable);
  EXPECT_EQ(verdict.key, taken.key);
}

// Lets two compare-and-puts in the history's second half succeed on the same revision; no revision
// tells.
void plant_lost_update(std::vector<EtcdOperation>& history) {
  const EtcdOperation* winner = nullptr;
  for (std::size_t i = history.size() / 2; i < history.size(); ++i) {
    EtcdOperation& operation = history[i];
    const bool has_won = operation.kind == Kind::compare_and_put &&
                         is_acknowledged_write(operation) && operation.args.compare_revision != 0;
    if (winner != nullptr && operation.kind == Kind::put && is_acknowledged_write(operation) &&
        operation.result.revision > winner->result.revision) {
      operation.kind = Kind::compare_and_put;
      operation.args.compare_revision = winner->args.compare_revision;
      operation.result.succeeded = true;
      return;
    }
    if (winner == nullptr && has_won) winner = &operation;
  }
  ADD_FAILURE() << "no write to change";
}

TEST(GeneratedHistory, MuchUnknownOnOneKeyIsDecided) {
  for (const std::uint64_t unknown_percent : {5, 10, 20}) {
    std::vector<EtcdOperation> history =
        generate_etcd_history({.seed = 3,
                               .operations = 2000,
                               .keys = 1,
                               .clients = 20,
                               .unknown_percent = unknown_percent});
    Verdict verdict = check_etcd_history(history);
    EXPECT_TRUE(verdict.linearizable()) << verdict.text();
    plant_lost_update(history);
    EXPECT_TRUE(check_revisions(history).linearizable());
    verdict = check_etcd_history(history);
    EXPECT_EQ(verdict.answer, Answer::not_linearizable) << verdict.text();
    EXPECT_LT(verdict.configurations, 20 * history.size());
  }
}

TEST(GeneratedHistory, ManySeedsAreLinearizable) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto history = generate_etcd_history({.seed = seed,
                                                .operations = 100,
                                                .keys = 1 + seed % 3,
                                                .clients = 1 + seed % 10,
                                                .unknown_percent = seed % 50,
                                                .values = seed % 4});
    const Verdict verdict = check_etcd_history(history);
    ASSERT_TRUE(verdict.linearizable()) << "seed " << seed << ": " << verdict.text();
  }
}

}  // namespace
}  // namespace conclave::linearizability
