#include "tests/support/linearizability.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conclave/base/random.h"

#include "tests/support/register_models.h"

namespace conclave::linearizability {
namespace {

using test::check_linearizability;
using test::OperationSet;
using test::RegisterModel;
using test::TextModel;
using test::Verdict;
using Kind = RegisterModel::Kind;
using RegisterOperation = test::Operation<RegisterModel>;
using Answer = Verdict::Answer;
using Return = std::optional<std::int64_t>;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Return kUnknown = std::nullopt;

RegisterOperation write(std::int64_t call, Return end, std::int64_t value) {
  RegisterOperation operation;
  operation.call_time_ns = call;
  operation.return_time_ns = end;
  operation.kind = Kind::write;
  operation.args.value = value;
  return operation;
}

RegisterOperation read(std::int64_t call, Return end, std::optional<std::int64_t> value) {
  RegisterOperation operation = write(call, end, 0);
  operation.kind = Kind::read;
  operation.result.value = value;
  return operation;
}

RegisterOperation compare_and_set(std::int64_t call, Return end, std::int64_t expected,
                                  std::int64_t value, bool succeeded) {
  RegisterOperation operation = write(call, end, value);
  operation.kind = Kind::compare_and_set;
  operation.args.expected = expected;
  operation.result.succeeded = succeeded;
  return operation;
}

Verdict decide(const std::vector<RegisterOperation>& history) {
  return check_linearizability<RegisterModel>(history);
}

bool linearizable(const std::vector<RegisterOperation>& history) {
  const Verdict verdict = decide(history);
  EXPECT_NE(verdict.answer, Answer::undecided);
  return verdict.linearizable();
}

TEST(Linearizability, NothingIsLinearizable) {
  EXPECT_TRUE(linearizable({}));
}

TEST(Linearizability, ReadsSeeTheLastWrite) {
  EXPECT_TRUE(linearizable({read(0, 1, std::nullopt), write(2, 3, 7), read(4, 5, 7)}));
  EXPECT_FALSE(linearizable({write(2, 3, 7), read(4, 5, std::nullopt)}));
}

TEST(Linearizability, StaleReadIsFound) {
  EXPECT_FALSE(linearizable({write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)}));
}

TEST(Linearizability, LostUpdateIsFound) {
  EXPECT_TRUE(linearizable(
      {write(0, 1, 1), compare_and_set(2, 5, 1, 2, true), compare_and_set(2, 5, 1, 3, false)}));
  EXPECT_FALSE(linearizable(
      {write(0, 1, 1), compare_and_set(2, 5, 1, 2, true), compare_and_set(2, 5, 1, 3, true)}));
}

TEST(Linearizability, FailedCompareAndSetHasSeenAnotherValue) {
  EXPECT_FALSE(linearizable({write(0, 1, 1), compare_and_set(2, 3, 1, 2, false)}));
}

TEST(Linearizability, ConcurrentOperationsTakeEffectInAnyOrder) {
  EXPECT_TRUE(linearizable({write(0, 10, 1), write(0, 10, 2), read(11, 12, 1)}));
  EXPECT_TRUE(linearizable({write(0, 10, 1), write(0, 10, 2), read(11, 12, 2)}));
  EXPECT_TRUE(linearizable({write(0, 10, 1), write(0, 10, 2), read(3, 4, 2), read(5, 6, 1)}));
  EXPECT_FALSE(linearizable({write(0, 10, 1), write(0, 10, 2), read(11, 12, 2), read(13, 14, 1)}));
}

TEST(Linearizability, OperationsThatTouchInTimeAreConcurrent) {
  EXPECT_TRUE(linearizable({write(0, 5, 1), read(5, 6, std::nullopt)}));
  EXPECT_FALSE(linearizable({write(0, 5, 1), read(6, 7, std::nullopt)}));
}

TEST(Linearizability, UnknownWriteMayTakeEffectLate) {
  EXPECT_TRUE(linearizable(
      {write(0, 1, 1), write(2, kUnknown, 2), read(4, 5, 1), read(6, 7, 1), read(8, 9, 2)}));
}

TEST(Linearizability, UnknownWriteMayNeverTakeEffect) {
  EXPECT_TRUE(linearizable({write(0, 1, 1), write(2, kUnknown, 2), read(4, 5, 1)}));
}

TEST(Linearizability, UnknownWriteTakesNoEffectBeforeItsCall) {
  EXPECT_FALSE(linearizable({write(0, 1, 1), read(2, 3, 2), write(4, kUnknown, 2)}));
}

TEST(Linearizability, EffectHappensOnce) {
  std::vector<RegisterOperation> history = {write(0, 1, 1), write(2, kUnknown, 2), read(4, 5, 2),
                                            write(6, 7, 3), read(8, 9, 2)};
  EXPECT_FALSE(linearizable(history));
  history.push_back(write(3, kUnknown, 2));
  EXPECT_TRUE(linearizable(history));
}

TEST(Linearizability, AlikeUnknownWritesEachHaveTheirOwnCall) {
  std::vector<RegisterOperation> history = {write(0, kUnknown, 2), read(1, 2, 2), write(3, 4, 1),
                                            read(5, 6, 2), write(7, kUnknown, 2)};
  EXPECT_FALSE(linearizable(history));
  history.back().call_time_ns = 4;
  EXPECT_TRUE(linearizable(history));
}

TEST(Linearizability, UnknownCompareAndSetNeedsItsValue) {
  EXPECT_TRUE(
      linearizable({write(0, 1, 1), compare_and_set(2, kUnknown, 1, 2, false), read(3, 4, 2)}));
  EXPECT_FALSE(
      linearizable({write(0, 1, 1), compare_and_set(2, kUnknown, 3, 2, false), read(3, 4, 2)}));
}

TEST(Linearizability, UnknownEffectsMayHaveToChain) {
  std::vector<RegisterOperation> history = {
      write(0, 1, 0), compare_and_set(2, kUnknown, 2, 3, false),
      compare_and_set(2, kUnknown, 1, 2, false), compare_and_set(2, kUnknown, 0, 1, false),
      read(8, 9, 3)};
  EXPECT_TRUE(linearizable(history));
  history.erase(history.begin() + 2);
  EXPECT_FALSE(linearizable(history));
}

TEST(Linearizability, KeysAreDecidedByThemselves) {
  std::vector<RegisterOperation> history = {write(0, 1, 1), read(4, 5, 1), write(2, 3, 2)};
  history[2].key = "other";
  EXPECT_TRUE(linearizable(history));
  history.push_back(read(6, 7, 1));
  history.back().key = "other";
  const Verdict verdict = decide(history);
  EXPECT_FALSE(verdict.linearizable());
  EXPECT_EQ(verdict.key, "other");
}

TEST(Linearizability, TextsGrowInOrder) {
  using TextOperation = test::Operation<TextModel>;
  std::vector<TextOperation> history(3);
  history[0] = {
      .call_time_ns = 0, .return_time_ns = 5, .kind = TextModel::Kind::append, .args = "a"};
  history[1] = {
      .call_time_ns = 0, .return_time_ns = 5, .kind = TextModel::Kind::append, .args = "b"};
  history[2] = {
      .call_time_ns = 6, .return_time_ns = 7, .kind = TextModel::Kind::get, .result = "ba"};
  EXPECT_TRUE(check_linearizability<TextModel>(history).linearizable());
  history[2].result = "b";
  EXPECT_FALSE(check_linearizability<TextModel>(history).linearizable());
}

TEST(Linearizability, ExcerptShowsWhereItEnds) {
  std::vector<RegisterOperation> history;
  for (std::int64_t n = 0; n < 100; ++n) {
    history.push_back(write(n * 20'000, n * 20'000 + 5'000, n));
    history.push_back(read(n * 20'000 + 10'000, n * 20'000 + 15'000, n));
  }
  history[121].result.value = 59;
  history[121].client = 17;
  history.push_back(write(0, kUnknown, 1234));
  const Verdict verdict = decide(history);
  ASSERT_EQ(verdict.answer, Answer::not_linearizable);
  EXPECT_THAT(verdict.excerpt, HasSubstr("more than 121 of 200"));
  EXPECT_THAT(verdict.excerpt,
              HasSubstr("explained: client 0 [1200.000 .. 1205.000 us] write(60)"));
  EXPECT_THAT(verdict.excerpt, HasSubstr("the state then: 60"));
  EXPECT_THAT(verdict.excerpt, HasSubstr("next: client 17 [1210.000 .. 1215.000 us] read() -> 59"));
  EXPECT_THAT(verdict.excerpt, HasSubstr("unknown until then: client 0 [0.000 .. us] write(1234)"));
  EXPECT_THAT(verdict.excerpt, Not(HasSubstr("write(30)")));
  EXPECT_THAT(verdict.text(), HasSubstr(verdict.excerpt));
}

TEST(Linearizability, ManyUnknownWritesCostLittle) {
  std::vector<RegisterOperation> history;
  for (std::int64_t n = 0; n < 500; ++n) {
    const std::int64_t begin = n * 10;
    if (n % 5 == 0) history.push_back(write(begin, kUnknown, 1000 + n));
    history.push_back(write(begin, begin + 1, n));
    history.push_back(read(begin + 2, begin + 3, n % 10 == 0 ? 1000 + n : n));
  }
  Verdict verdict = decide(history);
  EXPECT_TRUE(verdict.linearizable()) << verdict.text();
  EXPECT_LT(verdict.configurations, 10'000U);
  history.push_back(read(10'000, 10'001, 1));
  verdict = decide(history);
  EXPECT_EQ(verdict.answer, Answer::not_linearizable);
  EXPECT_LT(verdict.configurations, 200'000U);
}

TEST(Linearizability, GivesUpAtTheLimit) {
  std::vector<RegisterOperation> history;
  for (std::int64_t n = 0; n < 30; ++n) history.push_back(write(0, 100, n));
  history.push_back(read(101, 102, 99));
  const Verdict verdict =
      check_linearizability<RegisterModel>(history, {.max_configurations = 1000});
  EXPECT_EQ(verdict.answer, Answer::undecided);
  EXPECT_THAT(verdict.text(), HasSubstr("undecided"));
}

TEST(OperationSet, HoldsWhatWasInserted) {
  Random random(5);
  OperationSet numbers;
  std::set<std::size_t> expected;
  for (std::size_t first = 0; first < 1000;) {
    const std::size_t number = first + random.below(random.chance(1, 10) ? 200 : 3);
    if (!expected.insert(number).second) continue;
    numbers.insert(number);
    while (expected.contains(first)) ++first;
    ASSERT_EQ(numbers.first_absent(), first);
    ASSERT_EQ(numbers.size(), expected.size());
    for (std::size_t i = first; i < first + 210; ++i) {
      ASSERT_EQ(numbers.contains(i), expected.contains(i)) << i;
    }
  }
}

TEST(OperationSet, IsEqualWhateverTheOrder) {
  OperationSet up;
  OperationSet down;
  for (std::size_t n = 0; n < 130; ++n) up.insert(n);
  for (std::size_t n = 130; n-- > 0;) {
    EXPECT_NE(up, down);
    down.insert(n);
  }
  EXPECT_EQ(up, down);
  EXPECT_EQ(up.hash(), down.hash());
}

}  // namespace
}  // namespace conclave::linearizability
