#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace conclave::transport {

// What waits on a lane: bounded in bytes, in order. Packets that were taken count until they are
// written. Not thread-safe.
class LaneQueue {
 public:
  explicit LaneQueue(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // False: too much waits already, and the packet is left alone.
  bool push(std::string& packet) {
    const std::uint64_t cost = cost_of(packet);
    if (waiting_bytes_ + taken_bytes_ + cost > bytes_max_) return false;
    waiting_bytes_ += cost;
    packets_.push_back(std::move(packet));
    return true;
  }

  // What may go together: at least one packet, if there is any, and no more once `batch_bytes_max`
  // would be passed. What was taken before counts as written.
  std::vector<std::string> take(std::uint64_t batch_bytes_max) {
    std::vector<std::string> batch;
    taken_bytes_ = 0;
    while (!packets_.empty()) {
      const std::uint64_t cost = cost_of(packets_.front());
      if (!batch.empty() && taken_bytes_ + cost > batch_bytes_max) break;
      waiting_bytes_ -= cost;
      taken_bytes_ += cost;
      batch.push_back(std::move(packets_.front()));
      packets_.pop_front();
    }
    return batch;
  }

  // Forgets all, what was taken included.
  void clear() {
    packets_.clear();
    waiting_bytes_ = taken_bytes_ = 0;
  }

  bool empty() const { return packets_.empty(); }

 private:
  // Small packets cost more memory than their bytes.
  static constexpr std::uint64_t kPacketOverheadBytes = 64;
  static std::uint64_t cost_of(const std::string& packet) {
    return packet.size() + kPacketOverheadBytes;
  }

  const std::uint64_t bytes_max_;
  std::deque<std::string> packets_;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t taken_bytes_ = 0;
};

}  // namespace conclave::transport
