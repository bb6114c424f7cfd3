#pragma once

#include <memory>
#include <string>

#include "conclave/session/turn_core.h"

#include "tests/sim/turn_checker.h"
#include "tests/sim/user_process.h"

namespace conclave::sim {

// A contender for locks, again and again.
class LockProcess final : public UserProcess {
 public:
  LockProcess(Cluster& cluster, TurnChecker& checker) : UserProcess(cluster), checker_(checker) {}

 private:
  void act() override;
  void act_again();
  void contend();
  void work(int writes_left);
  void write(int writes_left);
  void release();

  TurnChecker& checker_;
  std::string name_;
  std::shared_ptr<session::TurnCore> turn_;
};

// The contenders of a run.
class LockClients {
 public:
  LockClients(Cluster& cluster, TurnChecker& checker)
      : cluster_(cluster), checker_(checker), processes_(cluster) {}

  void start();
  void heal() { processes_.heal(); }
  // They release what they have; whoever cannot is ended.
  void stop();

 private:
  Cluster& cluster_;
  TurnChecker& checker_;
  UserProcesses processes_;
};

}  // namespace conclave::sim
