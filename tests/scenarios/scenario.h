#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace conclave::scenarios {

// One step of a scenario file:
//
//   # what it shows
//   command positional key=value list=(1,2,3)
//   input lines
//   ----
//   expected output, up to the next blank line
struct Step {
  int line = 0;          // of the command
  std::string preamble;  // blank lines and comments before it, as they stand
  std::string directive;
  std::string command;
  std::vector<std::string> positional;
  std::map<std::string, std::vector<std::string>> named;  // "x=1" and "x=(1,2)" alike
  std::vector<std::string> input;
  std::vector<std::string> expected;

  bool has(const std::string& key) const { return named.contains(key); }
  std::string value(const std::string& key, const std::string& otherwise = "") const;
  std::uint64_t number(const std::string& key, std::uint64_t otherwise) const;
  std::vector<std::uint64_t> numbers(const std::string& key) const;
  std::vector<std::uint64_t> ids() const;  // the positional arguments as numbers
};

std::vector<Step> parse_scenario(std::string_view text);
std::string read_file(const std::filesystem::path& path);
std::vector<std::string> split_lines(std::string_view text);

}  // namespace conclave::scenarios
