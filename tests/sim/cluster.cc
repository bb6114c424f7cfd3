#include "tests/sim/cluster.h"

namespace conclave::sim {

using namespace std::chrono_literals;

Cluster::Cluster(World& world, Trace& trace, const Plan& plan)
    : world_(world),
      trace_(trace),
      plan_(plan),
      first_members_(first_members(plan.nodes)),
      network_(world, trace),
      ledger_(trace, first_members_),
      site_{world,
            trace,
            plan,
            network_,
            ledger_,
            [this](raft::NodeId id) { return find(id); },
            [this](raft::NodeId id) { tell_of_end(id); },
            [this](const DrainEnd& end) {
              if (on_drained) on_drained(end);
            },
            [this](std::int64_t lease) {
              return on_renewal_asked ? on_renewal_asked(lease) : nullptr;
            }} {
  network_.deliver = [this](raft::NodeId from, raft::NodeId to, std::uint64_t data_incarnation,
                            const std::string& bytes) {
    if (SimNode* node = find(to)) node->receive(from, data_incarnation, bytes);
  };
  network_.report_loss = [this](raft::NodeId from, raft::NodeId to) {
    world_.after(network_.usual_delay(), [this, from, to] {
      if (SimNode* node = find(from)) node->peer_unreachable(to);
    });
  };
  ledger_.is_durable = [this](raft::NodeId id, raft::Index index, raft::Term term) {
    SimNode* node = find(id);
    return node != nullptr && node->has_durable(index, term);
  };
  for (const replica::Member& member : first_members_) {
    nodes_[member.id] =
        std::make_unique<SimNode>(site_, SimNode::Identity{member.id, first_members_, false});
  }
}

std::vector<replica::Member> Cluster::first_members(int count) {
  std::vector<replica::Member> members;
  for (int i = 1; i <= count; ++i) {
    replica::Member member;
    member.id = static_cast<raft::NodeId>(i);
    member.name = "n" + std::to_string(i);
    member.peer_urls = {"http://" + member.name};
    members.push_back(std::move(member));
  }
  return members;
}

void Cluster::start() {
  network_.set_weather(plan_.weather);
  for (auto& [id, node] : nodes_) {
    world_.after(world_.between(0ms, 50ms), [&node] { node->start(); });
  }
}

SimNode* Cluster::find(raft::NodeId id) {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : found->second.get();
}

SimNode& Cluster::add(raft::NodeId id) {
  auto& node = nodes_[id];
  node = std::make_unique<SimNode>(site_, SimNode::Identity{id, {}, true});
  node->start();
  return *node;
}

std::vector<SimNode*> Cluster::nodes() {
  std::vector<SimNode*> all;
  for (auto& [id, node] : nodes_) {
    if (!node->removed()) all.push_back(node.get());
  }
  return all;
}

SimNode& Cluster::any_node() {
  const std::vector<SimNode*> all = nodes();
  return *all[world_.random().below(all.size())];
}

SimNode* Cluster::leader() {
  SimNode* leader = nullptr;
  for (auto& [id, node] : nodes_) {
    if (!node->leads() || node->removed()) continue;
    if (leader == nullptr || node->replica()->raft().term() > leader->replica()->raft().term()) {
      leader = node.get();
    }
  }
  return leader;
}

// A reconnect that is refused tells, at once or after a while, that a process is gone.
void Cluster::tell_of_end(raft::NodeId id) {
  for (auto& [other, node] : nodes_) {
    if (other == id || world_.chance(1, 3)) continue;
    world_.after(world_.between(1ms, 50ms), [this, id, &node] {
      const SimNode* ended = find(id);
      if (ended->state() != SimNode::State::stopped) return;
      if (network_.is_open(id, node->id()) && network_.is_open(node->id(), id)) {
        node->peer_gone(id);
      }
    });
  }
}

void Cluster::heal() {
  trace_.note("all faults end");
  healthy_ = true;
  network_.set_weather({});
  network_.join_all();
  for (auto& [id, node] : nodes_) {
    node->free_disk();
    node->set_disk_slowness(Duration(0));
    if (node->state() == SimNode::State::paused) node->resume();
    if (node->state() == SimNode::State::stopped) node->start();
  }
}

bool surely_not_done(api::Refusal refusal) {
  switch (refusal) {
    case api::Refusal::timeout:
    case api::Refusal::leader_changed:
    case api::Refusal::stopped:
    case api::Refusal::corrupt:
      return false;
    default:
      return true;
  }
}

}  // namespace conclave::sim
