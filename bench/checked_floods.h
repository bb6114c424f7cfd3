#pragma once

#include <cstdint>
#include <string>

#include "conclave/bench/flood.h"

namespace conclave::bench {

// A tenth of the measured calls, before them: connections, caches and clock rates settle.
FloodPlan plan_of(int clients, int connections, std::int64_t operations);

// Puts of `keys` keys. Holds the store's revision against the writes that were acknowledged.
Result<Row> flood_of_puts(Rig& rig, const FloodPlan& plan, std::int64_t keys, std::string id,
                          std::string title);

// Whatever `source` asks, which says itself whether an answer can be right.
Result<Row> flood_of_ranges(Rig& rig, const FloodPlan& plan, CallSource& source, std::string id,
                            std::string title);

}  // namespace conclave::bench
