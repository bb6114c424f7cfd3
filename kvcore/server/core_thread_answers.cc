// What the replica has answered, on its way back to whoever asked.
#include <utility>

#include "conclave/server/core_thread.h"

namespace conclave::server {
namespace {

// With so many calls under way the thread that drives is what all wait for, and sending is half of
// its work; another thread then does that. With fewer, waking the other costs more than it saves.
constexpr std::size_t kCallsForTwoThreads = 128;
constexpr std::size_t kAnswersForTwoThreads = 16;

// Encoding takes as long as a response is large: these have a thread of their own.
bool is_encoded_apart(const replica::Answer& answer) {
  return answer.held_bytes >= replica::ReadWalks::budget_of_first_step().bytes;
}

}  // namespace

void CoreThread::answer(replica::Output& output) {
  if (unanswered_ >= kCallsForTwoThreads && output.answers.size() >= kAnswersForTwoThreads &&
      taken_host_ != nullptr && reply_thread_.has_room()) {
    give_apart(output);
  }
  const std::size_t answers = output.answers.size() + output.deliveries.size();
  if (answers > 1 && taken_host_ != nullptr) {
    taken_host_->send_together(answers, [this, &output] { give(output); });
  } else {
    give(output);
  }
}

CoreThread::Done CoreThread::take_done(const replica::Answer& answer) {
  free_slots_.push_back(answer.id);
  --unanswered_;
  return std::exchange(slots_[answer.id], nullptr);
}

void CoreThread::count_until_sent(const replica::Answer& answer) {
  if (answer.held == nullptr || held_responses_.watch(*answer.held, answer.held_bytes)) return;
  replica_->response_sent(answer.held_bytes);
}

// All but the long ones, which have a thread already.
void CoreThread::give_apart(replica::Output& output) {
  struct Reply {
    Done done;
    std::optional<api::Refusal> refusal;
  };
  std::vector<Reply> replies;
  replies.reserve(output.answers.size());
  std::erase_if(output.answers, [&](const replica::Answer& answer) {
    if (is_encoded_apart(answer)) return false;
    count_until_sent(answer);
    replies.push_back({take_done(answer), answer.refusal});
    return true;
  });
  reply_thread_.run_soon([host = taken_host_, replies = std::move(replies)] {
    host->send_together(replies.size(), [&replies] {
      for (const Reply& reply : replies) reply.done(reply.refusal);
    });
  });
}

void CoreThread::give(replica::Output& output) {
  for (const replica::Answer& answer : output.answers) {
    Done done = take_done(answer);
    count_until_sent(answer);
    if (is_encoded_apart(answer)) {
      answer_thread_->run_soon([done = std::move(done)] { done(std::nullopt); });
    } else {
      done(answer.refusal);
    }
  }
  for (replica::WatchDelivery& delivery : output.deliveries) {
    const auto sink = sinks_.find(delivery.stream);
    if (sink != sinks_.end()) sink->second.to->deliver(std::move(delivery.batch));
  }
}

}  // namespace conclave::server
