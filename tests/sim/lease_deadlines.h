#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "tests/sim/cluster.h"

namespace conclave::sim {

// The time in which a leader could surely do what leases ask for: true time, counted too low where
// in doubt. The time that leases live on runs no slower than this, but for the leaders' clocks.
class ServedTime {
 public:
  explicit ServedTime(Cluster& cluster) : cluster_(cluster) {}

  // Counts the time since the last look, `pause` ago.
  void look(Duration pause);
  Duration total() const { return total_; }

 private:
  bool is_served(const SimNode& leader);
  bool hears(const SimNode& voter, const SimNode& leader);

  Cluster& cluster_;
  raft::LogPosition leader_;  // the last that served: its term, and who as `index`
  bool served_ = false;
  Duration settling_{};  // of this leader's time, not to be counted
  Duration lost_{};      // of leaders that are gone, counted and not to be
  Duration total_{};
};

// Checked, of every lease: it is gone once its TTL and a second have been served since it was
// granted or last renewed. What renews it must have been asked for by a client, whether that was
// told so or not.
class LeaseDeadlines {
 public:
  explicit LeaseDeadlines(Cluster& cluster);

 private:
  struct Lease {
    Duration ttl{};
    Duration touched{};  // in served time
  };
  // Renewals that clients ask a member for, and wait for.
  struct Asked {
    std::vector<std::weak_ptr<void>> calls;
    Duration until{};  // in served time
  };

  std::shared_ptr<void> ask(std::int64_t id);
  void touch(std::int64_t id, bool by_renewal);
  void look();

  Cluster& cluster_;
  ServedTime served_;
  const Duration grace_;
  std::map<std::int64_t, Lease> leases_;
  std::map<std::int64_t, Asked> asked_;
};

}  // namespace conclave::sim
