#include "conclave/bench/flood.h"

#include <vector>

namespace conclave::bench {
namespace {

// No workload here takes that long; a server that does has stopped answering.
constexpr std::chrono::minutes kFloodLimit(10);

class Flood {
 public:
  Flood(Rig& rig, CallSource& source, int clients) : source_(source) {
    clients_.reserve(static_cast<std::size_t>(clients));
    for (int i = 0; i < clients; ++i) {
      clients_.emplace_back(*this, rig.connection(static_cast<std::size_t>(i)), i);
    }
  }

  Result<void> run(EventLoop& loop, std::int64_t operations) {
    to_start_ = to_finish_ = operations;
    latencies_.clear();
    for (Client& client : clients_) client.ask();
    const bool done = loop.run([this] { return to_finish_ == 0 || is_failed(); }, kFloodLimit);
    if (is_failed()) return failure(error_);
    if (!done) return failure(std::to_string(to_finish_) + " calls were never answered");
    return {};
  }

  const LatencyHistogram& latencies() const { return latencies_; }

 private:
  class Client : public StreamHandler {
   public:
    Client(Flood& flood, Connection& connection, int index)
        : flood_(flood), connection_(connection), index_(index) {}

    void ask() {
      if (flood_.to_start_ == 0 || flood_.is_failed()) return;
      --flood_.to_start_;
      answered_ = false;
      const CallSource::Call call = flood_.source_.next(index_);
      asked_ = Clock::now();
      connection_.unary(call.path, call.framed_request, *this);
    }

    void on_message(std::string_view message) override {
      answered_ = flood_.source_.accept(index_, message);
      if (!answered_) flood_.fail("an answer is wrong");
    }

    void on_end(const Status& status) override {
      if (status.code != 0) {
        return flood_.fail("status " + std::to_string(status.code) + ", " +
                           std::string(status.message));
      }
      if (!answered_) return flood_.fail("a call ended well and without an answer");
      flood_.latencies_.record_ns((Clock::now() - asked_).count());
      --flood_.to_finish_;
      ask();
    }

   private:
    Flood& flood_;
    Connection& connection_;
    const int index_;
    TimePoint asked_;
    bool answered_ = false;
  };

  bool is_failed() const { return !error_.empty(); }
  void fail(std::string why) {
    if (error_.empty()) error_ = "a call failed: " + std::move(why);
  }

  CallSource& source_;
  std::vector<Client> clients_;
  std::int64_t to_start_ = 0;
  std::int64_t to_finish_ = 0;
  LatencyHistogram latencies_;
  std::string error_;
};

}  // namespace

Result<FloodOutcome> run_flood(Rig& rig, CallSource& source, const FloodPlan& plan) {
  Result<void> connected = rig.connect(plan.connections);
  if (!connected) return connected.error();
  Flood flood(rig, source, plan.clients);
  Result<void> warm = flood.run(rig.loop(), plan.warm_up);
  if (warm) {
    const UsageMeter meter(rig.servers().pids());
    const Result<void> measured = flood.run(rig.loop(), plan.operations);
    const Usage usage = meter.stop();
    if (measured) return FloodOutcome{flood.latencies(), usage, plan.operations};
    warm = measured;
  }
  // Calls that are still open must not find their clients gone.
  rig.disconnect();
  return warm.error();
}

Row flood_row(std::string id, std::string title, const FloodOutcome& outcome) {
  const auto operations = static_cast<double>(outcome.operations);
  Row row{std::move(id), std::move(title), {}};
  row.metrics = {{kRate, "/s", operations / outcome.usage.seconds, Better::higher},
                 {kMedian, "µs", outcome.latencies.percentile_us(0.5), Better::lower},
                 {kTail, "µs", outcome.latencies.percentile_us(0.99), Better::lower}};
  add_usage(row, outcome.usage, operations, "op");
  return row;
}

}  // namespace conclave::bench
