#include "conclave/bench/retrying_puts.h"

namespace conclave::bench {
namespace {

// Behind a failed attempt, so that members which refuse at once are not asked without end.
constexpr std::chrono::milliseconds kRetryPause(1);

}  // namespace

// Waits for one thing at a time, its next attempt or the end of this one; the timer is for either.
class RetryingPuts::Client : public StreamHandler {
 public:
  Client(RetryingPuts& owner, int index)
      : owner_(owner),
        index_(index),
        next_member_(static_cast<std::size_t>(index)),
        connections_(owner.options_.ports.size()) {
    attempt_after(std::chrono::milliseconds(0));
  }
  ~Client() override { owner_.loop_.cancel(timer_); }

  void on_message(std::string_view message) override {
    answered_ = owner_.source_.accept(index_, message);
  }

  void on_end(const Status& status) override {
    owner_.loop_.cancel(timer_);
    stream_ = nullptr;
    if (status.code == 0 && answered_) {
      owner_.note_accepted(sent_);
      return attempt_after(owner_.options_.pause);
    }
    fail(status.message.empty() ? "not answered in time" : std::string(status.message));
  }

 private:
  void attempt_after(std::chrono::milliseconds pause) {
    timer_ = owner_.loop_.at(Clock::now() + pause, [this] { attempt(); });
  }

  void fail(std::string why) {
    owner_.last_error_ = std::move(why);
    attempt_after(kRetryPause);
  }

  void attempt() {
    const std::size_t member = next_member_++ % connections_.size();
    const Result<Connection*> connection = connection_to(member);
    if (!connection) return fail(connection.error().message);
    const CallSource::Call call = owner_.source_.next(index_);
    ++owner_.attempts_;
    answered_ = false;
    sent_ = Clock::now();
    stream_ = (*connection)->unary(call.path, call.framed_request, *this);
    // The stream's end comes when the server has been told of it.
    timer_ = owner_.loop_.at(sent_ + owner_.draw_limit(),
                             [this, member] { connections_[member]->cancel(stream_); });
  }

  Result<Connection*> connection_to(std::size_t member) {
    std::unique_ptr<Connection>& held = connections_[member];
    if (held == nullptr || held->is_broken()) {
      auto opened = Connection::open(owner_.loop_, owner_.options_.ports[member]);
      if (!opened) return opened.error();
      // Events of the old one may be on their way: nothing is destroyed inside the loop.
      if (held != nullptr) broken_.push_back(std::move(held));
      held = *std::move(opened);
    }
    return held.get();
  }

  RetryingPuts& owner_;
  const int index_;
  std::size_t next_member_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by member
  std::vector<std::unique_ptr<Connection>> broken_;
  EventLoop::TimerId timer_;
  Connection::Stream* stream_ = nullptr;
  TimePoint sent_;
  bool answered_ = false;
};

RetryingPuts::RetryingPuts(EventLoop& loop, CallSource& source, Options options)
    : loop_(loop), source_(source), options_(std::move(options)) {
  for (int i = 0; i < options_.clients; ++i) {
    clients_.push_back(std::make_unique<Client>(*this, i));
  }
}

RetryingPuts::~RetryingPuts() = default;

void RetryingPuts::note_accepted(TimePoint sent) {
  ++accepted_;
  first_.note_success(sent, Clock::now());
}

std::chrono::nanoseconds RetryingPuts::draw_limit() {
  const std::chrono::nanoseconds half = std::chrono::nanoseconds(options_.attempt_limit) / 2;
  const auto bound = static_cast<std::uint64_t>(half.count()) + 1;
  return half + std::chrono::nanoseconds(random_.below(bound));
}

}  // namespace conclave::bench
