#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conclave/election/election.h"
#include "conclave/election/observer_core.h"
#include "conclave/session/turn_core.h"

#include "tests/sim/turn_checker.h"
#include "tests/sim/user_process.h"

namespace conclave::sim {

// Who led from which revision on, and with which value, by the one history.
class ElectionHistory {
 public:
  explicit ElectionHistory(Cluster& cluster) : cluster_(cluster) {}

  // Follows the history from now on.
  void start();
  const std::vector<LeaderChange>& changes() const { return changes_; }
  // How many of the changes were at or before this revision.
  std::size_t count_up_to(std::int64_t revision) const;

 private:
  void changed();

  Cluster& cluster_;
  std::int64_t seen_ = 1;
  std::map<std::int64_t, Leader> candidates_;  // by create revision
  std::vector<LeaderChange> changes_;
};

// A candidate: campaigns, leads for a while, proclaims and writes under its fence, resigns.
class Candidate final : public UserProcess {
 public:
  Candidate(Cluster& cluster, TurnChecker& checker, Instant& last_led, int number)
      : UserProcess(cluster), checker_(checker), last_led_(last_led), number_(number) {}

 private:
  void act() override;
  void act_again();
  void campaign();
  void lead(int acts_left);
  void proclaim(int acts_left);
  void write(int acts_left);
  void commit(GuardedTxn txn, int acts_left);
  void resign();
  std::string new_value();

  TurnChecker& checker_;
  Instant& last_led_;  // of all candidates
  const int number_;
  int values_ = 0;
  std::shared_ptr<session::TurnCore> turn_;
};

// Follows the election with the library's own observer, and holds what it says against the history:
// - The first thing it hears is how matters stood at some revision, and so is what comes after a
//   gap; a gap there is only where something was compacted.
// - From there on it hears every change, each once, in order, as it was; also where it goes on from
//   the revision that another observer had come to.
class ObserverProcess final : public UserProcess {
 public:
  ObserverProcess(Cluster& cluster, const ElectionHistory& history)
      : UserProcess(cluster), history_(history) {}
  ~ObserverProcess() override;

  // It begins no new observation.
  void settle() { settled_ = true; }
  void check_complete() const;
  std::uint64_t heard_count() const { return heard_count_; }

 private:
  void act() override;
  void begin(std::int64_t after);
  void hear(const LeaderChange& change);

  const ElectionHistory& history_;
  std::shared_ptr<election::ObserverCore> observer_;
  bool knows_ = false;    // how matters stood at last_revision_
  std::size_t next_ = 0;  // of the history's changes
  std::int64_t last_revision_ = 0;
  std::uint64_t heard_count_ = 0;
  bool settled_ = false;
};

// The election of a run: who stands in it, and who watches.
class ElectionClients {
 public:
  ElectionClients(Cluster& cluster, TurnChecker& checker)
      : cluster_(cluster),
        checker_(checker),
        history_(cluster),
        candidates_(cluster),
        observers_(cluster) {}

  void start();
  void heal();
  // Candidates give up what they have; observers listen on.
  void stop();
  void check_progress(Instant since) const;
  void check_complete() const;
  std::uint64_t change_count() const { return history_.changes().size(); }
  std::uint64_t heard_count() const;

 private:
  Cluster& cluster_;
  TurnChecker& checker_;
  ElectionHistory history_;
  UserProcesses candidates_;
  UserProcesses observers_;
  std::vector<ObserverProcess*> listeners_;
  Instant last_led_{};
  int count_ = 0;
};

}  // namespace conclave::sim
