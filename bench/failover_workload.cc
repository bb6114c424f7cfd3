// W15: how long nothing can be written when the leader of three members fails.
#include <vector>

#include "conclave/base/random.h"
#include "conclave/bench/leadership.h"
#include "conclave/bench/retrying_puts.h"
#include "conclave/bench/sources.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kReadyLimit(60);
constexpr std::chrono::seconds kFailoverLimit(60);
constexpr std::int64_t kKeys = 10'000;

struct Fault {
  const char* id;
  const char* what;
  bool kills;  // false: SIGSTOP, and SIGCONT when another leads
  const char* times;
  const char* heartbeat_ms;
  const char* election_ms;
};

constexpr Fault kFaults[] = {
    {"W15/kill", "leader killed", true, "w15-kills", "w15-heartbeat-ms", "w15-election-ms"},
    {"W15/kill-fast", "leader killed", true, "w15-kills", "w15-fast-heartbeat-ms",
     "w15-fast-election-ms"},
    {"W15/stop", "leader stopped", false, "w15-stops", "w15-heartbeat-ms", "w15-election-ms"},
    {"W15/stop-fast", "leader stopped", false, "w15-stops", "w15-fast-heartbeat-ms",
     "w15-fast-election-ms"},
};

// The leader fails; how long it is until a put is accepted that was sent after that. Then it comes
// back.
Result<double> fail_over_ms(Rig& rig, RetryingPuts& puts, std::size_t leader, bool kills) {
  ServerProcess& victim = rig.servers()[leader];
  const TimePoint began = Clock::now();
  if (kills) {
    victim.begin_kill();
  } else {
    victim.pause();
  }
  puts.expect_new();
  rig.loop().run([&puts] { return puts.first_accepted().has_value(); }, kFailoverLimit);
  if (kills) {
    victim.kill_hard();
    rig.servers().launch(leader);
  } else {
    victim.resume();
  }
  if (!puts.first_accepted()) {
    return failure("no put was accepted within a minute: " + puts.last_error());
  }
  return std::chrono::duration<double, std::milli>(*puts.first_accepted() - began).count();
}

// All rounds of one kind, under one load.
Result<std::vector<double>> fail_over_often(Rig& rig, RetryingPuts& puts, const Fault& fault) {
  const milliseconds settle(rig.parameter("w15-settle-ms"));
  // A fault comes at any moment between two heartbeats.
  Random random(4);
  const auto heartbeat_ms = static_cast<std::uint64_t>(rig.parameter(fault.heartbeat_ms));
  std::vector<double> durations_ms;
  for (std::int64_t i = 0; i < rig.parameter(fault.times); ++i) {
    rig.loop().run([] { return false; }, settle + milliseconds(random.below(heartbeat_ms)));
    const Result<Leader> leader = wait_for_leader(rig, kReadyLimit);
    if (!leader) return leader.error();
    const Result<double> duration_ms = fail_over_ms(rig, puts, leader->member, fault.kills);
    if (!duration_ms) return duration_ms.error();
    durations_ms.push_back(*duration_ms);
    const Result<Leader> next = wait_for_leader(rig, kReadyLimit);
    if (!next) return next.error();
    if (next->term <= leader->term) return failure("a leader that failed was not replaced");
  }
  return durations_ms;
}

Row row_of(const Rig& rig, const Fault& fault, const std::vector<double>& durations_ms) {
  const Spread spread = spread_of(durations_ms);
  Row row{fault.id,
          std::string("3 members, ") + fault.what + ", timers " +
              std::to_string(rig.parameter(fault.heartbeat_ms)) + "/" +
              std::to_string(rig.parameter(fault.election_ms)),
          {}};
  row.metrics = {{kMedian, "ms", spread.median, Better::lower},
                 {"p90", "ms", percentile_of(durations_ms, 0.9), Better::lower},
                 {"worst", "ms", spread.max, Better::lower}};
  return row;
}

Result<Row> run_fault(Rig& rig, const Fault& fault) {
  rig.disconnect();
  rig.servers().restart_with(
      {"--heartbeat-interval=" + std::to_string(rig.parameter(fault.heartbeat_ms)),
       "--election-timeout=" + std::to_string(rig.parameter(fault.election_ms))});
  Result<void> serving = rig.wait_until_serving(kReadyLimit);
  if (!serving) return serving.error();
  const Result<std::int64_t> before = rig.revision();
  if (!before) return before.error();

  PutSource source('k', kKeys, rig.parameter("value-bytes"));
  RetryingPuts::Options options;
  for (std::size_t i = 0; i < rig.servers().size(); ++i) {
    options.ports.push_back(rig.servers()[i].port());
  }
  options.clients = static_cast<int>(rig.parameter("w15-clients"));
  options.pause = milliseconds(rig.parameter("w15-pause-ms"));
  options.attempt_limit = milliseconds(rig.parameter("w15-attempt-ms"));
  RetryingPuts puts(rig.loop(), source, std::move(options));
  const Result<std::vector<double>> durations_ms = fail_over_often(rig, puts, fault);
  if (!durations_ms) return durations_ms.error();

  // The connection that it had may be to one that was killed.
  rig.disconnect();
  const std::int64_t accepted = puts.accepted();
  const Result<std::int64_t> after = rig.revision();
  if (!after) return after.error();
  // What was given up may have been carried out.
  if (*after - *before < accepted || *after - *before > puts.attempts()) {
    return failure(std::string(fault.id) + ": of " + std::to_string(puts.attempts()) + " puts " +
                   std::to_string(accepted) + " were acknowledged, the revision moved by " +
                   std::to_string(*after - *before));
  }
  return row_of(rig, fault, *durations_ms);
}

}  // namespace

Result<std::vector<Row>> run_failover(Rig& rig) {
  std::vector<Row> rows;
  for (const Fault& fault : kFaults) {
    Result<Row> row = run_fault(rig, fault);
    if (!row) return row.error();
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace conclave::bench
