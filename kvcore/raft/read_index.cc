#include "conclave/raft/read_index.h"

#include <utility>

namespace conclave::raft {

std::vector<ReadRequest> ReadIndexQueue::take_held() {
  return std::exchange(held_, {});
}

std::uint64_t ReadIndexQueue::begin_round() {
  ++round_;
  for (ReadRequest& request : waiting_) asked_.push_back({round_, std::move(request)});
  waiting_.clear();
  return round_;
}

std::vector<ReadRequest> ReadIndexQueue::confirmed(std::uint64_t round) {
  std::vector<ReadRequest> answered;
  while (!asked_.empty() && asked_.front().round <= round) {
    answered.push_back(std::move(asked_.front().request));
    asked_.pop_front();
  }
  return answered;
}

void ReadIndexQueue::clear() {
  asked_.clear();
  waiting_.clear();
  held_.clear();
}

}  // namespace conclave::raft
