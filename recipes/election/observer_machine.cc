#include "conclave/election/observer_machine.h"

#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/session/turn_key.h"

namespace conclave::election {
namespace {

Leader leader_of(const KeyValue& kv) {
  return {kv.key, kv.value, {kv.create_revision}, kv.lease, kv.mod_revision};
}

}  // namespace

ObserverMachine::ObserverMachine(std::string name, std::int64_t after)
    : name_(std::move(name)), prefix_(session::queue_prefix(name_)), read_at_(after) {}

void ObserverMachine::start(Instant now) {
  if (name_.empty()) return fail({Errc::invalid_argument, "a name must not be empty"});
  send_get(now);
}

void ObserverMachine::send_get(Instant now) {
  reading_ = true;
  retry_at_ = Instant::max();
  Get get = session::read_queue(name_, SortOrder::ascending, 0);
  get.revision = read_at_;
  actions_.emplace_back(SendGet{++request_, std::move(get), now + session::kRequestTimeout});
}

void ObserverMachine::on_get(Instant now, std::uint64_t request, const Result<GetResult>& answer) {
  if (request != request_ || !reading_ || failed_) return;
  if (!answer) {
    const Error& error = answer.error();
    if (error.code == Errc::compacted && read_at_ != 0) {
      gap_ = true;
      read_at_ = 0;
      return send_get(now);
    }
    if (!session::is_transient(error.code)) return fail(error);
    retry_at_ = now + backoff_.next();
    return;
  }
  reading_ = false;
  backoff_.reset();
  contenders_.clear();
  for (const KeyValue& kv : answer->kvs) {
    if (session::is_contender(prefix_, kv.key)) contenders_[kv.create_revision] = leader_of(kv);
  }
  const bool resumed = read_at_ != 0;
  revision_ = resumed ? read_at_ : answer->revision;
  read_at_ = 0;
  if (resumed) {
    // The caller has seen this one.
    if (!contenders_.empty()) reported_ = contenders_.begin()->second;
  } else {
    report(true);
  }
  watch_on();
}

void ObserverMachine::watch_on() {
  if (paused_ || failed_ || reading_) return;
  Watch watch;
  watch.key = prefix_;
  watch.range_end = prefix_end(prefix_);
  watch.start_revision = revision_ + 1;
  actions_.emplace_back(StartObserving{std::move(watch)});
}

void ObserverMachine::apply(const Event& event) {
  if (!session::is_contender(prefix_, event.kv.key)) return;
  std::erase_if(contenders_, [&](const auto& entry) { return entry.second.key == event.kv.key; });
  if (event.type == Event::Type::put) {
    contenders_[event.kv.create_revision] = leader_of(event.kv);
  }
}

void ObserverMachine::report(bool always) {
  std::optional<Leader> leader;
  if (!contenders_.empty()) leader = contenders_.begin()->second;
  if (!always && leader == reported_) return;
  reported_ = leader;
  actions_.emplace_back(Changed{{std::move(leader), revision_, std::exchange(gap_, false)}});
}

void ObserverMachine::on_watch(Instant now, const WatchNotice& notice) {
  if (paused_ || failed_ || reading_) return;
  switch (notice.kind) {
    case WatchNotice::Kind::created:
      return;
    case WatchNotice::Kind::progress:
      revision_ = std::max(revision_, notice.revision);
      return;
    case WatchNotice::Kind::events:
      for (std::size_t i = 0; i < notice.events.size(); ++i) {
        apply(notice.events[i]);
        const std::int64_t revision = notice.events[i].kv.mod_revision;
        // A revision counts as a whole.
        if (i + 1 < notice.events.size() && notice.events[i + 1].kv.mod_revision == revision) {
          continue;
        }
        revision_ = std::max(revision_, revision);
        report(false);
      }
      return;
    case WatchNotice::Kind::compacted:
      gap_ = true;
      actions_.emplace_back(StopObserving{});
      return send_get(now);
    case WatchNotice::Kind::failed:
      actions_.emplace_back(StopObserving{});
      if (!session::is_transient(notice.error.code)) return fail(notice.error);
      retry_at_ = now + backoff_.next();
      return;
  }
}

void ObserverMachine::pause() {
  if (paused_ || failed_) return;
  paused_ = true;
  actions_.emplace_back(StopObserving{});
}

void ObserverMachine::resume() {
  if (!paused_) return;
  paused_ = false;
  watch_on();
}

void ObserverMachine::on_timer(Instant now) {
  if (failed_ || now < retry_at_) return;
  retry_at_ = Instant::max();
  if (reading_) return send_get(now);
  watch_on();
}

void ObserverMachine::fail(Error error) {
  failed_ = true;
  retry_at_ = Instant::max();
  actions_.emplace_back(ObserverFailed{std::move(error)});
}

std::vector<ObserverAction> ObserverMachine::take_actions() {
  return std::exchange(actions_, {});
}

}  // namespace conclave::election
