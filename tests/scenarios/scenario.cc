#include "tests/scenarios/scenario.h"

#include <fstream>
#include <sstream>

namespace conclave::scenarios {
namespace {

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

// Splits at spaces outside parentheses.
std::vector<std::string> tokens_of(std::string_view line) {
  std::vector<std::string> tokens;
  std::string token;
  int depth = 0;
  for (const char c : line) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ' ' && depth == 0) {
      if (!token.empty()) tokens.push_back(std::move(token));
      token.clear();
    } else {
      token += c;
    }
  }
  if (!token.empty()) tokens.push_back(std::move(token));
  return tokens;
}

std::vector<std::string> values_of(std::string_view text) {
  if (text.size() < 2 || text.front() != '(') return {std::string(text)};
  std::vector<std::string> values;
  std::string value;
  for (const char c : text.substr(1)) {
    if (c == ',' || c == ')') {
      if (!value.empty()) values.push_back(std::move(value));
      value.clear();
    } else if (c != ' ') {
      value += c;
    }
  }
  return values;
}

void parse_directive(Step& step) {
  const std::vector<std::string> tokens = tokens_of(step.directive);
  step.command = tokens.front();
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    const std::size_t equals = tokens[i].find('=');
    if (equals == std::string::npos) {
      step.positional.push_back(tokens[i]);
    } else {
      step.named[tokens[i].substr(0, equals)] =
          values_of(std::string_view(tokens[i]).substr(equals + 1));
    }
  }
}

}  // namespace

std::string Step::value(const std::string& key, const std::string& otherwise) const {
  const auto found = named.find(key);
  return found == named.end() || found->second.empty() ? otherwise : found->second.front();
}

std::uint64_t Step::number(const std::string& key, std::uint64_t otherwise) const {
  return has(key) ? std::stoull(value(key)) : otherwise;
}

std::vector<std::uint64_t> Step::numbers(const std::string& key) const {
  std::vector<std::uint64_t> out;
  if (!has(key)) return out;
  for (const std::string& value : named.at(key)) out.push_back(std::stoull(value));
  return out;
}

std::vector<std::uint64_t> Step::ids() const {
  std::vector<std::uint64_t> out;
  for (const std::string& value : positional) out.push_back(std::stoull(value));
  return out;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<Step> parse_scenario(std::string_view text) {
  const std::vector<std::string> lines = split_lines(text);
  std::vector<Step> steps;
  std::string preamble;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (blank(lines[i]) || lines[i].front() == '#') {
      preamble += lines[i] + '\n';
      continue;
    }
    Step step;
    step.line = static_cast<int>(i) + 1;
    step.preamble = std::move(preamble);
    preamble.clear();
    step.directive = lines[i];
    parse_directive(step);
    for (++i; i < lines.size() && lines[i] != "----"; ++i) step.input.push_back(lines[i]);
    for (++i; i < lines.size() && !blank(lines[i]); ++i) step.expected.push_back(lines[i]);
    --i;
    steps.push_back(std::move(step));
  }
  return steps;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace conclave::scenarios
