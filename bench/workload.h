#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/bench/machine.h"
#include "conclave/bench/rig.h"
#include "conclave/bench/statistics.h"

namespace conclave::bench {

// Names that floors refer to and most rows have.
inline constexpr char kRate[] = "rate";
inline constexpr char kMedian[] = "p50";
inline constexpr char kTail[] = "p99";
inline constexpr char kServerCpu[] = "server CPU";

struct Metric {
  std::string name;
  std::string unit;
  double value = 0;
  Better better = Better::higher;
  // What says how far the figures can be trusted, not which server is better.
  bool is_context = false;
};

// One line of the table: one way of one workload, on one server, once.
struct Row {
  std::string id;  // "W4/lin"
  std::string title;
  std::vector<Metric> metrics;
};

struct Workload {
  const char* id;
  const char* title;
  const char* parameters;  // the prefix of their names
  int pairs_max;           // of those that take long, fewer pairs are run unless asked for
  // On a server just started, with an empty store. An error is a workload that did not do what it
  // should: a call that failed, an answer that is wrong, a count that is off.
  Result<std::vector<Row>> (*run)(Rig& rig);
  std::size_t members = 1;  // of the cluster that it runs on
};

std::span<const Workload> all_workloads();
const Workload* find_workload(std::string_view id);

// What every row has: how busy server, client and others were.
void add_usage(Row& row, const Usage& usage, double operations, const char* operation);

Result<std::vector<Row>> run_put_one(Rig& rig);
Result<std::vector<Row>> run_put_many(Rig& rig);
Result<std::vector<Row>> run_range_one(Rig& rig);
Result<std::vector<Row>> run_range_many(Rig& rig);
Result<std::vector<Row>> run_compare_and_swap(Rig& rig);
Result<std::vector<Row>> run_watch_fan_out(Rig& rig);
Result<std::vector<Row>> run_watch_latency(Rig& rig);
Result<std::vector<Row>> run_watch_catch_up(Rig& rig);
Result<std::vector<Row>> run_lease_grant(Rig& rig);
Result<std::vector<Row>> run_lease_keep_alive(Rig& rig);
Result<std::vector<Row>> run_lease_expiry(Rig& rig);
Result<std::vector<Row>> run_failover(Rig& rig);
Result<std::vector<Row>> run_restart(Rig& rig);
Result<std::vector<Row>> run_three_members(Rig& rig);

}  // namespace conclave::bench
