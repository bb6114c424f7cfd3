#include "conclave/server/core_thread.h"

#include <algorithm>
#include <utility>

namespace conclave::server {
namespace {

using std::chrono::steady_clock;

// How long a stopping node waits for the answers of what it has proposed.
constexpr auto kDrainTime = std::chrono::seconds(10);

}  // namespace

CoreThread::CoreThread(Parts parts, OnFailure on_failure)
    : tick_(parts.tick),
      queue_length_max_(parts.queue_length_max),
      on_failure_(std::move(on_failure)),
      held_responses_(
          [this](std::uint64_t bytes) { post([this, bytes] { replica_->response_sent(bytes); }); }),
      replica_(std::move(parts.replica)),
      next_tick_(steady_clock::now()),
      repairs_(parts.repairs),
      directory_(std::move(parts.directory)),
      snapshot_patience_(parts.snapshot_patience),
      quota_bytes_(parts.quota_bytes),
      notice_(std::move(parts.notice)),
      store_(std::move(parts.store)),
      disk_(std::move(parts.disk)) {
  // A disk thread may fail after the core has ended: in its last sync.
  const auto report_failure = [this](const Error& error) {
    if (!post([this, error] { fail(error); })) tell_failure(error);
  };
  store_thread_ = std::make_unique<StoreThread>(
      store_,
      StoreThread::Callbacks{
          [this](std::uint64_t size, std::uint64_t in_use) {
            post([this, size, in_use] { replica_->batch_committed(size, in_use); });
          },
          [this](bool done, std::uint64_t size, std::uint64_t in_use) {
            post([this, done, size, in_use] { replica_->defragmented(done, size, in_use); });
          },
          report_failure});
  log_thread_ = std::make_unique<LogThread>(
      std::move(parts.log), LogThread::Callbacks{[this](std::uint64_t number) {
                                                   post([this, number] { log_persisted(number); });
                                                 },
                                                 report_failure});
  answer_thread_ = std::make_unique<AnswerThread>();
  thread_ = std::thread([this] { run(); });
}

CoreThread::~CoreThread() {
  stop();
}

Result<void> CoreThread::connect(transport::Options options, const replica::Membership& others) {
  auto links = std::make_unique<PeerLinks>(
      directory_, quota_bytes_,
      PeerLinks::Core{[this](std::function<void(replica::Replica&)> work) {
                        return post([this, work = std::move(work)] {
                          if (!failure_ && !deaf_) work(*replica_);
                        });
                      },
                      [this](std::shared_ptr<ArrivedSnapshot> arrived) {
                        return post(
                            [this, arrived = std::move(arrived)] { take_arrived(arrived); });
                      },
                      [this](const std::string& text) { notice(text); }});
  if (Result<void> started = links->start(std::move(options), others); !started) return started;
  // The core uses them from its next step on.
  const auto shared = std::make_shared<std::unique_ptr<PeerLinks>>(std::move(links));
  post([this, shared] { links_ = std::move(*shared); });
  return {};
}

void CoreThread::begin_stop() {
  post([this] { replica_->drain(); });
}

void CoreThread::stop() {
  const std::lock_guard guard(stop_mutex_);
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  detach();
  post([this] {
    drain_until_ = steady_clock::now() + kDrainTime;
    stopping_ = true;
    replica_->drain();
  });
  thread_.join();
  if (links_ != nullptr) links_->stop();
  links_.reset();
  reply_thread_.stop();
  held_responses_.close();
  answer_thread_.reset();
  // The log first: what the store is about to commit is in it.
  log_thread_.reset();
  store_thread_.reset();
  replica_.reset();
  arrived_.reset();
  store_.reset();
}

void CoreThread::submit(const replica::AnyCall& call, Done done) {
  std::optional<api::Refusal> refusal;
  {
    const std::lock_guard guard(mutex_);
    if (closed_) {
      refusal = api::Refusal::stopped;
    } else if (submissions_.size() >= queue_length_max_) {
      refusal = api::Refusal::too_many_requests;
    } else {
      if (submissions_.empty() && events_.empty()) wake_driver();
      submissions_.push_back({call, std::move(done)});
    }
  }
  if (refusal) done(refusal);
}

bool CoreThread::post(Event event) {
  const std::lock_guard guard(mutex_);
  if (closed_) return false;
  if (submissions_.empty() && events_.empty()) wake_driver();
  events_.push_back(std::move(event));
  return true;
}

// Whoever drives already looks into the queues again before it sleeps, and so does an attached
// thread, which drives after it has submitted.
void CoreThread::wake_driver() {
  if (driven_) return;
  if (attached_ == std::thread::id()) {
    changed_.notify_all();
  } else if (attached_ != std::this_thread::get_id()) {
    host_->wake();
  }
}

void CoreThread::attach(Host host) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !driven_ || ending_; });
  if (ending_) return;
  attached_ = std::this_thread::get_id();
  host_ = std::make_shared<const Host>(std::move(host));
}

