#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conclave/bench/flood.h"

namespace conclave::bench {

// Open loop: puts leave at a fixed rate whether or not the earlier ones have been answered, and
// each latency counts from the time at which its put was due. A server may refuse a put because it
// has too many, or give one up after seconds; both is counted.
//
// Caveat: like every handler it must outlive the rig's connections (HangUp).
class PacedPuts {
 public:
  struct Options {
    std::size_t first_connection = 0;
    std::size_t connections = 1;
    double per_second = 100;
    std::int64_t limit = std::numeric_limits<std::int64_t>::max();
    // With the number of the put, from 0, as it is handed to the connection.
    std::function<void(std::int64_t, TimePoint)> on_sent{};
  };

  PacedPuts(Rig& rig, CallSource& source, Options options);
  ~PacedPuts();

  void stop() { stopped_ = true; }
  // All that was to be sent has been answered.
  bool is_finished() const { return (stopped_ || sent_ == options_.limit) && in_flight_ == 0; }
  bool is_failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }

  std::int64_t acknowledged() const { return acknowledged_; }
  std::int64_t refused() const { return refused_; }
  // Given up by the server, and perhaps carried out.
  std::int64_t timed_out() const { return timed_out_; }
  LatencyHistogram& latencies() { return latencies_; }

 private:
  class Put;

  void send(TimePoint due);

  Rig& rig_;
  CallSource& source_;
  const Options options_;
  std::vector<std::unique_ptr<Put>> puts_;  // all that there ever were at once
  std::vector<Put*> idle_;
  std::int64_t sent_ = 0;
  std::int64_t in_flight_ = 0;
  std::int64_t acknowledged_ = 0;
  std::int64_t refused_ = 0;
  std::int64_t timed_out_ = 0;
  bool stopped_ = false;
  std::string error_;
  LatencyHistogram latencies_;
  Pacer pacer_;
};

}  // namespace conclave::bench
