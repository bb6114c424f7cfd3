#include <chrono>
#include <memory>
#include <optional>

#include "conclave/base/clock.h"
#include "conclave/client/client.h"
#include "conclave/election/election.h"
#include "conclave/master_slave/lines.h"
#include "conclave/master_slave/report.h"
#include "conclave/master_slave/roles.h"

namespace master_slave {
namespace {

using conclave::BootClock;
using conclave::Client;
using conclave::Election;
using conclave::Errc;
using conclave::Instant;
using conclave::LeaderChange;
using conclave::Observer;
using conclave::Result;

class Slave {
 public:
  // Tells the election's changes and the heartbeats apart by time: the observer is waited for until
  // the next heartbeat is due.
  int run(Client& client) {
    Observer observer = Election::observe(client, kElectionName);
    for (;;) {
      const Result<LeaderChange> change = observer.next({}, next_beat_);
      if (change) {
        follow(*change);
      } else if (change.error().code != Errc::timed_out) {
        report("error", change.error().message);
        return 1;
      }
      if (BootClock::now() >= next_beat_) beat();
    }
  }

 private:
  void follow(const LeaderChange& change) {
    const std::int64_t fence = change.leader ? change.leader->fence.revision : 0;
    if (fence == fence_) return;  // the same leader has proclaimed another value
    fence_ = fence;
    leader_ = change.leader ? std::make_unique<LineClient>(change.leader->value) : nullptr;
  }

  void beat() {
    const Instant asked = BootClock::now();
    next_beat_ = asked + kHeartbeatInterval;
    if (leader_answers()) {
      const Instant now = BootClock::now();
      if (heard_fence_ != fence_) {
        const Instant since = last_answer_.value_or(now);
        report("hears", fence_, std::chrono::round<std::chrono::milliseconds>(now - since).count());
      }
      heard_fence_ = fence_;
      last_answer_ = now;
    } else if (heard_fence_ != 0) {
      report("silence");
      heard_fence_ = 0;
    }
  }

  // A process that answers need not lead any more: what counts is the fence in its answer.
  bool leader_answers() {
    if (leader_ == nullptr) return false;
    const Result<std::string> answer = leader_->ask("heartbeat", kHeartbeatTimeout);
    return answer && *answer == "fence " + std::to_string(fence_);
  }

  std::unique_ptr<LineClient> leader_;  // null: nobody leads
  std::int64_t fence_ = 0;              // of the leader that the election names; 0: nobody
  std::int64_t heard_fence_ = 0;        // of the leader that answered last; 0: silence
  std::optional<Instant> last_answer_;
  Instant next_beat_ = BootClock::now();
};

}  // namespace

int run_slave(const std::string& endpoint) {
  Result<Client> client = Client::connect({.endpoints = {endpoint}});
  if (!client) {
    report("error", client.error().message);
    return 1;
  }
  return Slave().run(*client);
}

}  // namespace master_slave