void CoreThread::detach() {
  {
    const std::lock_guard guard(mutex_);
    attached_ = {};
    host_.reset();
    changed_.notify_all();
  }
  reply_thread_.wait_until_idle();
}

steady_clock::time_point CoreThread::drive() {
  {
    const std::lock_guard guard(mutex_);
    if (attached_ != std::this_thread::get_id()) return steady_clock::time_point::max();
    if (submissions_.empty() && events_.empty() && steady_clock::now() < next_step_) {
      return next_step_;
    }
    driven_ = true;
  }
  step();
  if (sync_here()) step();
  write_log();
  let_go();
  const std::lock_guard guard(mutex_);
  return submissions_.empty() && events_.empty() ? next_step_ : steady_clock::time_point();
}

// What a lone request waits for is mostly threads that wake each other; so its entry is synced
// here, if the disk is as fast as that.
bool CoreThread::sync_here() {
  if (failure_ || installing_ || installed_by_ != 0 || unanswered_ > 1 || !must_sync(log_writes_)) {
    return false;
  }
  if (!log_thread_->try_begin_here()) return false;
  const std::optional<std::uint64_t> persisted =
      log_thread_->write_here(std::exchange(log_writes_, {}));
  if (persisted) log_persisted(*persisted);
  return persisted.has_value();
}

void CoreThread::log_persisted(std::uint64_t number) {
  replica_->log_persisted(number);
  finish_installation(number);
}

void CoreThread::run() {
  for (;;) {
    wait_for_work();
    step();
    write_log();
    if (stopping_ && finished()) break;
    let_go();
  }
  {
    const std::lock_guard guard(mutex_);
    closed_ = true;
    taken_submissions_.swap(submissions_);
    taken_events_.swap(events_);
  }
  // Among the last events may be streams that were opened and failures that were met.
  for (const Event& event : taken_events_) event();
  for (const Submission& submission : taken_submissions_) {
    submission.done(api::Refusal::stopped);
  }
  replica_->abandon(api::Refusal::timeout);
  carry_out(replica_->take_output());
  write_log();
  refuse_snapshots();
  close_streams();
}

void CoreThread::wait_for_work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (driven_ || attached_ != std::thread::id()) {
      changed_.wait(lock);
    } else if (!submissions_.empty() || !events_.empty() || next_step_ <= steady_clock::now()) {
      driven_ = true;
      return;
    } else {
      const auto until = next_step_;
      changed_.wait_until(lock, until);
    }
  }
}

// Once nobody waits for an answer, other members are not listened to any more: what they send under
// load would never be all in the store.
bool CoreThread::finished() {
  if (failure_ || steady_clock::now() >= drain_until_) return true;
  if (!replica_->idle()) return false;
  deaf_ = true;
  return replica_->settled();
}

