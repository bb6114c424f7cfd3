// The log's and the store's threads, as jobs on virtual time.
#include <algorithm>

#include "tests/sim/node.h"

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kNever = std::uint64_t{1} << 60;
constexpr std::uint64_t kCallsOfAJob = 6;
constexpr Duration kUsualJobMax = 1500us;

}  // namespace

void SimNode::run_later(Duration delay, Event job) {
  site_.world.after(delay, [this, life = life_, job = std::move(job)] {
    if (life != life_) return;
    if (state_ == State::paused) {
      held_jobs_.push_back(job);
    } else {
      job();
    }
  });
}

Duration SimNode::job_time() {
  const bool slow = slow_job_max_ > Duration(0) && site_.world.chance(1, 3);
  return slow ? site_.world.between(1ms, slow_job_max_) : site_.world.between(100us, kUsualJobMax);
}

void SimNode::begin_log_job() {
  if (log_busy_ || (log_queue_.empty() && !release_)) return;
  const bool installs =
      std::ranges::any_of(log_queue_, [](const auto& write) { return write.install.has_value(); });
  // What was given to the old store comes first.
  if (installs && store_busy_) return;
  log_busy_ = true;
  log_job_ = std::exchange(log_queue_, {});
  const Duration time = job_time();
  log_slow_ = time > kUsualJobMax;
  run_later(time, [this] { finish_log_job(); });
}

void SimNode::finish_log_job() {
  log_busy_ = false;
  Result<void> done = do_log_job();
  if (done && !log_job_.empty()) {
    post([this, number = log_job_.back().ready_number] { replica_->log_persisted(number); });
  }
  log_job_.clear();
  if (done) done = log_->prepare_next_segment();
  if (const auto release = std::exchange(release_, std::nullopt); done && release) {
    done = log_->release(*release);
  }
  if (!done) return fail(done.error(), disk_trouble_);
  begin_log_job();
  finish_drain();
}

Result<void> SimNode::do_log_job() {
  bool must_sync = false;
  // As long as it is not done, nobody knows what of it is on disk.
  for (const auto& write : log_job_) {
    if (write.install) perhaps_overwritten_ = 0;
    if (write.entries.empty()) continue;
    perhaps_overwritten_ = std::min(perhaps_overwritten_, write.entries.front().index);
  }
  for (const auto& write : log_job_) {
    if (write.install) {
      if (auto installed = install(*write.install); !installed) return installed;
    }
    if (auto appended = log_->append(write.entries, write.hard_state); !appended) return appended;
    must_sync = must_sync || write.must_sync;
  }
  if (!must_sync) return {};
  if (Result<raft::Index> synced = log_->sync(); !synced) return synced.error();
  for (const auto& write : log_job_) note_durable(write);
  perhaps_overwritten_ = kNothing;
  return {};
}

// The store's new file takes its name first; a start that finds it so puts the log right.
Result<void> SimNode::install(const raft::LogPosition& place) {
  CONCLAVE_CHECK(arrived_storage_ != nullptr, "only what has arrived is installed");
  site_.trace.note("node ", id(), " installs the snapshot of ", place.index);
  old_storage_ = std::exchange(storage_, std::exchange(arrived_storage_, nullptr));
  installing_ = true;
  durable_.installed = place.index;
  return log_->restart_after(place.index, place.term);
}

void SimNode::note_durable(const replica::Output::LogWrite& write) {
  if (write.install) {
    installing_ = false;
    durable_.terms.assign(write.install->index + 1, 0);
  }
  for (const raft::Entry& entry : write.entries) {
    durable_.terms.resize(entry.index, 0);
    durable_.terms.push_back(entry.term);
  }
  if (write.hard_state) durable_hard_state_ = *write.hard_state;
}

bool SimNode::has_durable(raft::Index index, raft::Term term) const {
  return durable_.has(index, term) || lost_.has(index, term);
}

void SimNode::begin_store_job() {
  if (store_busy_ || (store_job_ == nullptr && !defragmentation_)) return;
  store_busy_ = true;
  run_later(job_time(), [this] { finish_store_job(); });
}

void SimNode::finish_store_job() {
  store_busy_ = false;
  if (const auto batch = std::exchange(store_job_, nullptr)) {
    if (Result<void> committed = storage_->commit(*batch); !committed) {
      return fail(committed.error(), false);
    }
    post([this] {
      replica_->batch_committed(storage_->size_bytes(), storage_->size_in_use_bytes());
    });
  } else if (std::exchange(defragmentation_, false)) {
    post([this, done = site_.world.chance(4, 5)] {
      replica_->defragmented(done, storage_->size_bytes(), storage_->size_in_use_bytes());
    });
  }
  begin_store_job();
  begin_log_job();
  finish_drain();
}

// The end of the process finds a job at any place of its work.
void SimNode::cut_jobs_short() {
  if (log_busy_ && !log_job_.empty() && site_.world.chance(2, 3)) {
    const auto how = site_.world.chance(1, 2) ? test::SimulatedDisk::Fault::short_write
                                              : test::SimulatedDisk::Fault::io_error;
    disk_->fail_call(random_.below(kCallsOfAJob), how);
    const Result<void> ignored = do_log_job();
    site_.trace.note("node ", id(), ignored ? " had just written" : " was writing");
    disk_->fail_call(kNever, how);
  }
  if (store_busy_ && store_job_ != nullptr && site_.world.chance(1, 2)) {
    const Result<void> ignored = storage_->commit(*store_job_);
    CONCLAVE_CHECK(ignored, "the simulated store takes every batch");
  }
}

void SimNode::fail_next_sync() {
  if (state_ == State::stopped) return;
  disk_trouble_ = true;
  disk_->fail_call(random_.below(kCallsOfAJob), test::SimulatedDisk::Fault::io_error);
}

void SimNode::fill_disk() {
  disk_trouble_ = true;
  disk_->limit_size(1);
}

void SimNode::free_disk() {
  disk_trouble_ = false;
  disk_->limit_size(kNever);
  disk_->fail_call(kNever, test::SimulatedDisk::Fault::io_error);
}

}  // namespace conclave::sim
