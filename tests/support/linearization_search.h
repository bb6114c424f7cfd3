#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/support/timeline.h"

namespace conclave::test {

// The search for an order of one key's operations; linearizability.h is what tests use.
//
// Depth first over configurations: which of the returned operations have taken effect, which of the
// unknown ones were made to, and the state they led to. What keeps it short:
//
// - Configurations are remembered, and none is looked at that an earlier one covers. An unknown
//   operation never has to take effect, so of two configurations that are alike the one that has
//   spent fewer of them can do whatever the other can.
// - Hence unknown ones are tried last and the fewest first: those that nobody saw are tried once
//   and found to have led nowhere new.
// - For the same reason one is made to take effect only directly before what may need it.
// - Unknown operations with the same effect are used in the order of their calls.
// - Operations whose results tell their order (rank) are not tried in another.
// - Otherwise the operation that returned first is tried first.
//
// `History` is one key's operations by number, as KeyHistory has it. It must outlive the search.
template <class History>
class LinearizationSearch {
 public:
  using State = typename History::State;

  LinearizationSearch(const History& history, std::size_t max_configurations)
      : history_(history),
        max_configurations_(max_configurations),
        timeline_(intervals(history)),
        rank_places_(places_by_rank()),
        same_before_(alike_before()) {}

  // Whether there is an order; none: not found out within the limit. Call once.
  std::optional<bool> run();

  std::size_t configurations() const { return configurations_; }
  // After run() did not answer true: what had happened when most operations were explained.
  std::string excerpt() const;

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  static constexpr std::size_t kShown = 8;

  // Unknown operations that were made to take effect and otherwise still could, sorted; and where
  // that led.
  struct Variant {
    State state;
    std::vector<std::size_t> spent;
    std::size_t last_spent = kNone;  // if nothing has happened since
  };
  // A set of returned operations with all the variants of it that came of one way here.
  struct Frame {
    OperationSet done;
    Timeline::Next next;
    std::size_t ranked_done = 0;
    std::size_t last = kNone;
    std::vector<Variant> variants;
    std::size_t variant = 0;
    std::size_t candidate = 0;
  };
  struct Seen {
    OperationSet done;
    Variant variant;
  };
  struct Deepest {
    OperationSet done;
    std::vector<std::size_t> path;  // its end
    Variant variant;
  };

  static std::vector<Interval> intervals(const History& history) {
    std::vector<Interval> intervals;
    for (std::size_t i = 0; i < history.size(); ++i) intervals.push_back(history.interval(i));
    return intervals;
  }
  std::vector<std::size_t> places_by_rank() const;
  std::vector<std::size_t> alike_before() const;

  bool is_new(const OperationSet& done, const Variant& variant);
  void enter(OperationSet done, std::size_t ranked_done, std::size_t last, Variant variant);
  void forget_what_is_over(Variant& variant) const;
  bool can_be_spent(std::size_t i, const Variant& variant) const;
  bool is_of_use(const Variant& variant, const Frame& frame) const;
  void try_candidate(Frame& frame);
  void spend_unknown(Frame& frame);

  const History& history_;
  const std::size_t max_configurations_;
  const Timeline timeline_;
  const std::vector<std::size_t> rank_places_;  // by operation; kNone: has no rank
  const std::vector<std::size_t>
      same_before_;  // by unknown operation; kNone: the first of its like

