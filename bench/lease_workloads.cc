// W10 and W11: leases that live, and leases that die.
#include <algorithm>
#include <optional>

#include "conclave/bench/paced_puts.h"
#include "conclave/bench/sources.h"
#include "conclave/bench/streams.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

constexpr std::size_t kConnections = 100;
constexpr std::size_t kStreams = 1'000;
constexpr std::chrono::seconds kSettleLimit(60);

Result<void> check_lease_count(Rig& rig, std::int64_t expected) {
  const auto listed =
      rig.call<etcdserverpb::LeaseLeasesResponse>(kLeasesPath, etcdserverpb::LeaseLeasesRequest());
  if (!listed) return listed.error();
  if (listed->leases_size() == expected) return {};
  return failure(std::to_string(expected) + " leases should live, " +
                 std::to_string(listed->leases_size()) + " do");
}

double renewal_period_seconds(std::int64_t ttl_seconds) {
  return static_cast<double>(ttl_seconds) / 3;
}

Result<void> settle(Rig& rig, Renewals& renewals) {
  renewals.stop();
  const bool settled = rig.loop().run(
      [&renewals] { return renewals.is_settled() || renewals.is_failed(); }, kSettleLimit);
  if (renewals.is_failed()) return failure(renewals.error());
  if (!settled) return failure("renewals were not answered within a minute");
  return {};
}

// Each lease once, as fast as the server answers. In slices: a server may give up renewals that
// wait for long.
Result<void> renew_all(Rig& rig, Renewals& renewals, std::int64_t leases) {
  constexpr std::int64_t kSlice = 2'000;
  renewals.set_leases(leases);
  Result<void> done;
  for (std::int64_t renewed = 0; done && renewed < leases; renewed += kSlice) {
    renewals.renew(std::min(kSlice, leases - renewed));
    done = settle(rig, renewals);
  }
  return done;
}

// Grants leases up to `count`. Should making them all take longer than the first ones would live,
// those are renewed in between.
Result<void> grant_and_keep(Rig& rig, Renewals& renewals, std::int64_t granted, std::int64_t count,
                            std::int64_t ttl_seconds) {
  constexpr std::int64_t kSlice = 10'000;
  const auto period = std::chrono::seconds(std::max<std::int64_t>(1, ttl_seconds / 3));
  TimePoint renewed = Clock::now();
  Result<void> done;
  if (granted > 0) done = renew_all(rig, renewals, granted);
  while (done && granted < count) {
    const std::int64_t slice = std::min(kSlice, count - granted);
    done = grant_leases(rig, granted + 1, slice, ttl_seconds);
    granted += slice;
    if (!done || Clock::now() - renewed < period) continue;
    renewed = Clock::now();
    done = renew_all(rig, renewals, granted);
  }
  renewals.set_leases(count);
  return done;
}

Result<Row> keep_alive(Rig& rig, Renewals& renewals, std::string id, std::int64_t leases) {
  const double seconds = static_cast<double>(rig.parameter("w10-seconds"));
  renewals.clear();
  const UsageMeter meter(rig.servers().pids());
  renewals.start(renewal_period_seconds(rig.parameter("w10-ttl-seconds")));
  const auto duration = std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  rig.loop().run([&renewals] { return renewals.is_failed(); }, duration);
  renewals.stop();
  const Usage usage = meter.stop();
  const Result<void> settled = settle(rig, renewals);
  if (!settled) return settled.error();

  const auto answered = static_cast<double>(renewals.answered());
  Row row{std::move(id), std::to_string(leases) + " leases on 1000 streams", {}};
  row.metrics = {{kRate, "renewals/s", answered / usage.seconds, Better::higher, true},
                 {kMedian, "µs", renewals.latencies().percentile_us(0.5), Better::lower},
                 {kTail, "µs", renewals.latencies().percentile_us(0.99), Better::lower},
                 {"longest", "µs", renewals.latencies().max_us(), Better::lower},
                 {"lost", "leases", static_cast<double>(renewals.lost()), Better::lower}};
  add_usage(row, usage, answered, "renewal");
  return row;
}

// What W11 finds out while leases expire.
struct Expiry {
  std::optional<TimePoint> last_deletion;
  Usage usage;
};

