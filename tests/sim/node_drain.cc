// The end of a process that was told to stop, as the server's core thread has it.
#include "tests/sim/cluster.h"
#include "tests/sim/node.h"

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration kPatience = 10s;

}  // namespace

void SimNode::drain() {
  if (state_ == State::stopped || drain_) return;
  site_.trace.note("node ", id(), " is told to stop");
  drain_ = Drain{site_.world.now()};
  post([this] { replica_->drain(); });
}

bool SimNode::drained() {
  if (site_.world.now() - drain_->began >= kPatience) return true;
  if (!replica_->idle()) return false;
  drain_->served = true;
  return replica_->settled();
}

void SimNode::end_drained() {
  const bool in_time = replica_->idle() && replica_->settled();
  const DrainEnd end{id(), in_time, drain_->unknown, tickets_.size(),
                     site_.world.now() - drain_->began};
  replica_->abandon(api::Refusal::timeout);
  drain_->ends = true;
  carry_out(replica_->take_output());
  site_.drained(end);
  finish_drain();
}

// What was given to the log and the store is written yet.
void SimNode::finish_drain() {
  if (!drain_ || !drain_->ends || log_busy_ || store_busy_) return;
  site_.trace.note("node ", id(), " has stopped");
  disk_->kill_process();
  end_process();
  site_.world.after(site_.world.between(10ms, 1s), [this, life = life_] {
    if (life == life_) start();
  });
}

}  // namespace conclave::sim
