#include "tests/support/etcd_key_model.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>
#include <vector>

namespace conclave::test {
namespace {

using State = EtcdKeyModel::State;
using Found = EtcdKeyModel::Found;

// Reads leave the key as it is, and may tell the revision of a value that an operation of unknown
// outcome put.
std::optional<State> after_read(const State& state, const std::optional<Found>& found,
                                std::int64_t revision) {
  if (state.exists != found.has_value() || revision < state.least_revision) return std::nullopt;
  State after = state;
  after.least_revision = revision;
  if (!found) return after;
  if (found->value != state.value || found->mod_revision > revision) return std::nullopt;
  if (state.mod_revision == 0 ? found->mod_revision < state.least_revision
                              : found->mod_revision != state.mod_revision) {
    return std::nullopt;
  }
  after.mod_revision = found->mod_revision;
  return after;
}

// Can the key's mod_revision be this one?
bool may_be_at(const State& state, std::int64_t revision) {
  if (!state.exists) return revision == 0;
  return state.mod_revision == 0 ? revision >= state.least_revision
                                 : revision == state.mod_revision;
}

std::optional<State> step_unknown(const State& state, const EtcdOperation& operation) {
  const std::int64_t revision = state.least_revision + 1;
  switch (operation.kind) {
    case EtcdKeyModel::Kind::get:
      return std::nullopt;
    case EtcdKeyModel::Kind::put:
      return State{true, operation.args.value, 0, revision};
    case EtcdKeyModel::Kind::compare_and_put: {
      const std::int64_t compared = operation.args.compare_revision;
      if (!may_be_at(state, compared)) return std::nullopt;
      return State{true, operation.args.value, 0, std::max(revision, compared + 1)};
    }
    case EtcdKeyModel::Kind::erase:
      if (!state.exists) return std::nullopt;
      return State{false, {}, 0, revision};
  }
  return std::nullopt;
}

std::optional<State> step_returned(const State& state, const EtcdOperation& operation) {
  const EtcdKeyModel::Result& result = operation.result;
  const bool is_next = result.revision > state.least_revision;
  switch (operation.kind) {
    case EtcdKeyModel::Kind::get:
      return after_read(state, result.found, result.revision);
    case EtcdKeyModel::Kind::put:
      if (!is_next) return std::nullopt;
      return State{true, operation.args.value, result.revision, result.revision};
    case EtcdKeyModel::Kind::compare_and_put: {
      const std::int64_t compared = operation.args.compare_revision;
      if (result.succeeded) {
        if (!is_next || !may_be_at(state, compared) || compared >= result.revision) {
          return std::nullopt;
        }
        return State{true, operation.args.value, result.revision, result.revision};
      }
      if ((result.found ? result.found->mod_revision : 0) == compared) return std::nullopt;
      return after_read(state, result.found, result.revision);
    }
    case EtcdKeyModel::Kind::erase:
      if (result.deleted == 0) return after_read(state, std::nullopt, result.revision);
      if (result.deleted != 1 || !state.exists || !is_next) return std::nullopt;
      return State{false, {}, 0, result.revision};
  }
  return std::nullopt;
}

std::string text_of(const std::optional<Found>& found) {
  if (!found) return "absent";
  return '"' + found->value + "\" mod_revision " + std::to_string(found->mod_revision);
}

std::string outcome_of(const EtcdOperation& operation) {
  const EtcdKeyModel::Result& result = operation.result;
  const std::string revision = ", revision " + std::to_string(result.revision);
  switch (operation.kind) {
    case EtcdKeyModel::Kind::put:
      return "done" + revision;
    case EtcdKeyModel::Kind::get:
      return text_of(result.found) + revision;
    case EtcdKeyModel::Kind::compare_and_put:
      return (result.succeeded ? "put" : "not put, found " + text_of(result.found)) + revision;
    case EtcdKeyModel::Kind::erase:
      return "deleted " + std::to_string(result.deleted) + revision;
  }
  return {};
}

// Unknown writes whose values nobody saw are all alike, which spares the search to tell them apart.
std::vector<EtcdOperation> without_unseen_values(std::span<const EtcdOperation> history) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const EtcdOperation& operation : history) {
    const std::optional<Found>& found = operation.result.found;
    if (operation.return_time_ns && found) seen.emplace(operation.key, found->value);
  }
  std::vector<EtcdOperation> same(history.begin(), history.end());
  for (EtcdOperation& operation : same) {
    if (operation.return_time_ns || seen.contains({operation.key, operation.args.value})) continue;
    operation.args.value = "(a value that nobody saw)";
  }
  return same;
}

}  // namespace

