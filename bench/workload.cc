#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

constexpr int kAnyPairs = 1'000;

constexpr Workload kWorkloads[] = {
    {"W1", "put, one client", "w1-", kAnyPairs, run_put_one},
    {"W2", "put, 100 and 1000 clients", "w2-", kAnyPairs, run_put_many},
    {"W3", "range of one key, one client", "w3-", kAnyPairs, run_range_one},
    {"W4", "range of one key, 1000 clients; of a prefix", "w4-", kAnyPairs, run_range_many},
    {"W5", "compare-and-swap transaction, 100 clients", "w5-", kAnyPairs, run_compare_and_swap},
    {"W6", "watch: events to very many watchers", "w6-", kAnyPairs, run_watch_fan_out},
    {"W7", "watch: from put to event", "w7-", kAnyPairs, run_watch_latency},
    {"W8", "watch: puts while a watcher catches up", "w8-", 3, run_watch_catch_up},
    {"W9", "lease grant and a key, 100 clients", "w9-", kAnyPairs, run_lease_grant},
    {"W10", "leases kept alive", "w10-", 2, run_lease_keep_alive},
    {"W11", "leases that expire together", "w11-", 1, run_lease_expiry},
    {"W15", "failover of three members, by kill -9 and SIGSTOP", "w15-", 2, run_failover, 3},
    {"W18", "start after kill -9, and memory (W19)", "w18-", 2, run_restart},
    {"W20", "three members: puts and ranges", "w20-", kAnyPairs, run_three_members, 3},
};

}  // namespace

std::span<const Workload> all_workloads() {
  return kWorkloads;
}

const Workload* find_workload(std::string_view id) {
  if (id == "W19") id = "W18";
  for (const Workload& workload : kWorkloads) {
    if (id == workload.id) return &workload;
  }
  return nullptr;
}

void add_usage(Row& row, const Usage& usage, double operations, const char* operation) {
  const std::string per = std::string("µs/") + operation;
  if (operations > 0) {
    row.metrics.push_back(
        {kServerCpu, per, usage.server_cpu_seconds * 1e6 / operations, Better::lower});
    row.metrics.push_back({"client CPU", per, usage.client_cpu_seconds * 1e6 / operations,
                           Better::lower, /*is_context=*/true});
  }
  row.metrics.push_back({"others' CPU", "% of a core",
                         100 * usage.others_cpu_seconds / usage.seconds, Better::lower,
                         /*is_context=*/true});
}

}  // namespace conclave::bench
