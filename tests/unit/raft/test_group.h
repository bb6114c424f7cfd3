#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conclave/raft/node.h"

namespace conclave::raft {

inline constexpr int kElectionTicks = 10;

Options test_options(NodeId id);
// The state of a first member of a group with these voters, as if from a snapshot at index 1,
// term 1.
InitialState first_state(std::set<NodeId> voters, std::set<NodeId> learners = {});
InitialState with_log(InitialState state, const std::vector<Term>& terms);
std::unique_ptr<Node> make_node(Options options, InitialState state);

// Nodes with instant disks and an instant network, on which links can be cut. What is applied is
// kept as text ("" for an empty entry).
class TestGroup {
 public:
  explicit TestGroup(std::vector<std::pair<Options, InitialState>> members);
  // Voters 1..size with test_options(), changed by `adjust`.
  static TestGroup of(int size, const std::function<void(Options&)>& adjust = {});

  Node& operator[](NodeId id) { return *members_.at(id).node; }
  const std::vector<std::string>& applied(NodeId id) { return members_.at(id).applied; }
  const std::vector<ReadState>& reads(NodeId id) { return members_.at(id).reads; }
  void add(Options options, InitialState state);

  void cut(NodeId one, NodeId other) { cut_.insert({one, other}), cut_.insert({other, one}); }
  void isolate(NodeId id);
  void heal() { cut_.clear(); }
  // From now on, messages of that kind are lost.
  void lose(std::optional<MessageKind> kind) { lost_ = kind; }

  // Until nothing happens any more.
  void settle();
  void tick(NodeId id, int times = 1);
  // tick() everybody and settle, `times` times.
  void tick_all(int times = 1);
  // Makes it leader; must be possible.
  void elect(NodeId id);
  NodeId leader() const;  // of the highest term; 0 for none

 private:
  struct Member {
    std::unique_ptr<Node> node;
    std::vector<std::string> applied;
    std::vector<ReadState> reads;
  };
  void drive(Member& member, std::vector<Message>& out);

  std::map<NodeId, Member> members_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::optional<MessageKind> lost_;
};

// Takes a Ready and has it on disk and applied at once. Returns all of its messages.
std::vector<Message> run_once(Node& node);
std::vector<Term> terms_of(const Log& log);

}  // namespace conclave::raft
