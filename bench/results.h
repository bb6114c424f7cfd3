#pragma once

#include <string>
#include <vector>

#include "conclave/bench/floors.h"
#include "conclave/bench/machine.h"
#include "conclave/bench/statistics.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {

// What the repetitions gave: one series for each metric of each row, in the order in which they
// first came.
struct Series {
  std::string row;
  std::string title;
  std::string metric;
  std::string unit;
  Better better = Better::higher;
  bool is_context = false;
  std::vector<std::vector<double>> values;  // by server, then by repetition
};

class Results {
 public:
  explicit Results(std::size_t servers) : servers_(servers) {}

  void add(std::size_t server, const Row& row);
  // A workload that failed on a server: why. The tables say so.
  void add_failure(std::string text) { failures_.push_back(std::move(text)); }

  const std::vector<Series>& series() const { return series_; }
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  std::size_t servers_;
  std::vector<Series> series_;
  std::vector<std::string> failures_;
};

// A line of the tables: one series, condensed.
struct Line {
  const Series* series = nullptr;
  std::vector<Spread> spreads;  // by server
  double ratio = 0;             // times better than the other server; 0 if there is none
  const Floor* floor = nullptr;
  Verdict verdict = Verdict::none;
};

std::vector<Line> condense(const Results& results);

}  // namespace conclave::bench
