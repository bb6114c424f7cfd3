#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/raft/types.h"

namespace conclave::raft {

// Who belongs to the group, as applied so far. Part of every snapshot.
//
// While `voters_outgoing` is not empty the configuration is *joint* (paper, section 6): elections
// and commits need a majority of `voters` and one of `voters_outgoing`.
struct ConfigState {
  std::set<NodeId> voters = {};
  std::set<NodeId> voters_outgoing = {};
  std::set<NodeId> learners = {};       // get the log, do not count
  std::set<NodeId> learners_next = {};  // outgoing voters that become learners with the leave
  bool auto_leave = false;              // the leader leaves the joint configuration by itself

  bool joint() const { return !voters_outgoing.empty(); }
  bool is_voter(NodeId id) const { return voters.contains(id) || voters_outgoing.contains(id); }
  bool is_learner(NodeId id) const { return learners.contains(id); }
  bool contains(NodeId id) const { return is_voter(id) || is_learner(id); }

  friend bool operator==(const ConfigState&, const ConfigState&) = default;
};

enum class ConfigStepKind : std::uint8_t {
  add_voter = 0,  // also promotes a learner
  remove_node = 1,
  update_node = 2,  // changes nothing here; carries a context through the log
  add_learner = 3,  // also demotes a voter
};

struct ConfigStep {
  ConfigStepKind kind = ConfigStepKind::add_voter;
  NodeId node = 0;  // 0: the step is ignored

  friend bool operator==(const ConfigStep&, const ConfigStep&) = default;
};

enum class ConfigTransition : std::uint8_t {
  automatic = 0,       // simple where one voter changes at most, else as joint_implicit
  joint_implicit = 1,  // joint; the leader leaves it as soon as it can
  joint_explicit = 2,  // joint until an empty ConfigChange is proposed
};

// The payload of an entry of kind config_change. One without steps (and with transition automatic)
// leaves a joint configuration.
struct ConfigChange {
  ConfigTransition transition = ConfigTransition::automatic;
  std::vector<ConfigStep> steps = {};
  std::string context = {};  // the caller's own (a member's addresses)

  bool leaves_joint() const { return transition == ConfigTransition::automatic && steps.empty(); }
  // Whether it goes through a joint configuration.
  bool enters_joint() const {
    return transition != ConfigTransition::automatic || steps.size() > 1;
  }

  friend bool operator==(const ConfigChange&, const ConfigChange&) = default;
};

// The bytes of a ConfigChange in the log: version (u8 = 1), transition (u8), number of steps (u32),
// steps (kind u8, node u64), then the context to the end; integers little-endian.
std::string encode(const ConfigChange& change);
// Errc::corrupt for anything that encode() did not write.
Result<ConfigChange> decode_config_change(std::string_view payload);

// The configuration after a change, or Errc::refused with the reason: all voters removed, more than
// one voter changed outside a joint configuration, already joint, not joint. Pure; adding what is
// there and removing what is absent are no errors.
Result<ConfigState> apply_simple(const ConfigState& config, const std::vector<ConfigStep>& steps);
Result<ConfigState> enter_joint(const ConfigState& config, const std::vector<ConfigStep>& steps,
                                bool auto_leave);
Result<ConfigState> leave_joint(const ConfigState& config);
// Whichever of the three the change asks for.
Result<ConfigState> apply_change(const ConfigState& config, const ConfigChange& change);

// "(1 2 3)&&(1) learners=(4) autoleave", for logs and tests.
std::string describe(const ConfigState& config);

}  // namespace conclave::raft
