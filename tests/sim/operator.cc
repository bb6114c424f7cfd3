#include "tests/sim/operator.h"

#include <algorithm>
#include <utility>

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

// Longer than any request lives.
constexpr Duration kQuiet = 8s;

}  // namespace

void Operator::start() {
  look_again(1s);
}

void Operator::look_again(Duration at_least) {
  cluster_.world().after(cluster_.world().between(at_least, at_least + 1s), [this] { look(); });
}

bool Operator::is_quiet() const {
  const auto& config = cluster_.ledger().witness().membership().config();
  return cluster_.world().now() - last_change_ > kQuiet && config.learners.empty() &&
         config.voters.size() >= static_cast<std::size_t>(cluster_.plan().nodes);
}

void Operator::look() {
  if (!start_missing() && !replace_wiped() && !promote() && !grow()) shrink();
  look_again(300ms);
}

// Members that were added and have no process yet; processes of members that were removed.
bool Operator::start_missing() {
  const replica::Membership& membership = cluster_.ledger().witness().membership();
  for (const replica::Member& member : membership.all()) {
    if (cluster_.find(member.id) != nullptr) continue;
    cluster_.add(member.id);
    return true;
  }
  for (SimNode* node : cluster_.nodes()) {
    if (membership.removed(node->id()) && !node->removed() &&
        (cluster_.healthy() || cluster_.world().chance(1, 5))) {
      node->decommission();
    }
  }
  return false;
}

bool Operator::replace_wiped() {
  const replica::Membership& membership = cluster_.ledger().witness().membership();
  for (SimNode* node : cluster_.nodes()) {
    if (!node->wiped() || membership.find(node->id()) == nullptr) continue;
    remove(node->id());
    return true;
  }
  return false;
}

bool Operator::promote() {
  const auto& config = cluster_.ledger().witness().membership().config();
  if (config.learners.empty()) return false;
  etcdserverpb::MemberPromoteRequest request;
  request.set_id(*config.learners.begin());
  ask<etcdserverpb::MemberPromoteRequest, etcdserverpb::MemberPromoteResponse>(
      std::move(request), "promote " + std::to_string(*config.learners.begin()));
  return true;
}

bool Operator::grow() {
  const auto& config = cluster_.ledger().witness().membership().config();
  if (config.voters.size() >= static_cast<std::size_t>(cluster_.plan().nodes)) return false;
  add_learner();
  return true;
}

bool Operator::shrink() {
  if (cluster_.healthy() || !cluster_.plan().has(Fault::membership_change)) return false;
  if (!cluster_.world().chance(1, 6)) return false;
  // With one already lost, one less could be one too few.
  for (SimNode* node : cluster_.nodes()) {
    if (node->is_damaged()) return false;
  }
  const auto& voters = cluster_.ledger().witness().membership().config().voters;
  remove(*std::next(voters.begin(),
                    static_cast<std::ptrdiff_t>(cluster_.world().random().below(voters.size()))));
  return true;
}

void Operator::add_learner() {
  etcdserverpb::MemberAddRequest request;
  request.add_peerurls("http://added" + std::to_string(++added_) + ":2380");
  request.set_islearner(true);
  ask<etcdserverpb::MemberAddRequest, etcdserverpb::MemberAddResponse>(std::move(request), "add");
}

void Operator::remove(raft::NodeId id) {
  etcdserverpb::MemberRemoveRequest request;
  request.set_id(id);
  ask<etcdserverpb::MemberRemoveRequest, etcdserverpb::MemberRemoveResponse>(
      std::move(request), "remove " + std::to_string(id));
}

template <class Request, class Response>
void Operator::ask(Request request, std::string what) {
  last_change_ = cluster_.world().now();
  network_.call<Request, Response>(
      cluster_.any_node(), std::move(request), 6s, [this, what](const Reply<Response>& reply) {
        cluster_.trace().note("operator: ", what, ": ",
                              reply.ok        ? "done"
                              : reply.refusal ? api::text_of(*reply.refusal).text
                                              : "no answer");
      });
}

}  // namespace conclave::sim
