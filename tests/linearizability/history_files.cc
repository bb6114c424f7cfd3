#include "tests/linearizability/history_files.h"

#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <string>

namespace conclave::linearizability {
namespace {

using test::Operation;
using test::RegisterModel;
using test::TextModel;

struct Event {
  int process = 0;
  std::string type;
  std::string f;
  std::string key;
  std::string value;
};

// Pairs what processes call with how it ends. `end` is given the operation and the event, and says
// whether the operation stays in the history.
template <class Model, class Begin, class End>
std::vector<Operation<Model>> pair_events(const std::vector<Event>& events, Begin begin, End end) {
  std::vector<std::optional<Operation<Model>>> operations;
  std::map<int, std::size_t> open;
  for (std::size_t line = 0; line < events.size(); ++line) {
    const Event& event = events[line];
    if (event.type == "invoke") {
      open[event.process] = operations.size();
      Operation<Model> operation = begin(event);
      operation.client = event.process;
      operation.call_time_ns = static_cast<std::int64_t>(line) + 1;
      operations.push_back(std::move(operation));
      continue;
    }
    const auto at = open.find(event.process);
    if (at == open.end()) continue;
    std::optional<Operation<Model>>& operation = operations[at->second];
    if (event.type != "info") operation->return_time_ns = static_cast<std::int64_t>(line) + 1;
    if (!end(*operation, event)) operation.reset();
    open.erase(at);
  }
  std::vector<Operation<Model>> history;
  for (auto& operation : operations) {
    if (operation) history.push_back(std::move(*operation));
  }
  return history;
}

// `scan` makes an event of a line, or none if it cannot be read.
template <class Scan>
Result<std::vector<Event>> read_events(const std::filesystem::path& file, Scan scan) {
  std::ifstream in(file);
  std::vector<Event> events;
  std::string line;
  while (std::getline(in, line)) {
    std::optional<Event> event = scan(line);
    if (!event) return Error{Errc::invalid_argument, file.string() + ": " + line};
    events.push_back(std::move(*event));
  }
  if (events.empty()) return Error{Errc::invalid_argument, file.string() + ": no events"};
  return events;
}

std::optional<Event> scan_register_line(const std::string& line) {
  Event event;
  char type[16];
  char f[16];
  char value[32];
  // NOLINTNEXTLINE(bugprone-unchecked-string-to-number-conversion)
  if (std::sscanf(line.c_str(), "INFO jepsen.util - %d :%15s :%15s %31[^\n]", &event.process, type,
                  f, value) != 4) {
    return std::nullopt;
  }
  event.type = type;
  event.f = f;
  event.value = value;
  return event;
}

// What stands between `before` and `after`.
std::string between(const std::string& line, const std::string& before, char after) {
  const std::size_t at = line.find(before);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + before.size();
  return line.substr(begin, line.find(after, begin) - begin);
}

std::optional<Event> scan_text_line(const std::string& line) {
  Event event;
  const std::string process = between(line, ":process ", ',');
  if (process.empty() || process.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  event.process = std::stoi(process);
  event.type = between(line, ":type :", ',');
  event.f = between(line, ":f :", ',');
  event.key = between(line, ":key \"", '"');
  event.value = between(line, ":value \"", '"');
  return event;
}

Operation<RegisterModel> begin_register(const Event& event) {
  using Kind = RegisterModel::Kind;
  Operation<RegisterModel> operation;
  operation.kind = event.f == "read"    ? Kind::read
                   : event.f == "write" ? Kind::write
                                        : Kind::compare_and_set;
  if (operation.kind == Kind::write) operation.args.value = std::stol(event.value);
  if (operation.kind == Kind::compare_and_set) {
    operation.args.expected = std::stol(between(event.value, "[", ' '));
    operation.args.value = std::stol(between(event.value, " ", ']'));
  }
  return operation;
}

bool end_register(Operation<RegisterModel>& operation, const Event& event) {
  operation.result.succeeded = event.type == "ok";
  if (operation.kind != RegisterModel::Kind::read) {
    return event.type != "fail" || operation.kind == RegisterModel::Kind::compare_and_set;
  }
  if (event.type == "ok" && event.value != "nil") operation.result.value = std::stol(event.value);
  return event.type == "ok";
}

Operation<TextModel> begin_text(const Event& event) {
  using Kind = TextModel::Kind;
  Operation<TextModel> operation;
  operation.key = event.key;
  operation.kind = event.f == "get" ? Kind::get : event.f == "put" ? Kind::put : Kind::append;
  operation.args = event.value;
  return operation;
}

bool end_text(Operation<TextModel>& operation, const Event& event) {
  if (operation.kind == TextModel::Kind::get) operation.result = event.value;
  return true;
}

}  // namespace

Result<std::vector<Operation<RegisterModel>>> read_register_history(
    const std::filesystem::path& file) {
  const Result<std::vector<Event>> events = read_events(file, scan_register_line);
  if (!events) return events.error();
  return pair_events<RegisterModel>(*events, begin_register, end_register);
}

Result<std::vector<Operation<TextModel>>> read_text_history(const std::filesystem::path& file) {
  const Result<std::vector<Event>> events = read_events(file, scan_text_line);
  if (!events) return events.error();
  return pair_events<TextModel>(*events, begin_text, end_text);
}

}  // namespace conclave::linearizability
