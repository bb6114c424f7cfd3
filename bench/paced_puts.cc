#include "conclave/bench/paced_puts.h"

namespace conclave::bench {
namespace {

// Servers differ in the code that comes with it.
constexpr std::string_view kTooManyRequests = "etcdserver: too many requests";
constexpr std::string_view kTimedOut = "etcdserver: request timed out";

}  // namespace

class PacedPuts::Put : public StreamHandler {
 public:
  explicit Put(PacedPuts& owner) : owner_(owner) {}

  void begin(TimePoint due) { due_ = due; }
  void on_message(std::string_view) override {}
  void on_end(const Status& status) override {
    --owner_.in_flight_;
    owner_.idle_.push_back(this);
    if (status.message == kTooManyRequests) {
      ++owner_.refused_;
      return;
    }
    if (status.message.starts_with(kTimedOut)) {
      ++owner_.timed_out_;
      owner_.latencies_.record_ns((Clock::now() - due_).count());
      return;
    }
    if (status.code != 0) {
      owner_.error_ = "a put failed: status " + std::to_string(status.code) + ", " +
                      std::string(status.message);
      owner_.stop();
      return;
    }
    ++owner_.acknowledged_;
    owner_.latencies_.record_ns((Clock::now() - due_).count());
  }

 private:
  PacedPuts& owner_;
  TimePoint due_;
};

PacedPuts::PacedPuts(Rig& rig, CallSource& source, Options options)
    : rig_(rig),
      source_(source),
      options_(std::move(options)),
      pacer_(rig.loop(), options_.per_second, [this](TimePoint due) { send(due); }) {}

PacedPuts::~PacedPuts() = default;

void PacedPuts::send(TimePoint due) {
  if (stopped_ || sent_ == options_.limit) return pacer_.stop();
  if (idle_.empty()) {
    puts_.push_back(std::make_unique<Put>(*this));
    idle_.push_back(puts_.back().get());
  }
  Put* put = idle_.back();
  idle_.pop_back();
  put->begin(due);
  const std::size_t connection =
      options_.first_connection + static_cast<std::size_t>(sent_) % options_.connections;
  const CallSource::Call call = source_.next(0);
  if (options_.on_sent) options_.on_sent(sent_, Clock::now());
  ++sent_;
  ++in_flight_;
  rig_.connection(connection).unary(call.path, call.framed_request, *put);
}

}  // namespace conclave::bench
