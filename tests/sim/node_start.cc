// What a start finds on the disk, and what it makes of it.
#include <algorithm>

#include "tests/sim/node.h"

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr char kLogDirectory[] = "log";
constexpr std::uint64_t kClusterId = 11;

}  // namespace

replica::Options SimNode::replica_options() {
  replica::Options options;
  options.cluster_id = kClusterId;
  const std::string name = "n" + std::to_string(id());
  options.self = {id(), name, {"http://" + name}, {"http://client." + name}};
  options.self.data_incarnation = data_incarnation_;
  options.initial_members = identity_.initial_members;
  options.joins = identity_.joins;
  options.repairs = repairing_;
  options.incarnation = random_.next() | 1;
  options.tick = kTick;
  options.election_ticks = kElectionTicks;
  options.request_timeout = 5s;
  options.kept_log_entries = site_.plan.kept_log_entries;
  options.batch_age = site_.plan.batch_age;
  options.quota_bytes = site_.plan.quota_bytes;
  options.progress_interval = 3s;
  return options;
}

wal::Options SimNode::log_options() const {
  wal::Options options;
  options.segment_bytes = 32 << 10;
  options.zero_ahead_bytes = 2 << 10;
  return options;
}

void SimNode::start() {
  if (state_ != State::stopped || removed_) return;
  const Result<raft::Index> applied = replica::StateMachine::stored_index(*storage_);
  CONCLAVE_CHECK(applied, "the simulated store can be read");
  wal::Options options = log_options();
  if (!installing_ && *applied > 0) options.must_reach = *applied;
  Result<wal::Recovered> recovered = wal::Log::open(*disk_, kLogDirectory, options);
  if (recovered && lost_nothing(*recovered)) {
    damaged_ = false;
    perhaps_overwritten_ = kNothing;
    return open(*std::move(recovered));
  }
  if (!recovered && recovered.error().code != Errc::corrupt) {
    disk_->kill_process();
    return retry_start(recovered.error());
  }
  if (!damaged_) {
    site_.trace.violation("node ", id(), " lost what its log had synced: ",
                          recovered ? "entries or a vote" : recovered.error().message);
  }
  if (recovered) recovered->log.reset();
  set_aside();
  start();
}

// A log that ends in damage cannot be told from one whose last write was torn, so what is missing
// is looked for here.
bool SimNode::lost_nothing(const wal::Recovered& recovered) const {
  const raft::HardState& found = recovered.hard_state;
  if (found.term < durable_hard_state_.term) return false;
  if (found.term == durable_hard_state_.term && durable_hard_state_.vote != 0 &&
      found.vote != durable_hard_state_.vote) {
    return false;
  }
  if (installing_) return true;  // the log is about to begin anew
  const raft::Index end = std::min<raft::Index>(durable_.terms.size(), perhaps_overwritten_);
  for (raft::Index index = recovered.previous_index + 1; index < end; ++index) {
    const std::uint64_t place = index - recovered.previous_index - 1;
    if (durable_.terms[index] == 0) continue;
    if (place >= recovered.entries.size() ||
        recovered.entries[place].term != durable_.terms[index]) {
      return false;
    }
  }
  return true;
}

// The node says what it lost, and gets everything anew.
void SimNode::set_aside() {
  site_.trace.note("node ", id(), " puts its damaged data aside");
  disk_ = std::make_unique<test::SimulatedDisk>();
  storage_ = std::make_shared<test::MemoryStorage>();
  damaged_ = installing_ = false;
  repairing_ = true;
  lost_ = std::exchange(durable_, {});
  durable_hard_state_ = {};
}

Result<void> SimNode::settle_log(wal::Recovered& recovered) {
  raft::LogPosition place;
  const bool untouched = recovered.previous_index == 0 && recovered.entries.empty() &&
                         recovered.hard_state == raft::HardState{};
  if (installing_) {
    replica::StateMachine state(*storage_);
    if (Result<void> loaded = state.load(); !loaded) return loaded;
    place = {state.applied_term(), state.applied_index()};
    if (recovered.previous_index == place.index) {
      installing_ = false;
      return {};
    }
  } else if (untouched && !identity_.joins && !repairing_) {
    place = {1, 1};
  } else {
    return {};
  }
  if (auto moved = recovered.log->restart_after(place.index, place.term); !moved) return moved;
  if (auto synced = recovered.log->sync(); !synced) return synced.error();
  installing_ = false;
  recovered.previous_index = place.index;
  recovered.previous_term = place.term;
  recovered.entries.clear();
  durable_.terms.assign(place.index + 1, 0);
  durable_.installed = place.index;
  return {};
}

// All that a log hands out when it is opened is on disk.
void SimNode::note_recovered(const wal::Recovered& recovered) {
  durable_hard_state_ = recovered.hard_state;
  durable_.terms.resize(recovered.previous_index + 1, 0);
  for (const raft::Entry& entry : recovered.entries) durable_.terms.push_back(entry.term);
}

void SimNode::open(wal::Recovered recovered) {
  if (Result<void> settled = settle_log(recovered); !settled) {
    recovered.log.reset();
    disk_->kill_process();
    return retry_start(settled.error());
  }
  note_recovered(recovered);
  auto replica = replica::Replica::create(replica_options(), *storage_,
                                          {recovered.hard_state,
                                           {recovered.previous_term, recovered.previous_index},
                                           std::move(recovered.entries)},
                                          Random(random_.next()), local_now());
  if (!replica) {
    return site_.trace.violation("node ", id(), " does not start: ", replica.error().message);
  }
  log_ = std::move(recovered.log);
  replica_ = *std::move(replica);
  ++life_;
  state_ = State::running;
  seen_ = 0;
  next_tick_ = steady_now() + site_.world.between(0ms, kTick);
  site_.trace.note("node ", id(), " starts at ", replica_->state().applied_index(), ", log to ",
                   replica_->raft().log().last_index(), repairing_ ? ", to be repaired" : "");
  wake();
}

void SimNode::retry_start(const Error& error) {
  site_.trace.note("node ", id(), " is to start again: ", error.message);
  site_.world.after(site_.world.between(50ms, 2s), [this, life = life_] {
    if (life == life_) start();
  });
}

void SimNode::damage_log() {
  const auto names = disk_->model().list(kLogDirectory);
  if (state_ != State::stopped || names.empty()) return;
  const std::string path = std::string(kLogDirectory) + "/" + names[random_.below(names.size())];
  const std::uint64_t bytes = disk_->model().contents(*disk_->model().find(path)).size();
  if (bytes == 0) return;
  // Where records are: the rest of a segment is zeros, in which a bit means nothing.
  const std::uint64_t bit = random_.below(std::min<std::uint64_t>(bytes, 8 << 10) * 8);
  disk_->flip_bit(path, bit);
  damaged_ = true;
  site_.trace.note("node ", id(), " has bit ", bit, " of ", path, " flipped");
}

// Another disk: the member has forgotten everything, and says so by its data's incarnation.
void SimNode::wipe() {
  if (state_ != State::stopped) return;
  disk_ = std::make_unique<test::SimulatedDisk>();
  storage_ = std::make_shared<test::MemoryStorage>();
  data_incarnation_ = random_.next() | 1;
  wiped_ = true;
  installing_ = repairing_ = damaged_ = false;
  lost_ = std::exchange(durable_, {});
  durable_hard_state_ = {};
  site_.trace.note("node ", id(), " is wiped");
}

}  // namespace conclave::sim
