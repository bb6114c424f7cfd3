#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace conclave::cli {

// The shape of the command line as data: what can be asked for, under which name, and what --help
// says.

enum class FlagKind : std::uint8_t {
  boolean,   // --prefix, --prefix=false
  text,      // --label TEXT
  number,    // --limit 10
  duration,  // --timeout 5s, 500ms, 1m30s; a number alone is seconds
};

struct Flag {
  std::string_view name{};
  char letter = 0;  // 0: has no short form
  FlagKind kind = FlagKind::boolean;
  std::string_view fallback{};  // the value if it is not given; empty: none
  std::string_view help{};
};

struct Verb {
  std::string_view name{};      // "put", "lease grant"
  std::string_view operands{};  // for --help: "KEY [RANGE_END]"
  std::size_t operands_min = 0;
  std::size_t operands_max = 0;
  bool takes_command = false;  // whatever stands after "--", or after the operands, is a command
  bool holds_turn = false;  // its exit statuses are also those of a turn that is waited for, held
  std::string_view summary{};
  std::string_view details{};  // further lines of its help, may be empty
  std::string_view example{};
  std::span<const Flag> flags{};
};

// Flags of every verb. Each can also be given as CONCLAVE_<NAME> in the environment.
std::span<const Flag> global_flags();

}  // namespace conclave::cli
