#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conclave/base/result.h"
#include "conclave/bench/machine.h"
#include "conclave/bench/rig.h"
#include "conclave/bench/statistics.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {

// What the clients of a flood ask, and whether the answers are right.
class CallSource {
 public:
  struct Call {
    std::string_view path;            // outlives the flood
    std::string_view framed_request;  // until the next call of this object
  };

  virtual ~CallSource() = default;
  virtual Call next(int client) = 0;
  // The answer to the client's last call; false if it cannot be right.
  virtual bool accept(int client, std::string_view message) = 0;
};

struct FloodPlan {
  int clients = 1;  // each with one call in flight
  int connections = 1;
  std::int64_t warm_up = 0;  // calls before the measured ones
  std::int64_t operations = 0;
};

struct FloodOutcome {
  LatencyHistogram latencies;
  Usage usage;
  std::int64_t operations = 0;
};

// Closed loop: each client asks again when it has its answer. The first call that fails, or is
// answered wrongly, is the outcome of all.
Result<FloodOutcome> run_flood(Rig& rig, CallSource& source, const FloodPlan& plan);

// Rate, latencies and processor time as every flood's row has them.
Row flood_row(std::string id, std::string title, const FloodOutcome& outcome);

}  // namespace conclave::bench
