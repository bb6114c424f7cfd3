#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/cli/args/spec.h"

namespace conclave::cli {

// A command line that has been understood: every value has the form that its flag's kind asks for.
class Arguments {
 public:
  // A flag that neither the verb nor the globals have ends the process: that is a mistake in this
  // program.
  bool has(std::string_view flag) const;     // given, on the command line or in the environment
  bool is_set(std::string_view flag) const;  // of a boolean: its value
  std::string text(std::string_view flag) const;
  std::int64_t number(std::string_view flag) const;
  std::chrono::milliseconds duration(std::string_view flag) const;
  // The pieces of a text between commas, without empty ones.
  std::vector<std::string> list(std::string_view flag) const;

  const Verb* verb = nullptr;  // null: none was named
  bool help = false;
  std::string group{};  // with help: "lease", whose verbs are asked for
  std::vector<std::string> operands;
  std::vector<std::string> command;

 private:
  friend class Parser;
  struct Value {
    std::string text;
    bool given = false;
  };
  const Value& value(std::string_view flag) const;

  std::map<std::string, Value, std::less<>> values_;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// `words` without the program's name. Flags may stand before or after the verb and among the
// operands; they win over `environment`. Errc::invalid_argument, naming the word that is wrong.
Result<Arguments> parse_arguments(std::span<const std::string> words, std::span<const Verb> verbs,
                                  const Environment& environment);

// "500ms", "5s", "1m30s", "2h", or a number of seconds.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::optional<std::int64_t> parse_number(std::string_view text);
// A lease as etcdctl writes it: hexadecimal.
std::optional<std::int64_t> parse_lease(std::string_view text);
// A member as etcdctl writes it: hexadecimal.
std::optional<std::uint64_t> parse_member(std::string_view text);

// The text of --help, for everything, for the verbs of one group ("lease") or for one verb.
std::string help_text(std::span<const Verb> verbs);
std::string help_text(std::span<const Verb> verbs, std::string_view group);
std::string help_text(const Verb& verb);

}  // namespace conclave::cli
