#include "tests/sim/node.h"

#include <algorithm>

#include "tests/sim/cluster.h"

namespace conclave::sim {

using namespace std::chrono_literals;

SimNode::SimNode(Site& site, Identity identity)
    : site_(site),
      identity_(std::move(identity)),
      random_(site.world.random().next()),
      clock_(site.world.now(), site.world.between(0s, 1000s),
             site.plan.has(Fault::clock_drift)
                 ? static_cast<std::int64_t>(site.world.random().below(20'001)) - 10'000
                 : 0),
      disk_(std::make_unique<test::SimulatedDisk>()),
      storage_(std::make_shared<test::MemoryStorage>()),
      data_incarnation_(random_.next() | 1) {}

void SimNode::post(Event event) {
  if (replica_ == nullptr) return;
  events_.push_back(std::move(event));
  wake();
}

void SimNode::wake() {
  if (state_ == State::running) plan_step(site_.world.between(5us, 50us));
}

void SimNode::plan_step(Duration delay) {
  const Instant when = site_.world.now() + delay;
  if (next_step_ && *next_step_ <= when) return;
  next_step_ = when;
  site_.world.at(when, [this, timer = ++timer_, life = life_] {
    if (timer != timer_ || life != life_) return;
    next_step_.reset();
    if (state_ == State::running && !(drain_ && drain_->ends)) step();
  });
}

void SimNode::step() {
  const Instant now = local_now();
  for (Event& event : std::exchange(events_, {})) event();
  const Instant steady = steady_now();
  if (steady >= next_tick_) {
    // After a stall, missed ticks are not made up for.
    next_tick_ = std::max(next_tick_ + kTick, steady);
    replica_->tick(now);
  }
  if (drain_) replica_->flush();
  const Result<void> processed = replica_->process(now);
  site_.ledger.observe(id(), *replica_, seen_);
  if (!processed) {
    removed_ = replica_->is_removed();
    // A member whose data was wiped is told by the others that it has lost something.
    return fail(processed.error(), removed_ || wiped_);
  }
  if (repairing_ && replica_->is_repaired()) {
    repairing_ = false;
    lost_ = {};
    site_.trace.note("node ", id(), " counts again");
  }
  carry_out(replica_->take_output());
  if (drain_ && drained()) return end_drained();
  plan_next_step();
}

void SimNode::plan_next_step() {
  if (state_ != State::running) return;
  Duration local = next_tick_ - steady_now();
  if (replica_->has_more()) {
    local = Duration(0);
  } else if (const auto deadline = replica_->next_deadline()) {
    local = std::min(local, *deadline - local_now());
  }
  plan_step(std::max<Duration>(clock_.in_truth(local), 10us));
}

void SimNode::carry_out(replica::Output output) {
  for (auto& write : output.log_writes) log_writes_.push_back(std::move(write));
  if (output.batch != nullptr) store_job_ = std::move(output.batch);
  defragmentation_ = defragmentation_ || output.defragment;
  if (output.release_log) release_ = output.release_log;
  for (replica::Output::PeerMessage& message : output.to_peers) {
    site_.network.send(id(), message.to, data_incarnation_, encode(message.content));
  }
  for (replica::Output::Snapshot& snapshot : output.snapshots) send_snapshot(std::move(snapshot));
  if (output.discard_arrived) arrived_storage_.reset();
  for (const replica::Answer& answer : output.answers) {
    const auto ticket = tickets_.extract(answer.id);
    CONCLAVE_CHECK(!ticket.empty(), "an answer to a request that does not wait");
    if (answer.held != nullptr) replica_->response_sent(answer.held_bytes);
    if (drain_ && answer.refusal && !surely_not_done(*answer.refusal)) ++drain_->unknown;
    ticket.mapped()->finish(answer.refusal);
  }
  for (const replica::WatchDelivery& delivery : output.deliveries) {
    const auto sink = sinks_.find(delivery.stream);
    if (sink == sinks_.end()) continue;
    const auto message = sink->second.message;
    for (const api::WatchMessage& each : delivery.batch.messages) message(each.decode());
    const Duration reading = site_.world.between(0us, site_.world.chance(1, 50) ? 500ms : 2ms);
    run_later(reading, [this, stream = delivery.stream] {
      post([this, stream] { replica_->watches().acknowledge(stream); });
    });
  }
  // What nobody waits for goes along with the next write that must be synced.
  const bool must_sync =
      std::ranges::any_of(log_writes_, [](const auto& write) { return write.must_sync; });
  if (must_sync || drain_) {
    for (auto& write : std::exchange(log_writes_, {})) log_queue_.push_back(std::move(write));
  }
  begin_store_job();
  begin_log_job();
}

// Fail-stop: the process ends, and whoever looks after it starts it again.
void SimNode::fail(const Error& error, bool expected) {
  if (expected) {
    site_.trace.note("node ", id(), " stops: ", error.message);
  } else {
    site_.trace.violation("node ", id(), " stops: ", error.message);
  }
  disk_->kill_process();
  end_process();
  if (!removed_) retry_start(error);
}

void SimNode::kill() {
  if (state_ == State::stopped) return;
  site_.trace.note("node ", id(), " is killed");
  cut_jobs_short();
  disk_->kill_process();
  end_process();
}

void SimNode::power_cut() {
  if (state_ == State::stopped) return;
  site_.trace.note("node ", id(), " loses power");
  cut_jobs_short();
  disk_->power_cut(random_);
  storage_->power_cut(random_);
  end_process();
}

void SimNode::decommission() {
  kill();
  removed_ = true;
}

void SimNode::end_process() {
  ++life_;
  state_ = State::stopped;
  links_broken_ = false;
  next_step_.reset();
  drain_.reset();
  events_.clear();
  tickets_.clear();
  log_writes_.clear();
  log_queue_.clear();
  log_job_.clear();
  release_.reset();
  log_busy_ = false;
  store_job_.reset();
  store_busy_ = false;
  defragmentation_ = false;
  held_jobs_.clear();
  replica_.reset();
  log_.reset();
  incoming_ = 0;
  incoming_reader_.reset();
  incoming_storage_.reset();
  arrived_storage_.reset();
  old_storage_.reset();
  for (auto& [id, sink] : std::exchange(sinks_, {})) sink.closed();
  if (site_.process_ended) site_.process_ended(id());
}

void SimNode::pause(bool links_break) {
  if (state_ != State::running) return;
  site_.trace.note("node ", id(), " is paused", links_break ? ", and its links break" : "");
  state_ = State::paused;
  links_broken_ = links_break;
}

void SimNode::resume() {
  if (state_ != State::paused) return;
  site_.trace.note("node ", id(), " goes on");
  state_ = State::running;
  links_broken_ = false;
  next_step_.reset();
  wake();
  for (Event& job : std::exchange(held_jobs_, {})) job();
}

void SimNode::jump_clock(Duration ahead) {
  clock_.jump(ahead);
  jumped_ += ahead;
}

void SimNode::receive(raft::NodeId from, std::uint64_t data_incarnation, const std::string& bytes) {
  if (replica_ == nullptr) return;
  if (links_broken_) return site_.network.report_loss(from, id());
  std::optional<replica::PeerContent> content = replica::decode_peer_content(bytes);
  if (!content) return site_.trace.violation("a message of node ", from, " cannot be read");
  post([this, from, data_incarnation,
        content = std::make_shared<replica::PeerContent>(*std::move(content))] {
    if (drain_ && drain_->served) return;
    replica_->receive(from, data_incarnation, std::move(*content), local_now());
  });
}

void SimNode::peer_unreachable(raft::NodeId peer) {
  post([this, peer] { replica_->peer_unreachable(peer); });
}

void SimNode::peer_gone(raft::NodeId peer) {
  post([this, peer] { replica_->peer_gone(peer, local_now()); });
}

replica::StreamId SimNode::open_stream(StreamSink sink) {
  const replica::StreamId stream = next_stream_++;
  if (replica_ == nullptr) return 0;
  sinks_[stream] = std::move(sink);
  post([this, stream] { replica_->watches().open(stream); });
  return stream;
}

void SimNode::create_watch(replica::StreamId stream, etcdserverpb::WatchCreateRequest request) {
  post([this, stream, request = std::move(request)] {
    replica_->watches().create(stream, request);
  });
}

void SimNode::cancel_watch(replica::StreamId stream, std::int64_t watch_id) {
  post([this, stream, watch_id] { replica_->watches().cancel(stream, watch_id); });
}

void SimNode::request_progress(replica::StreamId stream) {
  post([this, stream] { replica_->watches().request_progress(stream); });
}

void SimNode::close_stream(replica::StreamId stream) {
  sinks_.erase(stream);
  post([this, stream] { replica_->watches().close(stream); });
}

}  // namespace conclave::sim
