#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/sim/cluster.h"
#include "tests/sim/lease_clients.h"

namespace conclave::sim {

// A cluster without faults of its own, for schedules that are told step by step.
class Stage {
 public:
  explicit Stage(std::uint64_t seed, Plan plan = {})
      : world_(seed),
        trace_(world_, &text_),
        plan_(std::move(plan)),
        cluster_(world_, trace_, plan_),
        network_(cluster_),
        leases_(cluster_) {
    if (plan_.kept_log_entries == 0) plan_.kept_log_entries = 20000;
    cluster_.start();
    run_until([this] { return ready_leader() != nullptr; });
  }

  void run_for(Duration length) {
    const Instant end = world_.now() + length;
    while (world_.step(end)) {
    }
  }
  // False: it did not come to that.
  bool run_until(const std::function<bool()>& condition,
                 Duration longest = std::chrono::seconds(20)) {
    const Instant end = world_.now() + longest;
    while (!condition()) {
      if (!world_.step(end)) return condition();
    }
    return true;
  }

  template <class Request, class Response>
  Reply<Response> call(SimNode& node, Request request, Duration timeout = std::chrono::seconds(6)) {
    std::optional<Reply<Response>> reply;
    network_.call<Request, Response>(node, std::move(request), timeout,
                                     [&](const Reply<Response>& got) { reply = got; });
    run_until([&] { return reply.has_value(); });
    return *reply;
  }
  // The revision of the write; 0: no answer.
  std::int64_t put(SimNode& node, const std::string& key, const std::string& value,
                   std::int64_t lease = 0) {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lease(lease);
    return call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>(node, std::move(request))
        .response.header()
        .revision();
  }
  bool grant(SimNode& node, std::int64_t id, std::int64_t ttl_s) {
    etcdserverpb::LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl_s);
    const Instant sent = world_.now();
    const auto reply =
        call<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>(node, request);
    if (reply.ok) leases_.granted(id, reply.response.ttl(), sent);
    return reply.ok;
  }
  bool renew(SimNode& node, std::int64_t id) {
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(id);
    const Instant sent = world_.now();
    const auto reply =
        call<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>(
            node, request, std::chrono::seconds(1));
    const bool renewed = reply.ok && reply.response.ttl() > 0;
    if (renewed) leases_.renewed(id, sent);
    return renewed;
  }
  bool exists(std::int64_t lease) { return cluster_.ledger().witness().lessor().exists(lease); }

  // Null while nobody leads who could write.
  SimNode* ready_leader() {
    SimNode* node = cluster_.leader();
    return node != nullptr && node->is_running() && node->replica()->is_ready() ? node : nullptr;
  }
  SimNode& leader() {
    CONCLAVE_CHECK(run_until([this] { return ready_leader() != nullptr; }), "nobody leads");
    return *ready_leader();
  }
  // One that does not lead, the `number`th of them.
  SimNode& follower(std::size_t number = 0) {
    const SimNode& leads = leader();
    for (SimNode* node : cluster_.nodes()) {
      if (node->id() != leads.id() && number-- == 0) return *node;
    }
    CONCLAVE_CHECK(false, "so many followers are not there");
  }
  // All members have applied everything, and are equal.
  bool settles() {
    return run_until([this] {
      for (SimNode* node : cluster_.nodes()) {
        if (node->replica() == nullptr ||
            node->replica()->state().applied_index() != cluster_.ledger().last_index() ||
            digest_of(node->replica()->state()) != digest_of(cluster_.ledger().witness())) {
          return false;
        }
      }
      return true;
    });
  }
  void isolate(const SimNode& node) {
    for (SimNode* other : cluster_.nodes()) {
      if (other->id() == node.id()) continue;
      cluster_.network().cut(node.id(), other->id());
      cluster_.network().cut(other->id(), node.id());
    }
  }

  World& world() { return world_; }
  Cluster& cluster() { return cluster_; }
  Leases& leases() { return leases_; }
  // Violations, with all that led to them.
  std::string violations() const { return trace_.violations().empty() ? "" : text_; }

 private:
  World world_;
  std::string text_;
  Trace trace_;
  Plan plan_;
  Cluster cluster_;
  ClientNetwork network_;
  Leases leases_;
};

}  // namespace conclave::sim