void CoreThread::step() {
  {
    const std::lock_guard guard(mutex_);
    taken_host_ = host_;
    taken_submissions_.swap(submissions_);
    taken_events_.swap(events_);
  }
  const Instant now = BootClock::now();
  for (const Event& event : taken_events_) event();
  taken_events_.clear();
  for (Submission& submission : taken_submissions_) {
    if (failure_) {
      submission.done(api::Refusal::stopped);
      continue;
    }
    if (free_slots_.empty()) {
      free_slots_.push_back(slots_.size());
      slots_.emplace_back();
    }
    const std::uint64_t slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot] = std::move(submission.done);
    ++unanswered_;
    replica_->submit(slot, submission.call, now);
  }
  taken_submissions_.clear();
  const auto steady = steady_clock::now();
  const bool tick_due = steady >= next_tick_;
  // After a stall, missed ticks are not made up for: time that nobody saw passing elects nobody.
  if (tick_due) next_tick_ = std::max(next_tick_ + tick_, steady);
  if (failure_) return;
  if (tick_due) {
    replica_->tick(now);
    note_space();
    close_silent_snapshots(now);
  }
  if (stopping_) replica_->flush();
  if (Result<void> processed = replica_->process(now); !processed) fail(processed.error());
  note_leader(now);
  carry_out(replica_->take_output());
  if (links_ != nullptr) links_->follow(*replica_);
  if (repairs_ && !failure_ && replica_->is_repaired()) {
    repairs_ = false;
    store_thread_->run_soon([this] { return directory_.end_repair(); });
    notice("this member has everything again, and counts");
  }
}

// Gives the replica back, and says when it is to be driven again at the latest.
void CoreThread::let_go() {
  const auto now = steady_clock::now();
  auto next_step = next_tick_;
  // A replica that failed is not driven any more, so what it still has to do never becomes less.
  if (!failure_) {
    if (replica_->has_more()) {
      next_step = now;
    } else if (const auto deadline = replica_->next_deadline()) {
      next_step = std::min(next_step, now + (*deadline - BootClock::now()));
    }
  }
  const std::lock_guard guard(mutex_);
  next_step_ = next_step;
  driven_ = false;
  // The core thread may wait for the end of a turn that outlived an attachment.
  if (attached_ != std::this_thread::get_id()) changed_.notify_all();
}

// Whose client wants a leader is sent to another member.
void CoreThread::note_leader(Instant now) {
  ready_.store(!failure_ && replica_->is_ready(), std::memory_order_release);
  has_leader_.store(replica_->has_leader(), std::memory_order_release);
  const bool cut_off = replica_->is_cut_off(now);
  is_cut_off_.store(cut_off, std::memory_order_release);
  if (!cut_off) return;
  std::erase_if(sinks_, [](const auto& entry) {
    if (entry.second.wants_leader) entry.second.to->close(api::Refusal::no_leader);
    return entry.second.wants_leader;
  });
}

// What an operator looks for whose puts are refused.
void CoreThread::note_space() {
  const bool is_short = replica_->state().alarms().any(etcdserverpb::NOSPACE);
  if (std::exchange(is_short_of_space_, is_short) == is_short) return;
  notice(is_short ? "the alarm NOSPACE is raised: puts and new leases are refused"
                  : "the alarm NOSPACE is gone: puts and new leases are taken again");
}

void CoreThread::carry_out(replica::Output output) {
  // Followers sync entries while this member does; of a commit that they only hear about, the
  // client hears first.
  const bool peers_first = must_sync(output.log_writes);
  if (!peers_first) answer(output);
  if (!failure_) {
    for (auto& write : output.log_writes) log_writes_.push_back(std::move(write));
    if (unanswered_ > 1) write_log();
    if (output.batch) store_thread_->commit(std::move(output.batch));
    if (output.defragment) store_thread_->defragment();
    if (output.release_log) log_thread_->release(*output.release_log);
    carry_out_for_peers(output);
  }
  if (peers_first) answer(output);
}

void CoreThread::carry_out_for_peers(replica::Output& output) {
  if (links_ != nullptr) links_->send(std::move(output.to_peers));
  for (replica::Output::Snapshot& snapshot : output.snapshots) {
    if (snapshot.to != 0) {
      links_->send_snapshot(std::move(snapshot), store_);
    } else {
      open_pieces(std::move(snapshot));
    }
  }
  if (output.discard_arrived) discard_arrival();
  install_if_due();
}

