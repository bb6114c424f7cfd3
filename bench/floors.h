#pragma once

#include <span>
#include <string>

namespace conclave::bench {

// What this server promises of itself, held against a row's medians.
struct Floor {
  enum class Kind {
    times_better,  // than the other server, at least
    ours_at_most,  // whatever the other server does
  };

  const char* row;
  const char* metric;
  Kind kind;
  double bound;
};

std::span<const Floor> all_floors();

enum class Verdict { none, met, missed };

// The floor of a metric, if it has one. `ratio` is how many times better than the other server it
// is, 0 if that was not run: such a floor is then neither met nor missed.
const Floor* find_floor(const std::string& row, const std::string& metric);
Verdict judge(const Floor& floor, double ours, double ratio);
// ">= 1.5x", "<= 2"
std::string text_of(const Floor& floor);

}  // namespace conclave::bench
