#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/cluster.h"
#include "tests/sim/lease_deadlines.h"

namespace conclave::sim {

// All leases of a run, and what their holders may rely on.
//
// Checked, by true time: a lease does not expire before its TTL has passed since the holder sent
// the last renewal that was acknowledged. What a clock that is fast, or jumps, takes from that is
// allowed for. That none lives too long is LeaseDeadlines' to see.
class Leases {
 public:
  explicit Leases(Cluster& cluster);

  void granted(std::int64_t id, std::int64_t ttl_s, Instant sent);
  void renewed(std::int64_t id, Instant sent);
  // A clock jumped ahead: a leader's leases end so much earlier.
  void clock_jumped() { jumps_.push_back(cluster_.world().now()); }
  bool ended(std::int64_t id) const;
  std::uint64_t count() const { return leases_.size(); }
  std::uint64_t expired_count() const { return expired_count_; }

 private:
  struct Lease {
    Duration ttl{};
    Instant sure_from{};
    bool revoked = false;
    std::optional<Instant> expired;
  };

  void check(std::int64_t id, const Lease& lease) const;

  Cluster& cluster_;
  LeaseDeadlines deadlines_;
  std::map<std::int64_t, Lease> leases_;
  std::vector<Instant> jumps_;
  std::uint64_t expired_count_ = 0;
};

// Holds one lease after another: keeps each alive for a while, through any member, and then revokes
// or forgets it.
class LeaseClient {
 public:
  LeaseClient(Cluster& cluster, ClientNetwork& network, Leases& leases, int number)
      : cluster_(cluster), network_(network), leases_(leases), number_(number) {}

  void start();
  void stop() { stopped_ = true; }
  // Many leases at once, which all end together.
  void burst();

 private:
  void grant(bool forget);
  void attach(std::int64_t lease);
  void keep_alive(std::int64_t lease, std::int64_t ttl_s, int times);
  void renew(std::int64_t lease, std::int64_t ttl_s, int times);
  void revoke(std::int64_t lease);

  Cluster& cluster_;
  ClientNetwork& network_;
  Leases& leases_;
  const int number_;
  int count_ = 0;
  bool stopped_ = false;
};

}  // namespace conclave::sim
