#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tests/support/linearizability.h"

namespace conclave::test {

// A register of a number: read, write, compare-and-set. It begins without a value.
struct RegisterModel {
  enum class Kind { read, write, compare_and_set };
  struct Args {
    std::int64_t value = 0;     // write, compare_and_set: the new one
    std::int64_t expected = 0;  // compare_and_set
    bool operator==(const Args&) const = default;
  };
  struct Result {
    std::optional<std::int64_t> value;  // read
    bool succeeded = false;             // compare_and_set; false: the value was another
  };
  using State = std::optional<std::int64_t>;

  static State initial() { return std::nullopt; }
  static std::optional<State> step(const State& state, const Operation<RegisterModel>& operation);
  static std::optional<std::int64_t> rank(const Operation<RegisterModel>&) { return std::nullopt; }
  static bool is_over(const State&, const Operation<RegisterModel>&) { return false; }
  static bool matters(const Operation<RegisterModel>& unknown,
                      const Operation<RegisterModel>& next);
  static bool covers(const State& a, const State& b) { return a == b; }
  static std::size_t hash(const State& state) { return std::hash<State>{}(state); }
  static std::string describe_operation(const Operation<RegisterModel>& operation);
  static std::string describe_state(const State& state);
};

// A text per key: get, put, append. It begins empty.
struct TextModel {
  enum class Kind { get, put, append };
  using Args = std::string;
  using Result = std::string;  // of get
  using State = std::string;

  static State initial() { return {}; }
  static std::optional<State> step(const State& state, const Operation<TextModel>& operation);
  static std::optional<std::int64_t> rank(const Operation<TextModel>&) { return std::nullopt; }
  static bool is_over(const State&, const Operation<TextModel>&) { return false; }
  static bool matters(const Operation<TextModel>& unknown, const Operation<TextModel>& next);
  static bool covers(const State& a, const State& b) { return a == b; }
  static std::size_t hash(const State& state) { return std::hash<State>{}(state); }
  static std::string describe_operation(const Operation<TextModel>& operation);
  static std::string describe_state(const State& state);
};

}  // namespace conclave::test
