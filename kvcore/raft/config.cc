#include "conclave/raft/config.h"

#include <algorithm>
#include <iterator>

#include "conclave/base/bytes.h"
#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::raft {
namespace {

constexpr std::uint8_t kEncodingVersion = 1;

Error refused(std::string message) {
  return Error{Errc::refused, std::move(message)};
}

void add_voter(ConfigState& config, NodeId node) {
  config.learners.erase(node);
  config.learners_next.erase(node);
  config.voters.insert(node);
}

void remove_node(ConfigState& config, NodeId node) {
  config.voters.erase(node);
  config.learners.erase(node);
  config.learners_next.erase(node);
}

// A voter of the outgoing half keeps its vote there until the joint configuration is left, and
// nobody is voter and learner at once: it waits in learners_next.
void add_learner(ConfigState& config, NodeId node) {
  if (config.learners.contains(node)) return;
  remove_node(config, node);
  if (config.voters_outgoing.contains(node)) {
    config.learners_next.insert(node);
  } else {
    config.learners.insert(node);
  }
}

Result<void> apply_steps(ConfigState& config, const std::vector<ConfigStep>& steps) {
  for (const ConfigStep& step : steps) {
    if (step.node == 0) continue;
    switch (step.kind) {
      case ConfigStepKind::add_voter:
        add_voter(config, step.node);
        break;
      case ConfigStepKind::remove_node:
        remove_node(config, step.node);
        break;
      case ConfigStepKind::add_learner:
        CONCLAVE_PLANTED(learner_is_voter) ? add_voter(config, step.node)
                                           : add_learner(config, step.node);
        break;
      case ConfigStepKind::update_node:
        break;
    }
  }
  if (config.voters.empty()) return refused("removed all voters");
  return {};
}

void check_consistent(const ConfigState& config) {
  for (const NodeId node : config.learners) {
    CONCLAVE_CHECK(!config.is_voter(node), "a node is voter and learner at once");
  }
  for (const NodeId node : config.learners_next) {
    CONCLAVE_CHECK(config.voters_outgoing.contains(node), "learners_next is not an outgoing voter");
  }
  CONCLAVE_CHECK(config.joint() || (config.learners_next.empty() && !config.auto_leave),
                 "a simple configuration has remains of a joint one");
}

std::string list(const std::set<NodeId>& nodes) {
  std::string out = "(";
  for (const NodeId node : nodes) {
    if (out.size() > 1) out += ' ';
    out += std::to_string(node);
  }
  return out + ')';
}

}  // namespace

std::string encode(const ConfigChange& change) {
  std::string out;
  append_le(out, kEncodingVersion);
  append_le(out, static_cast<std::uint8_t>(change.transition));
  append_le(out, static_cast<std::uint32_t>(change.steps.size()));
  for (const ConfigStep& step : change.steps) {
    append_le(out, static_cast<std::uint8_t>(step.kind));
    append_le(out, step.node);
  }
  return out + change.context;
}

Result<ConfigChange> decode_config_change(std::string_view payload) {
  const Error corrupt{Errc::corrupt, "the bytes are no configuration change"};
  ByteReader reader(payload);
  const auto version = reader.le<std::uint8_t>();
  const auto transition = reader.le<std::uint8_t>();
  const auto count = reader.le<std::uint32_t>();
  if (!count || version != kEncodingVersion || *transition > 2) return corrupt;
  ConfigChange change;
  change.transition = static_cast<ConfigTransition>(*transition);
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto kind = reader.le<std::uint8_t>();
    const auto node = reader.le<std::uint64_t>();
    if (!node || *kind > 3) return corrupt;
    change.steps.push_back({static_cast<ConfigStepKind>(*kind), *node});
  }
  change.context = std::string(reader.rest());
  return change;
}

Result<ConfigState> apply_simple(const ConfigState& config, const std::vector<ConfigStep>& steps) {
  if (config.joint()) return refused("can't apply simple config change in joint config");
  ConfigState changed = config;
  if (const Result<void> applied = apply_steps(changed, steps); !applied) return applied.error();
  // Majorities of two sets of voters overlap for sure only if the sets differ by one at most.
  std::vector<NodeId> difference;
  std::ranges::set_symmetric_difference(config.voters, changed.voters,
                                        std::back_inserter(difference));
  if (difference.size() > 1) {
    return refused("more than one voter changed without entering joint config");
  }
  check_consistent(changed);
  return changed;
}

Result<ConfigState> enter_joint(const ConfigState& config, const std::vector<ConfigStep>& steps,
                                bool auto_leave) {
  if (config.joint()) return refused("config is already joint");
  if (config.voters.empty()) return refused("can't make a zero-voter config joint");
  ConfigState changed = config;
  changed.voters_outgoing = config.voters;
  if (const Result<void> applied = apply_steps(changed, steps); !applied) return applied.error();
  changed.auto_leave = auto_leave;
  check_consistent(changed);
  return changed;
}

Result<ConfigState> leave_joint(const ConfigState& config) {
  if (!config.joint()) return refused("can't leave a non-joint config");
  ConfigState changed = config;
  changed.learners.insert(config.learners_next.begin(), config.learners_next.end());
  changed.learners_next.clear();
  changed.voters_outgoing.clear();
  changed.auto_leave = false;
  check_consistent(changed);
  return changed;
}

Result<ConfigState> apply_change(const ConfigState& config, const ConfigChange& change) {
  if (change.leaves_joint()) return leave_joint(config);
  if (change.enters_joint()) {
    return enter_joint(config, change.steps, change.transition != ConfigTransition::joint_explicit);
  }
  return apply_simple(config, change.steps);
}

std::string describe(const ConfigState& config) {
  std::string out = "voters=" + list(config.voters);
  if (config.joint()) out += "&&" + list(config.voters_outgoing);
  if (!config.learners.empty()) out += " learners=" + list(config.learners);
  if (!config.learners_next.empty()) out += " learners_next=" + list(config.learners_next);
  if (config.auto_leave) out += " autoleave";
  return out;
}

}  // namespace conclave::raft
