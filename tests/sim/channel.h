#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "conclave/client/channel.h"

#include "tests/sim/cluster.h"
#include "tests/support/sim_world.h"

namespace conclave::sim {

// The client's channel port onto the members of a run: what gRPC is between a real client and real
// servers. Connections keep the order of what they carry, refuse at once where no process is, break
// when it ends, and fall silent when it is paused or the client is cut off.
//
// An endpoint is a member's id, as "7:2379". That of a member that was removed leads to another
// one, as names do that an operator keeps up to date.
class SimChannels final : public ChannelFactory {
 public:
  SimChannels(Cluster& cluster, SimExecutor& executor) : cluster_(cluster), executor_(executor) {}

  Result<std::unique_ptr<Channel>> open(const std::string& endpoint) override;

  static std::string endpoint_of(raft::NodeId id) { return std::to_string(id) + ":2379"; }
  // Requests and answers of unary calls are lost for so long, and streams break.
  void cut_off(Duration length) { cut_until_ = cluster_.world().now() + length; }

 private:
  class MemberChannel;
  class MemberStream;
  class WatchOnMember;
  class KeepAliveOnMember;
  struct Answer;

  World& world() { return cluster_.world(); }
  bool is_cut() { return world().now() < cut_until_; }
  Duration delay() { return cluster_.network().usual_delay(); }
  raft::NodeId resolve(raft::NodeId member);

  Cluster& cluster_;
  SimExecutor& executor_;
  Instant cut_until_{};
};

}  // namespace conclave::sim
