#pragma once

#include <map>
#include <string>
#include <vector>

#include "conclave/raft/config.h"

#include "tests/scenarios/scenario.h"

namespace conclave::scenarios {

// `committed` and `vote` of a quorum.
std::vector<std::string> run_quorum_step(const Step& step);

// `simple`, `enter-joint` and `leave-joint` on one configuration that starts empty.
class ConfigCase {
 public:
  std::vector<std::string> run(const Step& step);

 private:
  raft::ConfigState config_;
  std::map<raft::NodeId, std::uint64_t> next_;  // of each member, given when it is added
  std::uint64_t steps_ = 0;
};

// v1 l2 r3 u4.
std::vector<raft::ConfigStep> parse_config_steps(const std::vector<std::string>& input);

}  // namespace conclave::scenarios
