// W6 to W8: what watchers get, what they cost, and what they cost others.
#include <algorithm>
#include <cmath>

#include "conclave/bench/paced_puts.h"
#include "conclave/bench/sources.h"
#include "conclave/bench/streams.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

constexpr std::chrono::seconds kCreateLimit(60);
constexpr std::chrono::seconds kSettle(2);
constexpr std::chrono::minutes kDeliveryLimit(5);
constexpr int kStreamsPerConnection = 10;

etcdserverpb::WatchCreateRequest watch_of_prefix(char prefix) {
  etcdserverpb::WatchCreateRequest request;
  request.set_key(std::string(1, prefix));
  request.set_range_end(end_of_prefix(request.key()));
  return request;
}

// Runs until `done`; otherwise says which of them failed, or how far it came.
Result<void> run_until(Rig& rig, const PacedPuts& puts, const Watchers& watchers,
                       const std::function<bool()>& done) {
  const bool ended = rig.loop().run(
      [&] { return done() || puts.is_failed() || watchers.is_failed(); }, kDeliveryLimit);
  if (puts.is_failed()) return failure(puts.error());
  if (watchers.is_failed()) return failure(watchers.error());
  if (!ended) {
    return failure("after 5 minutes " + std::to_string(watchers.events()) + " events of " +
                   std::to_string(puts.acknowledged()) + " puts had come, " +
                   std::to_string(puts.refused()) + " puts were refused");
  }
  return {};
}

// Puts, and all their events to all watchers, the last connection for the puts.
Result<Row> fan_out(Rig& rig, Watchers& watchers, std::int64_t per_second, std::int64_t puts_wanted,
                    std::string id, std::string title) {
  PutSource source('w', puts_wanted, rig.parameter("value-bytes"), Order::ascending);
  const auto put_connection = static_cast<std::size_t>(rig.parameter("w6-connections"));
  const std::int64_t before = watchers.events();
  const double events = static_cast<double>(watchers.count() * puts_wanted);
  const UsageMeter meter(rig.servers().pids());
  PacedPuts puts(rig, source,
                 {.first_connection = put_connection,
                  .per_second = static_cast<double>(per_second),
                  .limit = puts_wanted});
  const Result<void> delivered = run_until(rig, puts, watchers, [&] {
    return puts.is_finished() &&
           watchers.events() - before >= watchers.count() * puts.acknowledged();
  });
  const Usage usage = meter.stop();
  if (!delivered) {
    rig.disconnect();
    return delivered.error();
  }
  if (puts.acknowledged() != puts_wanted) return failure(id + ": puts were refused");
  if (watchers.events() - before != watchers.count() * puts_wanted) {
    return failure(id + ": more events than puts account for");
  }
  Row row{std::move(id), std::move(title), {}};
  row.metrics = {{"events", "/s", events / usage.seconds, Better::higher},
                 {"events per CPU second", "/s", events / usage.server_cpu_seconds, Better::higher},
                 {"put p99", "µs", puts.latencies().percentile_us(0.99), Better::lower}};
  add_usage(row, usage, events, "event");
  return row;
}

}  // namespace

Result<std::vector<Row>> run_watch_fan_out(Rig& rig) {
  const auto connections = static_cast<std::size_t>(rig.parameter("w6-connections"));
  const auto per_stream = static_cast<int>(rig.parameter("w6-watchers"));
  const Result<void> connected = rig.connect(static_cast<int>(connections) + 1);
  if (!connected) return connected.error();
  Watchers watchers(rig);
  const HangUp closes_first(rig);
  for (std::size_t i = 0; i < connections * kStreamsPerConnection; ++i) {
    watchers.add_stream(i % connections, per_stream, watch_of_prefix('w'));
  }
  const Result<void> created = watchers.wait_until_created(kCreateLimit);
  if (!created) return created.error();

  const std::string title =
      std::to_string(connections * kStreamsPerConnection * static_cast<std::size_t>(per_stream)) +
      " watchers, puts ";
  const std::int64_t steady = rig.parameter("w6-steady-puts-per-second");
  const std::int64_t flood = rig.parameter("w6-puts-per-second");
  Result<Row> slow = fan_out(rig, watchers, steady, rig.parameter("w6-steady-puts"), "W6/steady",
                             title + "that leave it time");
  if (!slow) return slow.error();
  Result<Row> fast = fan_out(rig, watchers, flood, rig.parameter("w6-puts"), "W6/flood",
                             title + "faster than it can");
  if (!fast) return fast.error();
  return std::vector<Row>{*std::move(slow), *std::move(fast)};
}

