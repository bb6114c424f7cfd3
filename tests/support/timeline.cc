#include "tests/support/timeline.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <limits>

#include "conclave/base/check.h"

namespace conclave::test {
namespace {

constexpr std::size_t kWordBits = 64;

}  // namespace

std::string text_of(const Interval& interval) {
  char text[80];
  const double call_us = static_cast<double>(interval.call_time_ns) / 1e3;
  if (interval.return_time_ns) {
    const double return_us = static_cast<double>(*interval.return_time_ns) / 1e3;
    std::snprintf(text, sizeof text, "[%.3f .. %.3f us]", call_us, return_us);
  } else {
    std::snprintf(text, sizeof text, "[%.3f .. us]", call_us);
  }
  return text;
}

void OperationSet::insert(std::size_t number) {
  CONCLAVE_CHECK(!contains(number), "an operation takes effect once");
  const std::size_t word = number / kWordBits - full_words_;
  if (word >= words_.size()) words_.resize(word + 1);
  words_[word] |= std::uint64_t{1} << (number % kWordBits);
  ++size_;
  const auto open = std::ranges::find_if(words_, [](std::uint64_t bits) { return ~bits != 0; });
  full_words_ += static_cast<std::size_t>(open - words_.begin());
  words_.erase(words_.begin(), open);
}

bool OperationSet::contains(std::size_t number) const {
  const std::size_t word = number / kWordBits;
  if (word < full_words_) return true;
  if (word - full_words_ >= words_.size()) return false;
  return (words_[word - full_words_] >> (number % kWordBits) & 1) != 0;
}

std::size_t OperationSet::first_absent() const {
  const int ones = words_.empty() ? 0 : std::countr_one(words_.front());
  return full_words_ * kWordBits + static_cast<std::size_t>(ones);
}

std::size_t OperationSet::hash() const {
  std::uint64_t mixed = full_words_ + 1;
  for (const std::uint64_t word : words_) {
    mixed = (mixed ^ word) * 0x9e3779b97f4a7c15;
    mixed ^= mixed >> 29;
  }
  return mixed;
}

Timeline::Timeline(std::vector<Interval> intervals)
    : intervals_(std::move(intervals)), places_(intervals_.size()) {
  for (std::size_t i = 0; i < intervals_.size(); ++i) {
    const Interval& interval = intervals_[i];
    CONCLAVE_CHECK(!interval.return_time_ns || *interval.return_time_ns >= interval.call_time_ns,
                   "an operation returned before it was called");
    (interval.return_time_ns ? returned_ : unknown_).push_back(i);
  }
  const auto call = [this](std::size_t i) { return intervals_[i].call_time_ns; };
  std::ranges::stable_sort(returned_, {}, call);
  std::ranges::stable_sort(unknown_, {}, call);
  for (std::size_t place = 0; place < returned_.size(); ++place) places_[returned_[place]] = place;
}

Timeline::Next Timeline::next(const OperationSet& done) const {
  Next next;
  next.horizon_ns = std::numeric_limits<std::int64_t>::max();
  for (std::size_t place = done.first_absent(); place < returned_.size(); ++place) {
    const Interval& interval = intervals_[returned_[place]];
    if (interval.call_time_ns > next.horizon_ns) break;
    if (done.contains(place)) continue;
    next.returned.push_back(returned_[place]);
    next.horizon_ns = std::min(next.horizon_ns, *interval.return_time_ns);
  }
  std::erase_if(next.returned,
                [&](std::size_t i) { return intervals_[i].call_time_ns > next.horizon_ns; });
  std::ranges::stable_sort(next.returned, {},
                           [this](std::size_t i) { return *intervals_[i].return_time_ns; });
  return next;
}

}  // namespace conclave::test
