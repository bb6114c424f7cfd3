#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "conclave/transport/channels.h"
#include "conclave/transport/event_loop.h"
#include "conclave/transport/handshake.h"
#include "conclave/transport/lane_queue.h"
#include "conclave/transport/redial.h"

namespace conclave::transport {

// One lane to one peer: a stream that is dialled again for as long as the lane is open.
//
// Threads: send() from any thread, which also does the first write after a silence: handing it to
// the loop's thread would cost more than the write. Everything else on the loop's thread.
class OutgoingLane final : public std::enable_shared_from_this<OutgoingLane> {
 public:
  // Told on the loop's thread.
  class Owner {
   public:
    // `address`: where the peer was reached, as gRPC writes it.
    virtual void lane_opened(const std::string& address) = 0;
    virtual void lane_broken() = 0;
    // Several tries came to nothing; see Events::not_reached().
    virtual void lane_not_opened(const std::string& reason) = 0;
    virtual void lane_refused(const LinkRefusal& refusal) = 0;

   protected:
    ~Owner() = default;
  };

  struct Settings {
    Hello hello;
    std::uint64_t waiting_bytes_max = 0;
    std::chrono::milliseconds dial_timeout{};
    Redial::Pauses pauses{};
  };

  // One channel for each of the peer's URLs, at least one.
  OutgoingLane(EventLoop& loop, Settings settings,
               std::vector<std::shared_ptr<grpc::Channel>> channels, std::weak_ptr<Owner> owner);

  void dial();
  // The peer seems to be there: dials now, if a pause is under way.
  void hurry();
  void close();

  // False: there is no link, or too much waits; the packet is dropped.
  bool send(std::string packet);

  // Which of the channels is in use, or tried next. Any thread.
  std::size_t channel_index() const { return channel_index_.load(); }

 private:
  class Call;

  // After so many tries that took too long, those that follow do not wait for a connection and so
  // say why there is none: one for each of the channels.
  static constexpr std::size_t kTriesUntilExplained = 3;
  // What one message carries at most, unless a single packet has more.
  static constexpr std::uint64_t kBatchBytesMax = 1024 * 1024;

  void write_batch(std::unique_lock<std::mutex> lock);
  void dial_after(std::chrono::milliseconds pause);

  void call_accepted(Call& call);
  void call_ending();  // nothing more may be written
  void batch_written(bool ok);
  void call_ended(const grpc::Status& status);
  bool is_writing();
  void explain(const std::string& reason);

  EventLoop& loop_;
  const Settings settings_;
  const std::vector<std::shared_ptr<grpc::Channel>> channels_;
  const std::weak_ptr<Owner> owner_;

  // The loop's thread only.
  Redial redial_;
  std::shared_ptr<Call> call_;
  std::chrono::steady_clock::time_point accepted_at_;
  bool was_accepted_ = false;  // the call under way
  bool has_timed_out_ = false;
  bool was_refused_ = false;  // the call before it
  bool closed_ = false;
  std::size_t timed_out_ = 0;  // calls since one ended otherwise
  std::size_t explained_ = 0;  // calls since those
  std::uint64_t dials_ = 0;    // to know a timer that has been overtaken

  // Changed by the loop's thread only.
  std::atomic<std::size_t> channel_index_{0};

  std::mutex mutex_;
  LaneQueue queue_;
  std::shared_ptr<Call> writable_;  // the call, from its acceptance until it breaks
  bool writing_ = false;
};

}  // namespace conclave::transport
