#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conclave/client/types.h"
#include "conclave/session/session_core.h"
#include "conclave/session/turn_core.h"

#include "tests/support/model_client.h"
#include "tests/support/sim_world.h"

namespace conclave::sim {

// What a run counted, to see that it was worth something.
struct Tally {
  int granted = 0;
  int would_block = 0;
  int timed_out = 0;
  int cancelled = 0;
  int taken = 0;  // not_held, session_lost: of waits and of turns
  int failed = 0;
  int writes = 0;
  int writes_refused = 0;
  int sessions_lost = 0;
};

// Knows the store's true state and holds what the processes believe against it.
//
// Checked at every event of the run:
// - A turn that is held and valid() by its process's own clock has its key in the store, at its
//   fence, at the head of the queue. As there is one head, no two are ever valid at once, whoever
//   else queues. Paused processes are no exception: their clocks go on. Not held against it: keys
//   that an operator deleted and leases that one revoked, which nothing announces.
// - A turn that is granted had its key at the head of the queue at some time.
// - A guarded write gets through only while its fence is the head's, so fences never go back.
// - A release that was acknowledged left no key.
class Checker {
 public:
  Checker(ModelServer& server, std::vector<std::string> names);

  void granted(const std::string& name, const std::shared_ptr<session::TurnCore>& turn);
  void released(const session::TurnCore& turn, const Result<void>& result);
  void check_held();
  void operator_deletes(const KeyValue& kv);
  void operator_revokes(LeaseId id);
  void fail(const std::string& what);

  // The contender with the lowest create revision; nullptr: none.
  const KeyValue* head(const std::string& name) const;
  const std::vector<std::string>& violations() const { return violations_; }
  Tally tally;

 private:
  void changed(const std::vector<Event>& events);

  ModelServer& server_;
  std::vector<std::string> names_;
  std::vector<std::pair<std::string, std::weak_ptr<session::TurnCore>>> held_;
  std::set<std::int64_t> were_head_;  // create revisions
  std::set<std::int64_t> broken_;     // create revisions
  std::map<std::string, std::int64_t> last_fence_;
  std::vector<std::string> violations_;
};

// The key that guarded writes under a name go to; their value is the fence.
std::string resource_of(const std::string& name);

// What is true of all processes of a run.
struct Setting {
  World& world;
  ModelServer& server;
  Checker& checker;
  std::vector<std::string> names;
  bool calm = false;
  bool ending = false;  // nothing new is begun
};

// One process: a clock, a connection, a session after the other, and contenders that share it.
class Process {
 public:
  Process(Setting& setting, Weather weather);

  void start();
  bool idle() const;
  SimExecutor& executor() { return executor_; }
  ModelClient& client() { return client_; }

 private:
  // One thread of control: waits for turns, works, releases, again and again.
  struct Worker {
    bool busy = false;
    int writes_left = 0;
    std::string name;
    std::shared_ptr<session::TurnCore> turn;
  };

  void with_session(std::function<void()> then);
  void act(Worker& worker);
  void pause_then_act(Worker& worker);
  void on_result(Worker& worker, const Result<void>& result);
  void work(Worker& worker);
  void write(Worker& worker);
  void release(Worker& worker);

  Setting& setting_;
  World& world_;
  SimExecutor executor_;
  ModelClient client_;
  session::SessionConfig config_;
  std::shared_ptr<session::SessionCore> session_;
  bool opening_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
};

// Contends as etcdctl and Go's concurrency package do: one key `<name>/<lease-hex>`, the lowest
// create revision has it, erased by name.
class ForeignContender {
 public:
  ForeignContender(Setting& setting, LeaseId lease) : setting_(setting), lease_(lease) {}

  void start();

 private:
  void enter();
  void poll();
  void leave();

  Setting& setting_;
  LeaseId lease_;
  std::string key_;
  std::string name_;
  bool dead_ = false;
};

struct Outcome {
  std::vector<std::string> violations;
  Tally tally;
};

// A whole run. `calm`: no faults at all, and then no session may be lost and no write refused.
Outcome run_lock_simulation(std::uint64_t seed, bool calm = false);

}  // namespace conclave::sim
