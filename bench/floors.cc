#include "conclave/bench/floors.h"

#include "conclave/bench/statistics.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

using enum Floor::Kind;

constexpr double kHalf = 2;  // half the processor time is twice as good
constexpr double kSixTenths = 1 / 0.6;

constexpr Floor kFloors[] = {
    {"W1", kRate, times_better, 1.3},
    {"W1", kServerCpu, times_better, kHalf},
    {"W2/100", kRate, times_better, 1.5},
    {"W2/100", kServerCpu, times_better, kHalf},
    {"W2/1000", kRate, times_better, 1.5},
    {"W2/1000", kServerCpu, times_better, kSixTenths},
    {"W3/lin", kServerCpu, times_better, kHalf},
    {"W4/lin", kRate, times_better, 3},
    {"W4/lin", kServerCpu, times_better, kHalf},
    {"W5/wide", kRate, times_better, 3},
    {"W5/wide", kServerCpu, times_better, kHalf},
    {"W5/hot", kRate, times_better, 3},
    {"W5/hot", kServerCpu, times_better, kHalf},
    {"W6/flood", "events per CPU second", times_better, 3},
    {"W8", "times slower", ours_at_most, 2},
    {"W9", kServerCpu, times_better, kHalf},
    {"W10/few", "lost", ours_at_most, 0},
    {"W10/many", "lost", ours_at_most, 0},
    {"W11", "overdue", times_better, 10},
    {"W15/kill", kMedian, times_better, 4},
    {"W18", "to first read", ours_at_most, 2},
    {"W19", "resident", times_better, 2},
    {"W20/1", kRate, times_better, 1.3},
    {"W20/100", kRate, times_better, 1.3},
};

}  // namespace

std::span<const Floor> all_floors() {
  return kFloors;
}

const Floor* find_floor(const std::string& row, const std::string& metric) {
  for (const Floor& floor : kFloors) {
    if (row == floor.row && metric == floor.metric) return &floor;
  }
  return nullptr;
}

Verdict judge(const Floor& floor, double ours, double ratio) {
  if (floor.kind == ours_at_most) return ours <= floor.bound ? Verdict::met : Verdict::missed;
  if (ratio <= 0) return Verdict::none;
  return ratio >= floor.bound ? Verdict::met : Verdict::missed;
}

std::string text_of(const Floor& floor) {
  if (floor.kind == ours_at_most) return "<= " + readable(floor.bound);
  return ">= " + readable(floor.bound) + "x";
}

}  // namespace conclave::bench
