#include "conclave/cli/args/txn_script.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include "conclave/cli/args/parse.h"
#include "conclave/cli/args/requests.h"

namespace conclave::cli {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

Error malformed(const std::string& what, std::string_view line) {
  return {Errc::invalid_argument, what + ": " + std::string(line)};
}

bool is_blank(char letter) {
  return letter == ' ' || letter == '\t' || letter == '\r';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<int> hex_digit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return std::nullopt;
}

// Reads what follows a backslash; `at` stands on it, and afterwards on the last letter of the
// escape.
std::optional<char> unescape(std::string_view line, std::size_t& at) {
  if (++at >= line.size()) return std::nullopt;
  switch (line[at]) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '0':
      return '\0';
    case '\\':
      return '\\';
    case '"':
      return '"';
    case 'x':
      break;
    default:
      return std::nullopt;
  }
  if (at + 2 >= line.size()) return std::nullopt;
  const auto high = hex_digit(line[at + 1]);
  const auto low = hex_digit(line[at + 2]);
  if (!high || !low) return std::nullopt;
  at += 2;
  return static_cast<char>(*high * 16 + *low);
}

// The text between the quotes; `at` stands on the opening one, and afterwards behind the closing
// one.
std::optional<std::string> take_quoted(std::string_view line, std::size_t& at) {
  const char quote = line[at++];
  std::string text;
  for (; at < line.size(); ++at) {
    if (line[at] == quote) {
      ++at;
      return text;
    }
    if (line[at] == '\\' && quote == '"') {
      const auto letter = unescape(line, at);
      if (!letter) return std::nullopt;
      text += *letter;
    } else {
      text += line[at];
    }
  }
  return std::nullopt;
}

struct CompareParts {
  std::string target;
  std::string key;
  std::string relation;
  std::string value;
};

// target("key") relation "value"
std::optional<CompareParts> take_apart(std::string_view line) {
  CompareParts parts;
  const std::size_t open = line.find('(');
  if (open == std::string_view::npos) return std::nullopt;
  parts.target = trimmed(line.substr(0, open));
  std::size_t at = open + 1;
  while (at < line.size() && is_blank(line[at])) ++at;
  if (at >= line.size()) return std::nullopt;
  if (line[at] == '"' || line[at] == '\'') {
    auto key = take_quoted(line, at);
    if (!key) return std::nullopt;
    parts.key = std::move(*key);
  } else {
    const std::size_t close = line.find(')', at);
    if (close == std::string_view::npos) return std::nullopt;
    parts.key = line.substr(at, close - at);
    at = close;
  }
  while (at < line.size() && is_blank(line[at])) ++at;
  if (at >= line.size() || line[at] != ')') return std::nullopt;
  auto rest = split_words(line.substr(at + 1));
  if (!rest || rest->size() != 2) return std::nullopt;
  parts.relation = (*rest)[0];
  parts.value = (*rest)[1];
  return parts;
}

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while (at < line.size()) {
    if (is_blank(line[at])) {
      ++at;
      continue;
    }
    std::string word;
    while (at < line.size() && !is_blank(line[at])) {
      if (line[at] == '"' || line[at] == '\'') {
        auto text = take_quoted(line, at);
        if (!text) return malformed("unclosed quote or unknown escape", line);
        word += *text;
      } else {
        word += line[at++];
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

Result<Compare> parse_compare(std::string_view line) {
  const auto parts = take_apart(line);
  if (!parts) return malformed("malformed comparison", line);
  Compare compare;
  compare.set_key(parts->key);
  if (parts->relation == "=") {
    compare.set_result(Compare::EQUAL);
  } else if (parts->relation == "!=") {
    compare.set_result(Compare::NOT_EQUAL);
  } else if (parts->relation == "<") {
    compare.set_result(Compare::LESS);
  } else if (parts->relation == ">") {
    compare.set_result(Compare::GREATER);
  } else {
    return malformed("malformed comparison (the relation is one of = != < >)", line);
  }
  const std::string& target = parts->target;
  if (target == "value" || target == "val") {
    compare.set_target(Compare::VALUE);
    compare.set_value(parts->value);
    return compare;
  }
  const auto number = target == "lease" ? parse_lease(parts->value) : parse_number(parts->value);
  if (target == "version" || target == "ver") {
    compare.set_target(Compare::VERSION);
    compare.set_version(number.value_or(0));
  } else if (target == "create" || target == "c") {
    compare.set_target(Compare::CREATE);
    compare.set_create_revision(number.value_or(0));
  } else if (target == "mod" || target == "m") {
    compare.set_target(Compare::MOD);
    compare.set_mod_revision(number.value_or(0));
  } else if (target == "lease") {
    compare.set_target(Compare::LEASE);
    compare.set_lease(number.value_or(0));
  } else {
    return malformed("malformed comparison (unknown target " + target + ")", line);
  }
  if (!number) return malformed("malformed comparison (" + target + " takes a number)", line);
  return compare;
}

Result<RequestOp> parse_operation(std::string_view line) {
  auto words = split_words(line);
  if (!words) return words.error();
  const auto arguments = parse_arguments(
      *words, kv_verbs(), [](const std::string&) { return std::optional<std::string>(); });
  if (!arguments) return malformed("invalid operation (" + arguments.error().message + ")", line);
  RequestOp operation;
  Result<void> built;
  const std::string_view verb = arguments->verb == nullptr ? "" : arguments->verb->name;
  if (verb == "put") {
    if (arguments->operands.size() < 2 && !arguments->is_set("ignore-value")) {
      return malformed("invalid operation (put needs KEY and VALUE)", line);
    }
    auto request = put_request(*arguments, [] { return std::string(); });
    if (!request) return malformed(request.error().message, line);
    *operation.mutable_request_put() = std::move(*request);
  } else if (verb == "get") {
    auto request = range_request(*arguments);
    if (!request) return malformed(request.error().message, line);
    *operation.mutable_request_range() = std::move(*request);
  } else if (verb == "del") {
    auto request = delete_request(*arguments);
    if (!request) return malformed(request.error().message, line);
    *operation.mutable_request_delete_range() = std::move(*request);
  } else {
    return malformed("invalid operation (it is one of put, get, del)", line);
  }
  return operation;
}

Result<TxnRequest> read_txn(std::istream& input, std::ostream* prompts) {
  TxnRequest request;
  std::string line;
  const auto prompt = [&](std::string_view text) {
    if (prompts != nullptr) *prompts << text << "\n" << std::flush;
  };
  bool complete = true;
  const auto next = [&] {
    if (!std::getline(input, line)) complete = false;
    return complete && !trimmed(line).empty();
  };
  prompt("compares:");
  while (next()) {
    auto compare = parse_compare(trimmed(line));
    if (!compare) return compare.error();
    *request.add_compare() = std::move(*compare);
  }
  prompt("success requests (get, put, del):");
  while (next()) {
    auto operation = parse_operation(trimmed(line));
    if (!operation) return operation.error();
    *request.add_success() = std::move(*operation);
  }
  prompt("failure requests (get, put, del):");
  while (next()) {
    auto operation = parse_operation(trimmed(line));
    if (!operation) return operation.error();
    *request.add_failure() = std::move(*operation);
  }
  // Half a script is not what was meant, and may be without the conditions that come with it.
  if (!complete) {
    return Error{Errc::invalid_argument,
                 "the input ends too soon: compares, operations if they hold and operations if not "
                 "each end with an empty line"};
  }
  return request;
}

}  // namespace conclave::cli
