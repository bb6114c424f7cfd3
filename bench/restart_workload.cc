// W18 and W19: a full store in memory, and how soon it serves again after it was killed.
#include "conclave/bench/sources.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

constexpr std::chrono::seconds kSettle(3);
constexpr std::chrono::minutes kStartLimit(2);

}  // namespace

Result<std::vector<Row>> run_restart(Rig& rig) {
  const std::int64_t keys = rig.parameter("w18-keys");
  const Result<void> loaded = load(rig, 'k', keys);
  if (!loaded) return loaded.error();
  // What is written in the background, and given back, is.
  rig.loop().run([] { return false; }, kSettle);
  const Memory full = memory_of(rig.server().pid());

  rig.disconnect();
  rig.server().kill_hard();
  const TimePoint began = Clock::now();
  rig.server().launch();
  const Result<void> serving = rig.wait_until_serving(kStartLimit);
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  if (!serving) return serving.error();
  const double cpu_seconds = process_cpu_seconds(rig.server().pid());
  const Result<std::int64_t> found = rig.count("k");
  if (!found) return found.error();
  if (*found != keys) {
    return failure("W18: " + std::to_string(keys) + " keys before the kill, " +
                   std::to_string(*found) + " after it");
  }
  const Memory again = memory_of(rig.server().pid());
  const std::string what = readable(static_cast<double>(keys)) + " keys";
  Row restart{"W18", "start after kill -9, " + what, {}};
  restart.metrics = {{"to first read", "s", seconds, Better::lower},
                     {"server CPU until then", "s", cpu_seconds, Better::lower},
                     {"resident after", "MiB", again.resident_mib, Better::lower}};
  Row memory{"W19", "memory with " + what, {}};
  memory.metrics = {{"resident", "MiB", full.resident_mib, Better::lower},
                    {"anonymous", "MiB", full.anonymous_mib, Better::lower}};
  return std::vector<Row>{std::move(restart), std::move(memory)};
}

}  // namespace conclave::bench
