#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/ledger.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/plan.h"
#include "tests/sim/trace.h"

namespace conclave::sim {

// The members of a run, those that were added later among them.
class Cluster {
 public:
  Cluster(World& world, Trace& trace, const Plan& plan);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void start();
  SimNode* find(raft::NodeId id);
  // A process for a member that was added to the running cluster.
  SimNode& add(raft::NodeId id);
  // All that were ever there and are not removed, by id.
  std::vector<SimNode*> nodes();
  SimNode& any_node();
  SimNode* leader();  // the one of the highest term; null: nobody leads
  void heal();

  World& world() { return world_; }
  Trace& trace() { return trace_; }
  SimNetwork& network() { return network_; }
  Ledger& ledger() { return ledger_; }
  const Plan& plan() const { return plan_; }
  bool healthy() const { return healthy_; }
  // Told of each drain that came to its end.
  std::function<void(const DrainEnd&)> on_drained;
  // Told of each renewal that arrives at a member.
  std::function<std::shared_ptr<void>(std::int64_t lease)> on_renewal_asked;

 private:
  static std::vector<replica::Member> first_members(int count);
  void tell_of_end(raft::NodeId id);

  World& world_;
  Trace& trace_;
  const Plan& plan_;
  const std::vector<replica::Member> first_members_;
  SimNetwork network_;
  Ledger ledger_;
  Site site_;
  std::map<raft::NodeId, std::unique_ptr<SimNode>> nodes_;
  bool healthy_ = false;
};

// How a client's call ended. `refusal` is absent where nobody answered: carried out or not.
template <class Response>
struct Reply {
  bool ok = false;
  bool surely_not_done = false;
  std::optional<api::Refusal> refusal{};
  Response response{};
};

// Whether a write that was so refused has surely changed nothing, and never will.
bool surely_not_done(api::Refusal refusal);

// The way from clients to members: unary calls that take their time and may get lost either way.
// `done` comes once, at the latest after `timeout`.
class ClientNetwork {
 public:
  explicit ClientNetwork(Cluster& cluster) : cluster_(cluster) {}

  template <class Request, class Response>
  void call(SimNode& node, Request request, Duration timeout,
            std::function<void(const Reply<Response>&)> done) {
    World& world = cluster_.world();
    auto once = std::make_shared<std::function<void(const Reply<Response>&)>>(std::move(done));
    const auto finish = [once](const Reply<Response>& reply) {
      if (const auto call = std::exchange(*once, nullptr)) call(reply);
    };
    const auto refuse_connection = [this, &world, finish] {
      world.after(delay(), [finish] { finish({false, true, {}, {}}); });
    };
    if (node.state() == SimNode::State::stopped) return refuse_connection();
    world.after(timeout, [finish] { finish({}); });
    if (lost()) return;
    world.after(delay(), [this, &node, finish, refuse_connection, request = std::move(request)] {
      if (node.state() == SimNode::State::stopped) return refuse_connection();
      node.call<Request, Response>(
          request, [this, finish](std::optional<api::Refusal> refusal, const Response& response) {
            if (lost()) return;
            Reply<Response> reply{!refusal, refusal && surely_not_done(*refusal), refusal, {}};
            if (!refusal) reply.response = response;
            cluster_.world().after(delay(), [finish, reply = std::move(reply)] { finish(reply); });
          });
    });
  }

 private:
  Duration delay() { return cluster_.network().usual_delay(); }
  bool lost() {
    const bool bad = !cluster_.healthy() && cluster_.plan().has(Fault::loss);
    return bad && cluster_.world().chance(3, 100);
  }

  Cluster& cluster_;
};

}  // namespace conclave::sim