  std::vector<Frame> stack_;
  std::unordered_map<std::size_t, std::vector<Seen>> seen_;
  std::size_t configurations_ = 0;
  Deepest deepest_;
};

template <class History>
std::vector<std::size_t> LinearizationSearch<History>::places_by_rank() const {
  std::vector<std::pair<std::int64_t, std::size_t>> ranked;
  for (const std::size_t i : timeline_.returned()) {
    if (const auto rank = history_.rank(i)) ranked.emplace_back(*rank, i);
  }
  // returned() is in the order of calls, which decides among equals.
  std::ranges::stable_sort(ranked, {}, &std::pair<std::int64_t, std::size_t>::first);
  std::vector<std::size_t> places(history_.size(), kNone);
  for (std::size_t place = 0; place < ranked.size(); ++place) places[ranked[place].second] = place;
  return places;
}

template <class History>
std::vector<std::size_t> LinearizationSearch<History>::alike_before() const {
  std::vector<std::size_t> before(history_.size(), kNone);
  const std::vector<std::size_t>& unknown = timeline_.unknown();
  for (std::size_t later = 0; later < unknown.size(); ++later) {
    for (std::size_t earlier = later; earlier > 0; --earlier) {
      if (!history_.same_effect(unknown[earlier - 1], unknown[later])) continue;
      before[unknown[later]] = unknown[earlier - 1];
      break;
    }
  }
  return before;
}

// Remembers it, too.
template <class History>
bool LinearizationSearch<History>::is_new(const OperationSet& done, const Variant& variant) {
  const auto covers = [](const Variant& a, const Variant& b) {
    return History::covers(a.state, b.state) && std::ranges::includes(b.spent, a.spent);
  };
  std::vector<Seen>& bucket = seen_[done.hash() * 31 + History::hash(variant.state)];
  for (const Seen& seen : bucket) {
    if (seen.done == done && covers(seen.variant, variant)) return false;
  }
  std::erase_if(
      bucket, [&](const Seen& seen) { return seen.done == done && covers(variant, seen.variant); });
  bucket.push_back({done, variant});
  ++configurations_;
  return true;
}

template <class History>
void LinearizationSearch<History>::enter(OperationSet done, std::size_t ranked_done,
                                         std::size_t last, Variant variant) {
  if (!is_new(done, variant)) return;
  Frame frame;
  frame.next = timeline_.next(done);
  std::erase_if(frame.next.returned, [&](std::size_t i) {
    return rank_places_[i] != kNone && rank_places_[i] != ranked_done;
  });
  frame.done = std::move(done);
  frame.ranked_done = ranked_done;
  frame.last = last;
  frame.variants.push_back(std::move(variant));
  stack_.push_back(std::move(frame));

  const Frame& entered = stack_.back();
  if (stack_.size() > 1 && entered.done.size() <= deepest_.done.size()) return;
  deepest_ = {entered.done, {}, entered.variants.front()};
  for (std::size_t i = stack_.size() - std::min(stack_.size(), kShown); i < stack_.size(); ++i) {
    if (stack_[i].last != kNone) deepest_.path.push_back(stack_[i].last);
  }
}

template <class History>
void LinearizationSearch<History>::try_candidate(Frame& frame) {
  const std::size_t i = frame.next.returned[frame.candidate++];
  const Variant& variant = frame.variants[frame.variant];
  if (variant.last_spent != kNone && !history_.matters(variant.last_spent, i)) return;
  std::optional<State> state = history_.step(variant.state, i);
  if (!state) return;
  OperationSet done = frame.done;
  done.insert(timeline_.place(i));
  const std::size_t ranked_done = frame.ranked_done + (rank_places_[i] == kNone ? 0 : 1);
  Variant after{std::move(*state), variant.spent};
  forget_what_is_over(after);
  // Ends the life of `frame` and `variant`.
  enter(std::move(done), ranked_done, i, std::move(after));
}

template <class History>
void LinearizationSearch<History>::forget_what_is_over(Variant& variant) const {
  std::erase_if(variant.spent, [&](std::size_t i) { return history_.is_over(variant.state, i); });
}

template <class History>
bool LinearizationSearch<History>::can_be_spent(std::size_t i, const Variant& variant) const {
  if (std::ranges::binary_search(variant.spent, i)) return false;
  const std::size_t same = same_before_[i];
  if (same != kNone && !std::ranges::binary_search(variant.spent, same)) return false;
  return variant.last_spent == kNone || history_.matters(variant.last_spent, i);
}

// Is there something that may need what was spent last?
template <class History>
bool LinearizationSearch<History>::is_of_use(const Variant& variant, const Frame& frame) const {
  const auto needs = [&](std::size_t i) {
    return history_.matters(variant.last_spent, i) && history_.step(variant.state, i).has_value();
  };
  if (std::ranges::any_of(frame.next.returned, needs)) return true;
  for (const std::size_t i : timeline_.unknown()) {
    if (history_.interval(i).call_time_ns > frame.next.horizon_ns) break;
    if (can_be_spent(i, variant) && needs(i)) return true;
  }
  return false;
}

// Adds the variants that one more unknown operation makes of the current one.
template <class History>
void LinearizationSearch<History>::spend_unknown(Frame& frame) {
  const Variant& variant = frame.variants[frame.variant];
  std::vector<Variant> more;
  for (const std::size_t i : timeline_.unknown()) {
    if (history_.interval(i).call_time_ns > frame.next.horizon_ns) break;
    if (!can_be_spent(i, variant)) continue;
    std::optional<State> state = history_.step(variant.state, i);
    if (!state) continue;
    Variant after{std::move(*state), variant.spent, i};
    after.spent.insert(std::ranges::lower_bound(after.spent, i), i);
    if (!is_of_use(after, frame)) continue;
    forget_what_is_over(after);
    more.push_back(std::move(after));
  }
  // The fewest spent come first, also among those that wait.
  const auto fewer = [](const Variant& a, const Variant& b) {
    return a.spent.size() < b.spent.size();
  };
  std::ranges::stable_sort(more, fewer);
  for (Variant& after : more) {
    if (!is_new(frame.done, after)) continue;
    const auto waiting = frame.variants.begin() + static_cast<std::ptrdiff_t>(frame.variant) + 1;
    const auto at = std::upper_bound(waiting, frame.variants.end(), after, fewer);
    frame.variants.insert(at, std::move(after));
  }
}

template <class History>
std::optional<bool> LinearizationSearch<History>::run() {
  enter({}, 0, kNone, {history_.initial(), {}});
  while (!stack_.empty()) {
    Frame& frame = stack_.back();
    if (frame.done.size() == timeline_.returned().size()) return true;
    if (configurations_ > max_configurations_) return std::nullopt;
    if (frame.candidate < frame.next.returned.size()) {
      try_candidate(frame);
      continue;
    }
    spend_unknown(frame);
    frame.candidate = 0;
    if (++frame.variant == frame.variants.size()) stack_.pop_back();
  }
  return false;
}

template <class History>
std::string LinearizationSearch<History>::excerpt() const {
  const Timeline::Next next = timeline_.next(deepest_.done);
  std::string text = "no order was found that explains more than " +
                     std::to_string(deepest_.done.size()) + " of " +
                     std::to_string(timeline_.returned().size()) + " operations\n";
  for (const std::size_t i : deepest_.path) {
    text += "  explained: " + history_.describe_operation(i) + '\n';
  }
  text += "  the state then: " + History::describe_state(deepest_.variant.state) + '\n';
  const auto show = [&](const std::string& what, const std::vector<std::size_t>& operations) {
    for (std::size_t n = 0; n < std::min(operations.size(), kShown); ++n) {
      text += "  " + what + ": " + history_.describe_operation(operations[n]) + '\n';
    }
    if (operations.size() <= kShown) return;
    text += "  " + what + ": " + std::to_string(operations.size() - kShown) + " more\n";
  };
  show("one of these is next", next.returned);
  std::vector<std::size_t> unspent;
  for (const std::size_t i : timeline_.unknown()) {
    if (history_.interval(i).call_time_ns > next.horizon_ns) break;
    if (!std::ranges::binary_search(deepest_.variant.spent, i)) unspent.push_back(i);
  }
  std::ranges::reverse(unspent);  // the latest are the likeliest
  show("unknown until then", unspent);
  return text;
}

}  // namespace conclave::test
