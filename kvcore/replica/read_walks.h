#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <google/protobuf/message.h>

#include "conclave/base/clock.h"
#include "conclave/mvcc/walk.h"
#include "conclave/replica/calls.h"

namespace conclave::replica {

// The reads that did not end in their first step. They take turns, one step at a time between
// other work, so that no number of readers of everything holds up a write.
//
// What they make is bounded: while what they have made so far, together with the long responses
// that are answered and not yet sent, is above Limits::bytes, only the oldest of them goes on; and
// while the answered ones alone are above it, none that makes a response. So there is never more
// than that and one response. Only the first Limits::count are under way; the others wait for
// their turn to begin. Who waits longer than Limits::patience for a step is refused as too many
// requests: that happens when clients do not read what they asked for.
//
// Reads that end in their first step wait for nothing. Of those too, long responses count until
// they are sent, and beyond Limits::bytes_of_short they are refused.
class ReadWalks {
 public:
  using Walk = std::variant<mvcc::ReadWalk, mvcc::HashWalk>;
  using Begin = std::function<Walk()>;
  struct Limits {
    std::size_t count = 100;
    std::uint64_t bytes = 256 << 20;
    std::uint64_t bytes_of_short = 1 << 30;
    Duration patience{std::chrono::seconds(60)};
  };
  struct Done {
    RequestId id;
    google::protobuf::Message* response;
    std::optional<api::Refusal> refusal;
    std::uint64_t held_bytes;  // to be given back with sent()
  };

  explicit ReadWalks(Limits limits) : limits_(limits) {}

  // Large enough for what most reads ask.
  static mvcc::WalkBudget budget_of_first_step() { return {1100 * 9, 1 << 20}; }
  // Small enough that a write hardly notices the step it waits behind.
  static mvcc::WalkBudget budget_of_step() { return {300 * 9, 256 << 10}; }

  // Responses below this do not count.
  static constexpr std::uint64_t kLongResponse = 64 << 10;

  bool full() const { return walks_.size() >= limits_.count; }
  // One that has made its first step.
  void add(RequestId id, google::protobuf::Message* response, Walk walk, Instant now);
  // One that is to begin when it is among the first.
  void add_later(RequestId id, google::protobuf::Message* response, Begin begin, Instant now);
  // A long response that was complete after its first step; false if there are too many.
  bool count_short(std::uint64_t held_bytes);

  bool has_more() const { return next().has_value(); }
  // One step of one walk, if one may go on; what comes of it, if that was its end.
  std::optional<Done> step(Instant now);
  void sent(std::uint64_t held_bytes) { sent_bytes_ -= held_bytes; }

  bool empty() const { return walks_.empty(); }
  std::size_t size() const { return walks_.size(); }
  std::optional<RequestId> take(const google::protobuf::Message* response);
  std::vector<RequestId> take_overdue(Instant now);
  std::vector<RequestId> take_all();

 private:
  struct Entry {
    RequestId id;
    google::protobuf::Message* response;
    std::optional<Walk> walk;  // none: it has not begun
    Begin begin;
    Instant last_step;

    std::uint64_t byte_count() const {
      if (!walk) return 0;
      return std::visit([](const auto& each) { return each.byte_count(); }, *walk);
    }
    // A walk that makes no response needs no room for it.
    bool needs_room() const { return !walk || byte_count() > 0; }
  };
  std::optional<std::size_t> next() const;
  void erase(std::size_t position);

  const Limits limits_;
  std::vector<std::unique_ptr<Entry>> walks_;  // as they came
  std::size_t turn_ = 0;
  std::uint64_t made_bytes_ = 0;  // by the walks
  std::uint64_t sent_bytes_ = 0;  // answered, and not yet sent
};

}  // namespace conclave::replica
