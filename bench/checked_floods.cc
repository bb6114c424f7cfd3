#include "conclave/bench/checked_floods.h"

#include "conclave/bench/sources.h"

namespace conclave::bench {
namespace {

constexpr char kPutPrefix = 'k';

}  // namespace

FloodPlan plan_of(int clients, int connections, std::int64_t operations) {
  return {clients, connections, operations / 10, operations};
}

Result<Row> flood_of_puts(Rig& rig, const FloodPlan& plan, std::int64_t keys, std::string id,
                          std::string title) {
  PutSource source(kPutPrefix, keys, rig.parameter("value-bytes"));
  const Result<std::int64_t> before = rig.revision();
  if (!before) return before.error();
  const Result<FloodOutcome> outcome = run_flood(rig, source, plan);
  if (!outcome) return outcome.error();
  const Result<std::int64_t> after = rig.revision();
  if (!after) return after.error();
  if (*after - *before != plan.warm_up + plan.operations) {
    return failure(id + ": " + std::to_string(plan.warm_up + plan.operations) +
                   " puts were acknowledged, the revision moved by " +
                   std::to_string(*after - *before));
  }
  return flood_row(std::move(id), std::move(title), *outcome);
}

Result<Row> flood_of_ranges(Rig& rig, const FloodPlan& plan, CallSource& source, std::string id,
                            std::string title) {
  const Result<FloodOutcome> outcome = run_flood(rig, source, plan);
  if (!outcome) return outcome.error();
  return flood_row(std::move(id), std::move(title), *outcome);
}

}  // namespace conclave::bench
