#include "conclave/bench/soak.h"

#include <algorithm>
#include <cstdio>

#include "conclave/bench/machine.h"
#include "conclave/bench/paced_puts.h"
#include "conclave/bench/sources.h"
#include "conclave/bench/streams.h"

namespace conclave::bench {
namespace {

constexpr std::chrono::seconds kLimit(60);
constexpr std::chrono::seconds kLineEvery(10);
constexpr std::size_t kPutConnections = 10;
constexpr std::size_t kWatchConnections = 10;
constexpr std::size_t kWatchStreams = 100;
constexpr std::size_t kLeaseConnections = 10;
constexpr std::size_t kLeaseStreams = 1'000;
constexpr double kWatchedPutsPerSecond = 10;
constexpr std::int64_t kTtlSeconds = 30;
constexpr std::int64_t kKeys = 100'000;

// First connections of each kind.
constexpr std::size_t kWatchFirst = kPutConnections;
constexpr std::size_t kLeaseFirst = kWatchFirst + kWatchConnections;
constexpr std::size_t kWatchedPuts = kLeaseFirst + kLeaseConnections;

// Everything below the latest revision goes.
Result<void> compact(Rig& rig) {
  const Result<std::int64_t> revision = rig.revision();
  if (!revision) return revision.error();
  etcdserverpb::CompactionRequest request;
  request.set_revision(*revision);
  const auto done = rig.call<etcdserverpb::CompactionResponse>(kCompactPath, request);
  if (!done) return done.error();
  return {};
}

// The load on one server, from its beginning to its end.
class Soak {
 public:
  Soak(Rig& rig, const Options& options)
      : rig_(rig),
        options_(options),
        watchers_(rig),
        source_('k', kKeys, rig.parameter("value-bytes")),
        watched_source_('w', 1'000, rig.parameter("value-bytes")),
        closes_first_(rig) {}

  Result<void> run() {
    Result<void> ready = begin();
    if (!ready) return ready;
    const TimePoint began = Clock::now();
    const auto seconds = [&began] {
      return std::chrono::duration<double>(Clock::now() - began).count();
    };
    const auto compaction = std::chrono::seconds(rig_.parameter("soak-compaction-seconds"));
    TimePoint next_compaction = began + compaction;
    TimePoint next_line = began;
    while (seconds() < static_cast<double>(options_.soak_seconds) && !is_interrupted()) {
      const TimePoint now = Clock::now();
      if (now >= next_line) {
        print(seconds());
        next_line += kLineEvery;
      }
      if (now >= next_compaction) {
        const Result<void> compacted = compact(rig_);
        if (!compacted) return compacted;
        next_compaction += compaction;
      }
      rig_.loop().run([this] { return !why_failed().empty(); },
                      std::min(next_line, next_compaction) - Clock::now());
      if (!why_failed().empty()) return failure(why_failed());
    }
    print(seconds());
    return finish();
  }

 private:
  Result<void> begin() {
    Result<void> ready = rig_.connect(kWatchedPuts + 1);
    if (ready) ready = grant_leases(rig_, 1, rig_.parameter("soak-leases"), kTtlSeconds);
    if (!ready) return ready;
    etcdserverpb::WatchCreateRequest request;
    request.set_key("w");
    request.set_range_end("x");
    const std::int64_t wanted = rig_.parameter("soak-watchers");
    const auto streams = std::min<std::int64_t>(wanted, kWatchStreams);
    per_put_ = wanted / streams * streams;
    for (std::int64_t i = 0; i < streams; ++i) {
      watchers_.add_stream(kWatchFirst + static_cast<std::size_t>(i) % kWatchConnections,
                           static_cast<int>(wanted / streams), request);
    }
    ready = watchers_.wait_until_created(kLimit);
    if (!ready) return ready;
    renewals_.emplace(rig_, kLeaseFirst, kLeaseConnections, kLeaseStreams);
    renewals_->set_leases(rig_.parameter("soak-leases"));
    renewals_->start(static_cast<double>(kTtlSeconds) / 3);
    puts_.emplace(rig_, source_,
                  PacedPuts::Options{
                      .connections = kPutConnections,
                      .per_second = static_cast<double>(rig_.parameter("soak-puts-per-second"))});
    watched_puts_.emplace(
        rig_, watched_source_,
        PacedPuts::Options{.first_connection = kWatchedPuts, .per_second = kWatchedPutsPerSecond});
    meter_.emplace(rig_.servers().pids());
    return {};
  }

  void print(double seconds) {
    const Memory memory = memory_of(rig_.server().pid());
    std::printf("%8.0f s  resident %7.1f MiB  anonymous %7.1f MiB  puts %9lld  put p99.9 %s µs\n",
                seconds, memory.resident_mib, memory.anonymous_mib,
                static_cast<long long>(puts_->acknowledged()),
                readable(puts_->latencies().percentile_us(0.999)).c_str());
    std::fflush(stdout);
  }

  std::string why_failed() const {
    for (const std::string& why :
         {puts_->error(), watched_puts_->error(), watchers_.error(), renewals_->error()}) {
      if (!why.empty()) return why;
    }
    return "";
  }

  Result<void> finish() {
    const Usage usage = meter_->stop();
    puts_->stop();
    watched_puts_->stop();
    renewals_->stop();
    const bool settled = rig_.loop().run(
        [this] {
          return !why_failed().empty() ||
                 (puts_->is_finished() && watched_puts_->is_finished() && renewals_->is_settled() &&
                  watchers_.events() >= watched_puts_->acknowledged() * per_put_);
        },
        kLimit);
    if (!why_failed().empty()) return failure(why_failed());
    if (!settled) return failure("a minute after the end, answers or events were still missing");
    if (watchers_.events() != watched_puts_->acknowledged() * per_put_) {
      return failure("more events came than puts account for");
    }
    std::printf(
        "end: put p50 %s p99 %s p99.9 %s longest %s µs; renewal p99.9 %s µs, lost %lld; %lld "
        "events; %lld puts refused; server CPU %.1f %% of a core\n",
        readable(puts_->latencies().percentile_us(0.5)).c_str(),
        readable(puts_->latencies().percentile_us(0.99)).c_str(),
        readable(puts_->latencies().percentile_us(0.999)).c_str(),
        readable(puts_->latencies().max_us()).c_str(),
        readable(renewals_->latencies().percentile_us(0.999)).c_str(),
        static_cast<long long>(renewals_->lost()), static_cast<long long>(watchers_.events()),
        static_cast<long long>(puts_->refused() + watched_puts_->refused()),
        100 * usage.server_cpu_seconds / usage.seconds);
    return renewals_->lost() == 0 ? Result<void>() : failure("leases were lost");
  }

  Rig& rig_;
  const Options& options_;
  Watchers watchers_;
  PutSource source_;
  PutSource watched_source_;
  std::optional<Renewals> renewals_;
  std::optional<PacedPuts> puts_;
  std::optional<PacedPuts> watched_puts_;
  std::optional<UsageMeter> meter_;
  std::int64_t per_put_ = 0;  // events
  const HangUp closes_first_;
};

}  // namespace

int soak(const Options& options) {
  bool failed = false;
  for (const ServerProgram& program : options.servers) {
    if (is_interrupted()) break;
    std::printf("%s: %s\n", program.name.c_str(), options.parameters.text("soak-").c_str());
    ServerCluster servers(program, options.directory, 1);
    servers.launch();
    Rig rig(servers, options.parameters);
    Result<void> ran = rig.wait_until_serving(kLimit);
    if (ran) ran = Soak(rig, options).run();
    if (ran) continue;
    failed = true;
    std::printf("FAILED: %s\n%s\n", ran.error().message.c_str(), servers.last_words().c_str());
  }
  return failed ? 1 : 0;
}

}  // namespace conclave::bench
