#include "tests/support/register_models.h"

namespace conclave::test {

std::optional<RegisterModel::State> RegisterModel::step(const State& state,
                                                        const Operation<RegisterModel>& operation) {
  const bool returned = operation.return_time_ns.has_value();
  switch (operation.kind) {
    case Kind::read:
      if (!returned || operation.result.value != state) return std::nullopt;
      return state;
    case Kind::write:
      return State(operation.args.value);
    case Kind::compare_and_set: {
      const bool succeeds = state == operation.args.expected;
      if (succeeds != (!returned || operation.result.succeeded)) return std::nullopt;
      return succeeds ? State(operation.args.value) : state;
    }
  }
  return std::nullopt;
}

bool RegisterModel::matters(const Operation<RegisterModel>&, const Operation<RegisterModel>& next) {
  return next.kind != Kind::write;
}

std::string RegisterModel::describe_operation(const Operation<RegisterModel>& operation) {
  const Args& args = operation.args;
  const bool returned = operation.return_time_ns.has_value();
  const std::string outcome = returned ? "" : " -> unknown";
  switch (operation.kind) {
    case Kind::read:
      return "read() -> " + (returned ? describe_state(operation.result.value) : "unknown");
    case Kind::write:
      return "write(" + std::to_string(args.value) + ")" + outcome;
    case Kind::compare_and_set:
      return "compare_and_set(" + std::to_string(args.expected) + ", " +
             std::to_string(args.value) + ")" +
             (returned ? operation.result.succeeded ? " -> set" : " -> another value" : outcome);
  }
  return {};
}

std::string RegisterModel::describe_state(const State& state) {
  return state ? std::to_string(*state) : "no value";
}

std::optional<TextModel::State> TextModel::step(const State& state,
                                                const Operation<TextModel>& operation) {
  switch (operation.kind) {
    case Kind::get:
      if (!operation.return_time_ns || operation.result != state) return std::nullopt;
      return state;
    case Kind::put:
      return operation.args;
    case Kind::append:
      return state + operation.args;
  }
  return std::nullopt;
}

bool TextModel::matters(const Operation<TextModel>&, const Operation<TextModel>& next) {
  return next.kind != Kind::put;
}

std::string TextModel::describe_operation(const Operation<TextModel>& operation) {
  const bool returned = operation.return_time_ns.has_value();
  const std::string outcome = returned ? "" : " -> unknown";
  switch (operation.kind) {
    case Kind::get:
      return "get() -> " + (returned ? describe_state(operation.result) : "unknown");
    case Kind::put:
      return "put(" + describe_state(operation.args) + ")" + outcome;
    case Kind::append:
      return "append(" + describe_state(operation.args) + ")" + outcome;
  }
  return {};
}

std::string TextModel::describe_state(const State& state) {
  return '"' + state + '"';
}

}  // namespace conclave::test