void CoreThread::take_arrived(std::shared_ptr<ArrivedSnapshot> arrived) {
  if (failure_) return;
  arrived_ = std::move(arrived);
  replica_->snapshot_arrived(arrived_->data_incarnation, arrived_->head, std::move(arrived_->state),
                             BootClock::now());
}

// Its files are seen to before another snapshot may come: they have the same names.
void CoreThread::end_arrival(std::function<Result<void>()> see_to_files) {
  store_thread_->run_soon([this, arrived = std::exchange(arrived_, {}),
                           see_to_files = std::move(see_to_files)]() mutable -> Result<void> {
    arrived.reset();
    if (Result<void> done = see_to_files(); !done) return done;
    post([this] { links_->arrival_over(); });
    return {};
  });
}

// What came takes room that the log may need.
void CoreThread::discard_arrival() {
  end_arrival([this]() -> Result<void> {
    if (const Result<void> cleared = directory_.clear_incoming(); !cleared) {
      notice(cleared.error().message);
    }
    return {};
  });
}

// The stores change places first; until then the log writes from the installation on wait here.
void CoreThread::install_if_due() {
  if (installing_ || log_writes_.empty()) return;
  const auto install = std::ranges::find_if(
      log_writes_, [](const auto& write) { return write.install.has_value(); });
  if (install == log_writes_.end() || install->ready_number == installed_by_) return;
  installing_ = true;
  installed_by_ = install->ready_number;
  store_thread_->replace(
      arrived_->store,
      [this, position = *install->install, store = arrived_->store] {
        const Result<void> installed = directory_.install(position);
        if (installed) store->moved_to(directory_.store());
        return installed;
      },
      [this] {
        post([this] {
          installing_ = false;
          write_log();
        });
      });
}

// The log has followed: what the snapshot replaced can go.
void CoreThread::finish_installation(std::uint64_t persisted) {
  if (installed_by_ == 0 || persisted < installed_by_) return;
  installed_by_ = 0;
  store_ = arrived_->store;
  end_arrival([this] { return directory_.end_installation(); });
  notice("a snapshot of another member was installed");
}

void CoreThread::notice(const std::string& text) const {
  if (notice_) notice_(text);
}

// What nobody waits for, such as a new commit index alone, goes along with the next write that must
// be synced: the log thread wakes half as often.
void CoreThread::write_log() {
  // An installation that has not begun or not ended, and what comes after it.
  const bool held = std::ranges::any_of(log_writes_, [this](const auto& write) {
    return write.install && write.ready_number != installed_by_;
  });
  if (installing_ || held) return;
  if (must_sync(log_writes_) || (stopping_ && !log_writes_.empty())) {
    log_thread_->write(std::exchange(log_writes_, {}));
  }
}

// Fail-stop: nothing is written, applied or answered with success any more. What was proposed may
// or may not be carried out after a restart, so its callers are told that time ran out.
void CoreThread::fail(const Error& error) {
  if (failure_) return;
  failure_ = error;
  log_writes_.clear();
  Result<void> marked;
  if (replica_->has_lost_log()) marked = directory_.mark_damaged(error.message);
  if (replica_->is_removed()) marked = directory_.mark_removed();
  if (!marked) notice(marked.error().message);
  ready_.store(false, std::memory_order_release);
  replica_->abandon(api::Refusal::timeout);
  carry_out(replica_->take_output());
  refuse_snapshots();
  close_streams();
  tell_failure(error);
}

void CoreThread::tell_failure(const Error& error) {
  if (!failure_told_.exchange(true)) on_failure_(error);
}

void CoreThread::close_streams() {
  for (const auto& [id, sink] : sinks_) sink.to->close(api::Refusal::stopped);
  sinks_.clear();
}

}  // namespace conclave::server
