#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "conclave/client/core.h"
#include "conclave/session/session_core.h"

#include "tests/sim/channel.h"
#include "tests/sim/cluster.h"

namespace conclave::sim {

// One process of a user: its own clock, the real client on its own channels, and, if it asks for
// one, a session after the other. What it does is act(), again and again.
//
// Lifetime: it must outlive the world's events.
class UserProcess {
 public:
  explicit UserProcess(Cluster& cluster);
  virtual ~UserProcess() = default;
  UserProcess(const UserProcess&) = delete;
  UserProcess& operator=(const UserProcess&) = delete;

  void start();
  // It gives back what it holds.
  void stop() { stopped_ = true; }
  SimExecutor& executor() { return executor_; }
  SimChannels& channels() { return channels_; }

 protected:
  // Once for each act_later(), until it is stopped; then finish(), once.
  virtual void act() = 0;
  virtual void finish();

  void act_later(Duration at_least, Duration at_most);
  // If not, one is being opened, or that failed.
  bool has_session();

  Cluster& cluster_;
  SimExecutor executor_;
  SimChannels channels_;
  std::unique_ptr<client::StoreCore> store_;
  session::SessionConfig config_;
  std::shared_ptr<session::SessionCore> session_;

 private:
  bool opening_ = false;
  bool stopped_ = false;
};

// Processes of one kind, and what befalls them: they are paused and cut off, and crash.
class UserProcesses {
 public:
  using Make = std::function<std::unique_ptr<UserProcess>()>;
  explicit UserProcesses(Cluster& cluster) : cluster_(cluster) {}

  // One more, in whose place another comes when it crashes.
  void add(Make make);
  void begin_strikes();
  // Nothing holds up any of them any more.
  void heal();
  void stop();
  void crash();

 private:
  struct Place {
    Make make;
    std::unique_ptr<UserProcess> process;
  };
  void strike();

  Cluster& cluster_;
  std::vector<Place> places_;  // also those of processes that have crashed
};

}  // namespace conclave::sim
