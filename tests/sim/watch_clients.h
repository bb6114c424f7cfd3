#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/sim/cluster.h"

namespace conclave::sim {

// Watches a prefix through one member after another, each time from where it was, and holds what
// comes against the history: every event once, in order, revisions never split, none left out;
// progress only over what was told; compacted only what is compacted.
class WatchClient {
 public:
  WatchClient(Cluster& cluster, std::string prefix);

  void start();
  void stop() { stopped_ = true; }  // stays where it is
  // Everything that ever happened was told.
  void check_complete() const;
  std::uint64_t event_count() const { return event_count_; }

 private:
  void open();
  void leave();
  void on_response(const etcdserverpb::WatchResponse& response);
  void check_events(const etcdserverpb::WatchResponse& response);
  void check_previous(const mvccpb::Event& event) const;
  bool matches(const mvccpb::Event& event) const { return event.kv().key().starts_with(prefix_); }

  Cluster& cluster_;
  const std::string prefix_;
  std::string prefix_end_;
  SimNode* node_ = nullptr;
  replica::StreamId stream_ = 0;
  std::uint64_t turn_ = 0;  // grows with each stream
  std::int64_t next_ = 1;
  std::uint64_t event_count_ = 0;
  bool stopped_ = false;
};

}  // namespace conclave::sim
