#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "conclave/raft/node.h"

#include "tests/scenarios/scenario.h"

namespace conclave::scenarios {

// A group of nodes on a network and disks that do nothing but what the steps say.
//
// Commands: add-nodes N [voters= learners= index= prevote= checkquorum= inflight=
// max-committed-size-per-ready= async-storage-writes=], campaign ID, propose ID TEXT,
// propose-conf-change ID [transition= v1=] with v1 l2 r3 u4 as input, process-ready ID…,
// process-append-thread ID…, process-apply-thread ID…, deliver-msgs ID… [drop=], stabilize [ID…],
// tick-heartbeat ID, tick-election ID, forget-leader ID, report-unreachable ID PEER,
// transfer-leadership from= to=, read-index ID CONTEXT, compact ID INDEX, status ID, raft-state,
// raft-log ID, log-level none|info|debug, set-randomized-election-timeout ID timeout=.
class Group {
 public:
  // What the step did, as lines; "ok" for nothing to say.
  std::vector<std::string> run(const Step& step);

 private:
  // What waits to be delivered to a node: a message, or the end of work on its own disk.
  struct Persisted {
    raft::NodeId to;
    std::uint64_t number;
  };
  struct Applied {
    raft::NodeId to;
    raft::Index index;
  };
  using Delivery = std::variant<raft::Message, Persisted, Applied>;
  struct DiskWork {
    std::uint64_t number;
    std::vector<raft::Message> responses;
  };
  struct Member {
    raft::Options options;
    std::unique_ptr<raft::Node> node;
    std::deque<DiskWork> disk;
    std::deque<std::vector<raft::Entry>> apply;
  };

  void dispatch(const Step& step);
  void dispatch_observation(const Step& step);
  void add_nodes(const Step& step);
  void propose_config_change(const Step& step);
  void deliver(const Step& step);
  bool deliver_to(raft::NodeId id, bool drop);
  void hand_over(const Delivery& delivery);
  void process_ready(raft::NodeId id);
  void process_disk(raft::NodeId id);
  void process_apply(raft::NodeId id);
  void apply(Member& member, const std::vector<raft::Entry>& entries);
  void each(const Step& step, const std::string& header, void (Group::*work)(raft::NodeId));
  void stabilize(const Step& step);
  bool waiting_for(raft::NodeId id) const;
  Member& member(raft::NodeId id) { return members_.at(id - 1); }
  raft::Node& node(raft::NodeId id) { return *member(id).node; }
  void say(const std::string& text);

  std::vector<Member> members_;
  std::deque<Delivery> network_;
  std::vector<std::string> output_;
  bool silent_ = false;
};

// Drops what implementations may say differently: log lines, indentation, and the messages by which
// a node talks to its own disk threads.
std::vector<std::string> normalized(const std::vector<std::string>& lines);

}  // namespace conclave::scenarios
