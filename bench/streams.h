#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/bench/event_loop.h"
#include "conclave/bench/rig.h"
#include "conclave/bench/statistics.h"

namespace conclave::bench {

// Watchers on streams of the rig's connections, which count what comes.
//
// Caveat: like every handler it must outlive the rig's connections (HangUp).
class Watchers {
 public:
  explicit Watchers(Rig& rig);
  ~Watchers();

  // One more stream with `count` equal watchers.
  void add_stream(std::size_t connection, int count,
                  const etcdserverpb::WatchCreateRequest& request);
  // Until the server has confirmed them all.
  Result<void> wait_until_created(std::chrono::seconds limit);
  // Called with each response that has events.
  void on_response(std::function<void(std::string_view)> callback) {
    callback_ = std::move(callback);
  }

  std::int64_t count() const { return wanted_; }
  std::int64_t events() const { return events_; }
  bool is_failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }

 private:
  class Stream;

  Rig& rig_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::function<void(std::string_view)> callback_;
  std::int64_t wanted_ = 0;
  std::int64_t created_ = 0;
  std::int64_t events_ = 0;
  std::string error_;
};

// Leases 1 to N of which each is renewed on its own stream out of many.
//
// Caveat: like every handler it must outlive the rig's connections (HangUp).
class Renewals {
 public:
  Renewals(Rig& rig, std::size_t first_connection, std::size_t connections, std::size_t streams);
  ~Renewals();

  // May grow while they are kept alive.
  void set_leases(std::int64_t count) { leases_ = count; }
  // Renews `count` leases, those whose turn it is.
  void renew(std::int64_t count);
  // All leases evenly, each once in so many seconds; until stop().
  void start(double period_seconds);
  void stop() { pacer_.reset(); }

  bool is_settled() const { return answered_ == sent_; }
  bool is_failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }
  std::int64_t answered() const { return answered_; }
  std::int64_t lost() const { return lost_; }  // answered with "there is no such lease"
  LatencyHistogram& latencies() { return latencies_; }
  void clear();

 private:
  class Stream;

  Rig& rig_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::optional<Pacer> pacer_;
  std::int64_t leases_ = 0;
  std::int64_t last_ = 0;  // the lease that was renewed last
  std::int64_t sent_ = 0;
  std::int64_t answered_ = 0;
  std::int64_t lost_ = 0;
  double owed_ = 0;  // the part of a renewal that a tick has left over
  LatencyHistogram latencies_;
  std::string error_;
};

}  // namespace conclave::bench
