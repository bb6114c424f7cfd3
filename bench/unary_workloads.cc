// W1 to W5 and W9: floods of calls with one answer each.
#include "conclave/bench/checked_floods.h"
#include "conclave/bench/sources.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

constexpr char kPrefix = 'k';

Result<std::vector<Row>> ranges_of_both_kinds(Rig& rig, const FloodPlan& plan, std::int64_t keys,
                                              const std::string& id, const std::string& title) {
  const Result<void> loaded = load(rig, kPrefix, keys);
  if (!loaded) return loaded.error();
  std::vector<Row> rows;
  for (const bool serializable : {false, true}) {
    RangeSource source(kPrefix, keys, rig.parameter("value-bytes"), serializable);
    Result<Row> row = flood_of_ranges(rig, plan, source, id + (serializable ? "/ser" : "/lin"),
                                      title + (serializable ? ", serializable" : ", linearizable"));
    if (!row) return row.error();
    rows.push_back(*std::move(row));
  }
  return rows;
}

// A client's calls in turn: a lease is granted under the next id, then its key is put.
class GrantAndPutSource : public CallSource {
 public:
  GrantAndPutSource(int clients, std::int64_t value_bytes)
      : granted_(static_cast<std::size_t>(clients), 0) {
    put_.set_value(std::string(static_cast<std::size_t>(value_bytes), 'v'));
  }

  Call next(int client) override {
    std::int64_t& lease = granted_[static_cast<std::size_t>(client)];
    if (lease == 0) {
      etcdserverpb::LeaseGrantRequest grant;
      grant.set_id(lease = ++last_lease_);
      grant.set_ttl(600);
      framed_ = framed(grant);
      return {kGrantPath, framed_};
    }
    put_.set_key(key_of(kPrefix, lease));
    put_.set_lease(lease);
    framed_ = framed(put_);
    lease = 0;
    return {kPutPath, framed_};
  }
  bool accept(int, std::string_view message) override { return !message.empty(); }

  std::int64_t leases() const { return last_lease_; }

 private:
  std::vector<std::int64_t> granted_;  // by client; 0 once its key is put
  std::int64_t last_lease_ = 0;
  etcdserverpb::PutRequest put_;
  std::string framed_;
};

}  // namespace

Result<std::vector<Row>> run_put_one(Rig& rig) {
  Result<Row> row = flood_of_puts(rig, plan_of(1, 1, rig.parameter("w1-operations")), 100'000, "W1",
                                  "put, 1 client");
  if (!row) return row.error();
  return std::vector<Row>{*std::move(row)};
}

Result<std::vector<Row>> run_put_many(Rig& rig) {
  const std::int64_t keys = rig.parameter("w2-keys");
  Result<Row> hundred = flood_of_puts(rig, plan_of(100, 10, rig.parameter("w2-operations-100")),
                                      keys, "W2/100", "put, 100 clients");
  if (!hundred) return hundred.error();
  Result<Row> thousand = flood_of_puts(rig, plan_of(1000, 50, rig.parameter("w2-operations-1000")),
                                       keys, "W2/1000", "put, 1000 clients");
  if (!thousand) return thousand.error();
  return std::vector<Row>{*std::move(hundred), *std::move(thousand)};
}

Result<std::vector<Row>> run_range_one(Rig& rig) {
  return ranges_of_both_kinds(rig, plan_of(1, 1, rig.parameter("w3-operations")),
                              rig.parameter("w3-keys"), "W3", "range, 1 client");
}

Result<std::vector<Row>> run_range_many(Rig& rig) {
  Result<std::vector<Row>> rows =
      ranges_of_both_kinds(rig, plan_of(1000, 50, rig.parameter("w4-operations")),
                           rig.parameter("w4-keys"), "W4", "range, 1000 clients");
  if (!rows) return rows;
  const std::int64_t count = rig.parameter("w4-prefix-keys");
  PrefixSource source(kPrefix, count, rig.parameter("value-bytes"));
  Result<Row> row =
      flood_of_ranges(rig, plan_of(16, 16, rig.parameter("w4-prefix-operations")), source,
                      "W4/prefix", "range of " + std::to_string(count) + " keys, 16 clients");
  if (!row) return row.error();
  rows->push_back(*std::move(row));
  return rows;
}

Result<std::vector<Row>> run_compare_and_swap(Rig& rig) {
  constexpr int kClients = 100;
  const FloodPlan plan = plan_of(kClients, 10, rig.parameter("w5-operations"));
  std::vector<Row> rows;
  for (const bool hot : {false, true}) {
    const std::int64_t keys = rig.parameter(hot ? "w5-hot-keys" : "w5-keys");
    const std::string id = hot ? "W5/hot" : "W5/wide";
    const char prefix = hot ? 'h' : kPrefix;
    Result<void> ready = load(rig, prefix, keys);
    CompareAndSwapSource source(prefix, keys, rig.parameter("value-bytes"), kClients);
    if (ready) ready = source.learn(rig);
    if (!ready) return ready.error();
    const Result<std::int64_t> before = rig.revision();
    if (!before) return before.error();
    const Result<FloodOutcome> outcome = run_flood(rig, source, plan);
    if (!outcome) return outcome.error();
    const Result<std::int64_t> after = rig.revision();
    if (!after) return after.error();
    if (*after - *before != source.succeeded()) {
      return failure(id + ": " + std::to_string(source.succeeded()) +
                     " transactions succeeded, the revision moved by " +
                     std::to_string(*after - *before));
    }
    rows.push_back(
        flood_row(id, "compare-and-swap over " + std::to_string(keys) + " keys", *outcome));
    rows.back().metrics.push_back({"succeeded", "%",
                                   100 * static_cast<double>(source.succeeded()) /
                                       static_cast<double>(plan.warm_up + plan.operations),
                                   Better::higher, /*is_context=*/true});
  }
  return rows;
}

Result<std::vector<Row>> run_lease_grant(Rig& rig) {
  constexpr int kClients = 100;
  GrantAndPutSource source(kClients, rig.parameter("value-bytes"));
  const std::int64_t calls = 2 * rig.parameter("w9-leases");
  const Result<FloodOutcome> outcome = run_flood(rig, source, plan_of(kClients, 10, calls));
  if (!outcome) return outcome.error();
  const auto listed =
      rig.call<etcdserverpb::LeaseLeasesResponse>(kLeasesPath, etcdserverpb::LeaseLeasesRequest());
  if (!listed) return listed.error();
  const Result<std::int64_t> keys = rig.count(std::string(1, kPrefix));
  if (!keys) return keys.error();
  const std::int64_t puts = calls + calls / 10 - source.leases();
  if (listed->leases_size() != source.leases() || *keys != puts) {
    return failure("W9: " + std::to_string(source.leases()) + " leases and " +
                   std::to_string(puts) + " keys were acknowledged, " +
                   std::to_string(listed->leases_size()) + " and " + std::to_string(*keys) +
                   " are there");
  }
  return std::vector<Row>{flood_row("W9", "lease grant and put, 100 clients", *outcome)};
}

}  // namespace conclave::bench