std::optional<State> EtcdKeyModel::step(const State& state, const EtcdOperation& operation) {
  return operation.return_time_ns ? step_returned(state, operation)
                                  : step_unknown(state, operation);
}

bool is_acknowledged_write(const EtcdOperation& operation) {
  if (!operation.return_time_ns) return false;
  switch (operation.kind) {
    case EtcdKeyModel::Kind::put:
      return true;
    case EtcdKeyModel::Kind::get:
      return false;
    case EtcdKeyModel::Kind::compare_and_put:
      return operation.result.succeeded;
    case EtcdKeyModel::Kind::erase:
      return operation.result.deleted > 0;
  }
  return false;
}

// A revision's write, then what was read at it.
std::optional<std::int64_t> EtcdKeyModel::rank(const EtcdOperation& operation) {
  return operation.result.revision * 2 + (is_acknowledged_write(operation) ? 0 : 1);
}

// A key does not come back to a revision that it left.
bool EtcdKeyModel::is_over(const State& state, const EtcdOperation& operation) {
  const std::int64_t compared = operation.args.compare_revision;
  return operation.kind == Kind::compare_and_put && compared != 0 &&
         compared <= state.least_revision && !may_be_at(state, compared);
}

bool EtcdKeyModel::matters(const EtcdOperation& unknown, const EtcdOperation& next) {
  const bool erases = unknown.kind == Kind::erase;
  const bool returned = next.return_time_ns.has_value();
  const auto may_be_seen = [&] {
    const std::optional<Found>& found = next.result.found;
    return erases ? !found.has_value() : found && found->value == unknown.args.value;
  };
  switch (next.kind) {
    case Kind::put:
      return false;
    case Kind::get:
      return may_be_seen();
    case Kind::compare_and_put:
      if (returned && !next.result.succeeded) return may_be_seen();
      return erases == (next.args.compare_revision == 0);
    case Kind::erase:
      // One of unknown outcome leaves the key absent, which it was if it needs something put first.
      return returned && erases == (next.result.deleted == 0);
  }
  return true;
}

bool EtcdKeyModel::covers(const State& a, const State& b) {
  return a.exists == b.exists && a.value == b.value && a.mod_revision == b.mod_revision &&
         a.least_revision <= b.least_revision;
}

std::size_t EtcdKeyModel::hash(const State& state) {
  return std::hash<std::string>{}(state.value) * 31 +
         static_cast<std::size_t>(state.mod_revision) * 2 + (state.exists ? 1 : 0);
}

std::string EtcdKeyModel::describe_operation(const EtcdOperation& operation) {
  const std::string value = '"' + operation.args.value + '"';
  const std::string outcome =
      " -> " + (operation.return_time_ns ? outcome_of(operation) : "unknown");
  switch (operation.kind) {
    case Kind::put:
      return "put(" + value + ")" + outcome;
    case Kind::get:
      return "get()" + outcome;
    case Kind::compare_and_put:
      return "compare_and_put(mod_revision " + std::to_string(operation.args.compare_revision) +
             ", " + value + ")" + outcome;
    case Kind::erase:
      return "erase()" + outcome;
  }
  return {};
}

std::string EtcdKeyModel::describe_state(const State& state) {
  const std::string revision = ", revision " + std::to_string(state.least_revision) + " or later";
  if (!state.exists) return "absent" + revision;
  const std::string mod_revision =
      state.mod_revision == 0 ? "unknown" : std::to_string(state.mod_revision);
  return '"' + state.value + "\" mod_revision " + mod_revision + revision;
}

Verdict check_etcd_history(std::span<const EtcdOperation> history, SearchLimits limits) {
  Verdict verdict = check_revisions(history);
  if (!verdict.linearizable()) return verdict;
  return check_linearizability<EtcdKeyModel>(without_unseen_values(history), limits);
}

}  // namespace conclave::test
