#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conclave::test {

// From an operation's call to its return; none: the outcome is unknown, it may still be to come.
struct Interval {
  std::int64_t call_time_ns = 0;
  std::optional<std::int64_t> return_time_ns;
};

std::string text_of(const Interval& interval);  // in microseconds

// Numbers, for a set that grows roughly from 0 on: its size in memory is that of the part which is
// neither full nor empty.
class OperationSet {
 public:
  void insert(std::size_t number);
  bool contains(std::size_t number) const;
  std::size_t size() const { return size_; }
  std::size_t first_absent() const;
  std::size_t hash() const;
  bool operator==(const OperationSet&) const = default;

 private:
  std::size_t full_words_ = 0;        // before words_
  std::vector<std::uint64_t> words_;  // the first is not full, the last not empty
  std::size_t size_ = 0;
};

// Which operations real time lets be next. A value that never changes.
//
// Operation a is before b if a returned before b was called. Equal times do not order them.
class Timeline {
 public:
  explicit Timeline(std::vector<Interval> intervals);

  // By number, in the order of calls.
  const std::vector<std::size_t>& returned() const { return returned_; }
  const std::vector<std::size_t>& unknown() const { return unknown_; }
  // Of an operation that returned: its place in returned(), by which sets know it.
  std::size_t place(std::size_t operation) const { return places_[operation]; }

  struct Next {
    std::vector<std::size_t> returned;  // which of them may be next, in the order of their returns
    std::int64_t horizon_ns = 0;        // an unknown one may be next if called no later
  };
  // After those of a set of places.
  Next next(const OperationSet& done) const;

 private:
  std::vector<Interval> intervals_;
  std::vector<std::size_t> returned_;
  std::vector<std::size_t> unknown_;
  std::vector<std::size_t> places_;
};

}  // namespace conclave::test