Result<Expiry> watch_expiry(Rig& rig, const Watchers& watchers, const PacedPuts& puts,
                            std::int64_t leases) {
  Expiry expiry;
  const UsageMeter meter(rig.servers().pids());
  const auto limit =
      std::chrono::seconds(rig.parameter("w11-ttl-seconds") + rig.parameter("w11-limit-seconds"));
  rig.loop().run(
      [&] {
        if (watchers.events() >= leases) expiry.last_deletion = Clock::now();
        return expiry.last_deletion || watchers.is_failed() || puts.is_failed();
      },
      limit);
  expiry.usage = meter.stop();
  if (watchers.is_failed()) return failure(watchers.error());
  if (puts.is_failed()) return failure(puts.error());
  if (!expiry.last_deletion) {
    return failure("W11: only " + std::to_string(watchers.events()) + " of " +
                   std::to_string(leases) + " keys were deleted in time");
  }
  return expiry;
}

}  // namespace

Result<std::vector<Row>> run_lease_keep_alive(Rig& rig) {
  const Result<void> connected = rig.connect(kConnections);
  if (!connected) return connected.error();
  Renewals renewals(rig, 0, kConnections, kStreams);
  const HangUp closes_first(rig);
  std::vector<Row> rows;
  std::int64_t granted = 0;
  for (const bool many : {false, true}) {
    const std::int64_t leases = rig.parameter(many ? "w10-leases-many" : "w10-leases-few");
    if (leases <= granted) return failure("W10: --w10-leases-many must be above -few");
    const Result<void> made =
        grant_and_keep(rig, renewals, granted, leases, rig.parameter("w10-ttl-seconds"));
    if (!made) return made.error();
    granted = leases;
    Result<Row> row = keep_alive(rig, renewals, many ? "W10/many" : "W10/few", leases);
    if (!row) return row.error();
    const Result<void> counted = check_lease_count(rig, leases);
    if (!counted) return counted.error();
    rows.push_back(*std::move(row));
  }
  return rows;
}

Result<std::vector<Row>> run_lease_expiry(Rig& rig) {
  constexpr std::size_t kWatchConnection = 10;
  constexpr std::size_t kPutConnection = 11;
  constexpr double kPutsPerSecond = 100;
  const std::int64_t leases = rig.parameter("w11-leases");
  const std::int64_t ttl_seconds = rig.parameter("w11-ttl-seconds");
  const Result<void> connected = rig.connect(kPutConnection + 1);
  if (!connected) return connected.error();
  Watchers watchers(rig);
  PutSource source('p', 1'000, rig.parameter("value-bytes"));
  const HangUp closes_first(rig);
  Result<void> ready = grant_leases(rig, 1, leases, ttl_seconds);
  const TimePoint due = Clock::now() + std::chrono::seconds(ttl_seconds);
  if (ready) ready = load(rig, 'k', leases, 1);
  if (!ready) return ready.error();
  etcdserverpb::WatchCreateRequest deletions;
  deletions.set_key("k");
  deletions.set_range_end(end_of_prefix("k"));
  deletions.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  watchers.add_stream(kWatchConnection, 1, deletions);
  ready = watchers.wait_until_created(kSettleLimit);
  if (!ready) return ready.error();

  PacedPuts puts(rig, source, {.first_connection = kPutConnection, .per_second = kPutsPerSecond});
  const HangUp closes_before_puts(rig);
  rig.loop().run([&puts] { return puts.is_failed(); },
                 std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds(0),
                                                    due - std::chrono::seconds(1) - Clock::now()));
  const double before_us = puts.latencies().percentile_us(0.99);
  puts.latencies().clear();
  const Result<Expiry> expiry = watch_expiry(rig, watchers, puts, leases);
  if (!expiry) return expiry.error();
  const double overdue = std::chrono::duration<double>(*expiry->last_deletion - due).count();
  const Result<std::int64_t> left = rig.count("k");
  if (!left) return left.error();
  if (*left != 0) return failure("W11: keys are left after all deletions");

  Row row{"W11", readable(static_cast<double>(leases)) + " leases expire together", {}};
  // The last lease counts from before its answer, so it may well go a moment before `due`.
  row.metrics = {{"overdue", "s", std::max(0.001, overdue), Better::lower},
                 {"put p99 before", "µs", before_us, Better::lower},
                 {"put p99 meanwhile", "µs", puts.latencies().percentile_us(0.99), Better::lower}};
  add_usage(row, expiry->usage, static_cast<double>(leases), "lease");
  return std::vector<Row>{std::move(row)};
}

}  // namespace conclave::bench