Result<std::vector<Row>> run_watch_latency(Rig& rig) {
  const std::int64_t puts_wanted = rig.parameter("w7-puts");
  const Result<void> connected = rig.connect(2);
  if (!connected) return connected.error();
  Watchers watchers(rig);
  PutSource source('w', puts_wanted, rig.parameter("value-bytes"), Order::ascending);
  const HangUp closes_first(rig);
  std::vector<TimePoint> sent(static_cast<std::size_t>(puts_wanted));
  LatencyHistogram latencies;
  etcdserverpb::WatchResponse response;
  watchers.on_response([&](std::string_view message) {
    const TimePoint now = Clock::now();
    if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
    for (const mvccpb::Event& event : response.events()) {
      const auto number = static_cast<std::size_t>(number_of(event.kv().key()));
      if (number < sent.size()) latencies.record_ns((now - sent[number]).count());
    }
  });
  watchers.add_stream(0, 1, watch_of_prefix('w'));
  const Result<void> created = watchers.wait_until_created(kCreateLimit);
  if (!created) return created.error();

  const UsageMeter meter(rig.servers().pids());
  PacedPuts puts(rig, source,
                 {.first_connection = 1,
                  .per_second = static_cast<double>(rig.parameter("w7-puts-per-second")),
                  .limit = puts_wanted,
                  .on_sent = [&](std::int64_t number, TimePoint now) {
                    sent[static_cast<std::size_t>(number)] = now;
                  }});
  const HangUp closes_before_puts(rig);
  const Result<void> delivered = run_until(rig, puts, watchers, [&] {
    return puts.is_finished() && watchers.events() >= puts.acknowledged();
  });
  const Usage usage = meter.stop();
  if (!delivered) return delivered.error();
  if (latencies.count() != static_cast<std::uint64_t>(puts_wanted)) {
    return failure("W7: " + std::to_string(latencies.count()) + " events for " +
                   std::to_string(puts_wanted) + " puts");
  }
  Row row{"W7", "put sent to event received, 1 watcher", {}};
  row.metrics = {{kMedian, "µs", latencies.percentile_us(0.5), Better::lower},
                 {kTail, "µs", latencies.percentile_us(0.99), Better::lower}};
  add_usage(row, usage, static_cast<double>(puts_wanted), "put");
  return std::vector<Row>{std::move(row)};
}

Result<std::vector<Row>> run_watch_catch_up(Rig& rig) {
  constexpr std::int64_t kPutsMeasuredMin = 1'000;
  constexpr std::size_t kPutConnections = 10;
  const std::int64_t behind = rig.parameter("w8-revisions-behind");
  const std::int64_t value_bytes = rig.parameter("value-bytes");
  const Result<std::int64_t> start = rig.revision();
  if (!start) return start.error();
  PutSource history('h', 1'000, value_bytes);
  const auto written =
      run_flood(rig, history, {.clients = 1'000, .connections = 50, .operations = behind});
  if (!written) return written.error();
  // What the flood left to be done in the background is not what the puts are to be measured with.
  rig.loop().run([] { return false; }, kSettle);

  Watchers watchers(rig);
  PutSource source('p', 1'000, value_bytes);
  PacedPuts puts(rig, source,
                 {.first_connection = 1,
                  .connections = kPutConnections,
                  .per_second = static_cast<double>(rig.parameter("w8-puts-per-second"))});
  const HangUp closes_first(rig);
  const TimePoint watcher_comes = Clock::now() + std::chrono::seconds(rig.parameter("w8-seconds"));
  Result<void> ran = run_until(rig, puts, watchers, [&] { return Clock::now() >= watcher_comes; });
  if (!ran) return ran.error();
  const double before_us = puts.latencies().percentile_us(0.99);
  puts.latencies().clear();

  etcdserverpb::WatchCreateRequest all;
  all.set_key(std::string(1, '\0'));
  all.set_range_end(std::string(1, '\0'));
  all.set_start_revision(*start + 1);
  const UsageMeter meter(rig.servers().pids());
  watchers.add_stream(0, 1, all);
  const TimePoint began = Clock::now();
  const TimePoint limit = began + std::chrono::seconds(rig.parameter("w8-limit-seconds"));
  std::optional<TimePoint> caught_up;
  ran = run_until(rig, puts, watchers, [&] {
    if (!caught_up && watchers.events() >= behind + puts.acknowledged()) caught_up = Clock::now();
    return (caught_up && puts.latencies().count() >= kPutsMeasuredMin) || Clock::now() >= limit;
  });
  const Usage usage = meter.stop();
  if (!ran) return ran.error();
  const double meanwhile_us = puts.latencies().percentile_us(0.99);
  puts.stop();
  if (caught_up) {
    ran = run_until(rig, puts, watchers, [&] {
      return puts.is_finished() && watchers.events() >= behind + puts.acknowledged();
    });
    if (!ran) return ran.error();
    if (watchers.events() > behind + puts.acknowledged() + puts.timed_out()) {
      return failure("W8: more events than puts account for");
    }
  }
  const std::int64_t failed = puts.refused() + puts.timed_out();
  Row row{"W8", "a watcher " + readable(static_cast<double>(behind)) + " revisions behind", {}};
  row.metrics = {
      {"put p99 before", "µs", before_us, Better::lower},
      {"put p99 meanwhile", "µs", meanwhile_us, Better::lower},
      {"times slower", "", meanwhile_us / before_us, Better::lower},
      {"caught up in", "s",
       std::chrono::duration<double>(caught_up.value_or(limit) - began).count(), Better::lower},
      {"puts refused", "%",
       100 * static_cast<double>(failed) / static_cast<double>(failed + puts.acknowledged()),
       Better::lower}};
  add_usage(row, usage, 0, "");
  return std::vector<Row>{std::move(row)};
}

}  // namespace conclave::bench
