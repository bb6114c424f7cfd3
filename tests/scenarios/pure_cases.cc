#include "tests/scenarios/pure_cases.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "conclave/raft/quorum.h"

namespace conclave::scenarios {
namespace {

std::set<raft::NodeId> nodes(const Step& step, const std::string& key) {
  if (!step.has(key) || step.value(key) == "zero") return {};
  const std::vector<std::uint64_t> ids = step.numbers(key);
  return {ids.begin(), ids.end()};
}

std::string padded(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(digits.size() < 5 ? 5 - digits.size() : 0, ' ') + digits;
}

// One line per voter; the bar is as long as there are voters with a lower index.
std::vector<std::string> picture(const std::map<raft::NodeId, std::string>& indexes) {
  if (indexes.empty()) return {"<empty majority quorum>"};
  const auto number = [](const std::string& text) { return text == "_" ? 0 : std::stoull(text); };
  std::vector<std::string> lines{std::string(indexes.size() + 4, ' ') + "idx"};
  for (const auto& [id, text] : indexes) {
    const auto lower = static_cast<std::size_t>(std::ranges::count_if(
        indexes, [&](const auto& other) { return number(other.second) < number(text); }));
    const std::string bar =
        text == "_" ? "?" + std::string(indexes.size(), ' ')
                    : std::string(lower, 'x') + ">" + std::string(indexes.size() - lower, ' ');
    lines.push_back(bar + " " + padded(number(text)) + "    (id=" + std::to_string(id) + ")");
  }
  return lines;
}

}  // namespace

std::vector<raft::ConfigStep> parse_config_steps(const std::vector<std::string>& input) {
  std::vector<raft::ConfigStep> steps;
  for (const std::string& line : input) {
    std::istringstream tokens(line);
    for (std::string token; tokens >> token;) {
      raft::ConfigStep step;
      step.node = std::stoull(token.substr(1));
      switch (token.front()) {
        case 'v':
          step.kind = raft::ConfigStepKind::add_voter;
          break;
        case 'l':
          step.kind = raft::ConfigStepKind::add_learner;
          break;
        case 'r':
          step.kind = raft::ConfigStepKind::remove_node;
          break;
        default:
          step.kind = raft::ConfigStepKind::update_node;
          break;
      }
      steps.push_back(step);
    }
  }
  return steps;
}

std::vector<std::string> run_quorum_step(const Step& step) {
  raft::ConfigState config;
  config.voters = nodes(step, "cfg");
  config.voters_outgoing = nodes(step, "cfgj");
  std::set<raft::NodeId> all = config.voters;
  all.insert(config.voters_outgoing.begin(), config.voters_outgoing.end());
  const std::string key = step.command == "vote" ? "votes" : "idx";
  std::vector<std::string> values = step.has(key) ? step.named.at(key) : std::vector<std::string>{};
  if (values.size() != all.size()) throw std::invalid_argument("as many values as voters");
  std::map<raft::NodeId, std::string> by_node;
  std::size_t at = 0;
  for (const raft::NodeId id : all) by_node[id] = values[at++];

  if (step.command == "vote") {
    raft::Votes votes;
    for (const auto& [id, text] : by_node) {
      if (text != "_") votes[id] = text == "y";
    }
    switch (raft::quorum_vote(config, votes)) {
      case raft::VoteResult::pending:
        return {"VotePending"};
      case raft::VoteResult::lost:
        return {"VoteLost"};
      case raft::VoteResult::won:
        return {"VoteWon"};
    }
  }
  std::vector<std::string> lines = picture(by_node);
  const raft::Index index = raft::quorum_index(config, [&](raft::NodeId id) -> raft::Index {
    return by_node.at(id) == "_" ? 0 : std::stoull(by_node.at(id));
  });
  if (index == raft::kEverything) {
    lines.back() += "∞";
  } else {
    lines.push_back(std::to_string(index));
  }
  return lines;
}

std::vector<std::string> ConfigCase::run(const Step& step) {
  const std::uint64_t last_index = steps_++;
  const std::vector<raft::ConfigStep> steps = parse_config_steps(step.input);
  const Result<raft::ConfigState> changed =
      step.command == "simple" ? raft::apply_simple(config_, steps)
      : step.command == "enter-joint"
          ? raft::enter_joint(config_, steps, step.value("autoleave") == "true")
          : raft::leave_joint(config_);
  if (!changed) return {changed.error().message};
  config_ = *changed;
  std::set<raft::NodeId> members = config_.voters;
  members.insert(config_.voters_outgoing.begin(), config_.voters_outgoing.end());
  members.insert(config_.learners.begin(), config_.learners.end());
  std::erase_if(next_, [&](const auto& item) { return !members.contains(item.first); });
  std::vector<std::string> lines{raft::describe(config_)};
  for (const raft::NodeId id : members) {
    next_.emplace(id, std::max<std::uint64_t>(last_index, 1));
    lines.push_back(std::to_string(id) + ": StateProbe match=0 next=" + std::to_string(next_[id]) +
                    (config_.is_learner(id) ? " learner" : ""));
  }
  return lines;
}

}  // namespace conclave::scenarios
