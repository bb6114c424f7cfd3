#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace conclave::server {

// Takes the sending to many streams off the thread that has something for them, and decides when
// they may be given more.
//
// A response costs the transport much more than what is in it. When all watch streams together are
// sent more responses than a part of the machine can carry, streams wait a little for their next
// round, in which each watcher then gets several revisions in one response: more events in less
// time, and writes are not starved. Below that nobody waits.
//
// Threads: calls from any; what is handed over runs on the caller's or on one thread of its own.
class StreamPacer {
 public:
  using Work = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  // `response_cost`: the time from one response to the next, of all streams, that is sustained.
  explicit StreamPacer(Clock::duration response_cost = {});
  ~StreamPacer() { stop(); }
  StreamPacer(const StreamPacer&) = delete;
  StreamPacer& operator=(const StreamPacer&) = delete;

  // Runs `next` when the stream that has written `responses` may have its next round: now, mostly.
  void written(int responses, Work next);
  // Runs `work` soon, on the pacer's thread.
  void hand_over(Work work);
  // Drops what waits and whatever comes later. Not on the pacer's thread.
  void stop();

 private:
  void run();

  const Clock::duration response_cost_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Work> handed_over_;
  std::vector<Work> waiting_;
  int waiting_responses_ = 0;
  // When what was written so far will have been paid for.
  Clock::time_point paid_at_{};
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace conclave::server
