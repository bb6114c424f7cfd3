#include "tests/sim/lease_clients.h"

#include <algorithm>

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr int kBurst = 40;
// Clocks are up to a hundredth fast or slow.
constexpr int kRateAllowance = 90;
// What a jump of its clock, however far, adds to a leader's time: an election timeout, since a
// longer stall is not counted.
constexpr Duration kJumpAllowance = SimNode::kTick * SimNode::kElectionTicks;

}  // namespace

Leases::Leases(Cluster& cluster) : cluster_(cluster), deadlines_(cluster) {
  cluster.ledger().on_leases_ended = [this](const std::vector<Ledger::LeaseEnd>& ends) {
    for (const Ledger::LeaseEnd& end : ends) {
      const auto found = leases_.find(end.lease);
      if (found == leases_.end()) continue;  // its grant was never acknowledged
      if (!end.expired) {
        found->second.revoked = true;
        continue;
      }
      ++expired_count_;
      found->second.expired = cluster_.world().now();
      check(end.lease, found->second);
    }
  };
}

void Leases::granted(std::int64_t id, std::int64_t ttl_s, Instant sent) {
  Lease& lease = leases_[id];
  lease.ttl = std::chrono::seconds(ttl_s);
  lease.sure_from = sent;
}

void Leases::renewed(std::int64_t id, Instant sent) {
  Lease& lease = leases_[id];
  lease.sure_from = std::max(lease.sure_from, sent);
  if (lease.expired) check(id, lease);
}

bool Leases::ended(std::int64_t id) const {
  return !cluster_.ledger().witness().lessor().exists(id);
}

void Leases::check(std::int64_t id, const Lease& lease) const {
  Instant earliest = lease.sure_from + lease.ttl - lease.ttl / kRateAllowance;
  for (const Instant jump : jumps_) {
    if (jump >= lease.sure_from - kJumpAllowance && jump <= *lease.expired) {
      earliest -= kJumpAllowance;
    }
  }
  if (*lease.expired >= earliest) return;
  const auto early =
      std::chrono::duration_cast<std::chrono::microseconds>(earliest - *lease.expired);
  cluster_.trace().violation("lease ", id, " expired ", early.count(), " us too early");
}

void LeaseClient::start() {
  cluster_.world().after(cluster_.world().between(0ms, 2s), [this] {
    if (stopped_) return;
    grant(false);
  });
}

void LeaseClient::burst() {
  for (int i = 0; i < kBurst; ++i) grant(true);
}

void LeaseClient::grant(bool forget) {
  const std::int64_t id = number_ * 100'000 + ++count_;
  const Instant sent = cluster_.world().now();
  etcdserverpb::LeaseGrantRequest request;
  request.set_id(id);
  request.set_ttl(static_cast<std::int64_t>(1 + cluster_.world().random().below(forget ? 2 : 5)));
  network_.call<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>(
      cluster_.any_node(), std::move(request), 3s, [this, id, sent, forget](const auto& reply) {
        if (!reply.ok) {
          if (!forget) start();
          return;
        }
        leases_.granted(id, reply.response.ttl(), sent);
        attach(id);
        if (forget) return;
        const auto times = static_cast<int>(cluster_.world().random().below(20));
        keep_alive(id, reply.response.ttl(), times);
      });
}

void LeaseClient::attach(std::int64_t lease) {
  etcdserverpb::PutRequest request;
  request.set_key("lease/" + std::to_string(lease));
  request.set_lease(lease);
  network_.call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>(
      cluster_.any_node(), std::move(request), 3s, [](const auto&) {});
}

void LeaseClient::keep_alive(std::int64_t lease, std::int64_t ttl_s, int times) {
  const Duration pause = cluster_.world().between(100ms, std::chrono::milliseconds(ttl_s * 600));
  cluster_.world().after(pause, [this, lease, ttl_s, times] {
    if (times == 0 || stopped_) {
      if (cluster_.world().chance(1, 3)) revoke(lease);
      return start();
    }
    renew(lease, ttl_s, times);
  });
}

void LeaseClient::renew(std::int64_t lease, std::int64_t ttl_s, int times) {
  const Instant sent = cluster_.world().now();
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  network_.call<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>(
      cluster_.any_node(), std::move(request), 1s, [=, this](const auto& reply) {
        if (reply.ok && reply.response.ttl() > 0) leases_.renewed(lease, sent);
        if (reply.ok && reply.response.ttl() == 0) {
          if (!leases_.ended(lease)) {
            cluster_.trace().violation("lease ", lease, " is alive, and a renewal was told not");
          }
          return start();
        }
        keep_alive(lease, ttl_s, times - 1);
      });
}

void LeaseClient::revoke(std::int64_t lease) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  network_.call<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse>(
      cluster_.any_node(), std::move(request), 3s, [this, lease](const auto& reply) {
        if (reply.ok && !leases_.ended(lease)) {
          cluster_.trace().violation("lease ", lease, " was revoked and is there");
        }
      });
}

}  // namespace conclave::sim
