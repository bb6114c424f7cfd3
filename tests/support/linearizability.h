#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/linearization_search.h"

namespace conclave::test {

// Did a history of concurrent operations look as if each had taken effect at one instant between
// its call and its return (Herlihy and Wing, 1990)?
//
// Caveats. Deciding is NP-complete: a history with many concurrent operations whose results say
// little about their order may take more than `max_configurations`, and the answer is then
// `undecided`, which a test must not take for success. Every operation that changed a key must be
// in the history, also those of which nobody learned the outcome.
//
//   std::vector<Operation<EtcdKeyModel>> history = ...;
//   const Verdict verdict = check_linearizability<EtcdKeyModel>(history);
//   EXPECT_TRUE(verdict.linearizable()) << verdict.text();
//
// Keys are decided one by one, since linearizability is local (Horn and Kroening, 2015): a model is
// of one key. Per key it is the search of Wing and Gong with the memory of Lowe (2017), which
// linearization_search.h describes.
//
// Everything here is pure, runs on the caller's thread, and keeps nothing between calls.

// What a client did. `client` is only for people to read.
template <class Model>
struct Operation {
  int client = 0;
  std::string key{};
  std::int64_t call_time_ns = 0;
  // None: the outcome is unknown. It took effect once at any time after the call, or never; the
  // result says nothing. An operation that surely did not happen is left out of the history.
  std::optional<std::int64_t> return_time_ns;
  typename Model::Kind kind{};
  typename Model::Args args{};
  typename Model::Result result{};
};

// The behaviour of one key.
//
// step(): the state after the operation, or none if it cannot be next: for one that returned,
// because its result would have been another; for one of unknown outcome, because it would change
// nothing.
// rank(): for results that tell their place among others: operations that have a rank take effect
// in its order, and those of equal rank that can all be explained can be so in the order of their
// calls. None: nothing is known.
// is_over(): an operation of unknown outcome can have no effect any more, whatever follows. It may
// always say no; where it says yes the search has less to tell apart.
// matters(unknown, next): `next`, directly after an unknown operation, may need the effect of that.
// No: it can do without, and then leads to the same state or one that covers it. It may always say
// yes; where it says no the search is shorter.
// covers(a, b): every continuation that b permits is permitted by a. Usually ==.
// hash(): equal for states of which one covers the other.
template <class M>
concept LinearizableModel = std::equality_comparable<typename M::Kind> &&
    std::equality_comparable<typename M::Args> &&
    requires(const typename M::State& state, const Operation<M>& operation) {
  { M::initial() } -> std::same_as<typename M::State>;
  { M::step(state, operation) } -> std::same_as<std::optional<typename M::State>>;
  { M::rank(operation) } -> std::same_as<std::optional<std::int64_t>>;
  { M::covers(state, state) } -> std::same_as<bool>;
  { M::hash(state) } -> std::same_as<std::size_t>;
  { M::describe_operation(operation) } -> std::same_as<std::string>;
  { M::describe_state(state) } -> std::same_as<std::string>;
};

// A line for people: who, when, what.
template <LinearizableModel Model>
std::string describe(const Operation<Model>& operation) {
  return "client " + std::to_string(operation.client) + ' ' +
         text_of(Interval{operation.call_time_ns, operation.return_time_ns}) + ' ' +
         Model::describe_operation(operation);
}

struct Verdict {
  enum class Answer { linearizable, not_linearizable, undecided };

  bool linearizable() const { return answer == Answer::linearizable; }
  std::string text() const;  // for a test's message

  Answer answer = Answer::linearizable;
  std::string key;                 // a key without a linearization, or undecided
  std::string excerpt;             // the operations around the point where it went no further
  std::size_t configurations = 0;  // how many were looked at: the effort
};

struct SearchLimits {
  std::size_t max_configurations = 5'000'000;  // per key; each takes some hundred bytes
};

template <LinearizableModel Model>
Verdict check_linearizability(std::span<const Operation<Model>> history, SearchLimits limits = {});

// The definitions of what is above.

// The search's port to one key's operations.
template <LinearizableModel Model>
class KeyHistory {
 public:
  using State = typename Model::State;

  explicit KeyHistory(std::vector<const Operation<Model>*> operations)
      : operations_(std::move(operations)) {}

  std::size_t size() const { return operations_.size(); }
  Interval interval(std::size_t i) const {
    return {operations_[i]->call_time_ns, operations_[i]->return_time_ns};
  }
  std::optional<std::int64_t> rank(std::size_t i) const { return Model::rank(*operations_[i]); }
  bool same_effect(std::size_t a, std::size_t b) const {
    return operations_[a]->kind == operations_[b]->kind &&
           operations_[a]->args == operations_[b]->args;
  }
  State initial() const { return Model::initial(); }
  std::optional<State> step(const State& state, std::size_t i) const {
    return Model::step(state, *operations_[i]);
  }
  bool is_over(const State& state, std::size_t i) const {
    return Model::is_over(state, *operations_[i]);
  }
  bool matters(std::size_t unknown, std::size_t next) const {
    return Model::matters(*operations_[unknown], *operations_[next]);
  }
  static bool covers(const State& a, const State& b) { return Model::covers(a, b); }
  static std::size_t hash(const State& state) { return Model::hash(state); }
  std::string describe_operation(std::size_t i) const { return describe(*operations_[i]); }
  static std::string describe_state(const State& state) { return Model::describe_state(state); }

 private:
  std::vector<const Operation<Model>*> operations_;
};

inline constexpr std::size_t kFirstBudget = 10'000;  // configurations of each key

template <LinearizableModel Model>
Verdict check_linearizability(std::span<const Operation<Model>> history, SearchLimits limits) {
  std::map<std::string, std::vector<const Operation<Model>*>> by_key;
  for (const Operation<Model>& operation : history) by_key[operation.key].push_back(&operation);
  std::map<std::string, KeyHistory<Model>> undecided;
  for (auto& [key, operations] : by_key) undecided.try_emplace(key, std::move(operations));
  Verdict verdict;
  // One key's violation decides all, and is often found soon where another key's search is long.
  for (std::size_t budget = std::min(kFirstBudget, limits.max_configurations);; budget *= 10) {
    budget = std::min(budget, limits.max_configurations);
    verdict.answer = Verdict::Answer::linearizable;
    for (auto at = undecided.begin(); at != undecided.end();) {
      LinearizationSearch<KeyHistory<Model>> search(at->second, budget);
      const std::optional<bool> found = search.run();
      verdict.configurations += search.configurations();
      if (found == true) {
        at = undecided.erase(at);
        continue;
      }
      verdict.answer = found ? Verdict::Answer::not_linearizable : Verdict::Answer::undecided;
      verdict.key = at->first;
      verdict.excerpt = search.excerpt();
      if (found) return verdict;
      ++at;
    }
    if (undecided.empty() || budget == limits.max_configurations) return verdict;
  }
}

}  // namespace conclave::test
