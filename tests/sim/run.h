#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conclave/base/clock.h"

namespace conclave::sim {

struct RunOptions {
  int nodes = 0;  // 0: by the seed
  Duration length = std::chrono::seconds(60);
  std::string* trace = nullptr;  // gets what happened, one line each, as it happens
};

// What a run counted, to see that it was worth something.
struct Counts {
  std::uint64_t entries = 0;
  std::uint64_t answered = 0;  // calls of clients
  std::uint64_t unanswered = 0;
  std::uint64_t watch_events = 0;
  std::uint64_t leases = 0;
  std::uint64_t leases_expired = 0;
  std::uint64_t starts = 0;  // of processes
  std::uint64_t turns = 0;   // of locks and of the election
  std::uint64_t guarded_writes = 0;
  std::uint64_t leader_changes = 0;  // of the election
  std::uint64_t observed = 0;
  std::uint64_t drains = 0;
  std::uint64_t calm_drains = 0;  // where all else was well
  std::uint64_t undecided = 0;    // histories that the search for an order gave up
  std::uint64_t terms = 0;

  Counts& operator+=(const Counts& other);
};

struct RunResult {
  std::uint64_t digest = 0;
  std::vector<std::string> violations;
  Counts counts;
};

// A whole run of one seed: clients and faults for the most of it; then everything is made good, and
// within ten election timeouts writes are accepted and a candidate is elected; then the clients
// stop, and all members are equal.
RunResult run_seed(std::uint64_t seed, const RunOptions& options);

}  // namespace conclave::sim
