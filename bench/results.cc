#include "conclave/bench/results.h"

#include <algorithm>

namespace conclave::bench {

void Results::add(std::size_t server, const Row& row) {
  for (const Metric& metric : row.metrics) {
    auto found = std::ranges::find_if(series_, [&](const Series& series) {
      return series.row == row.id && series.metric == metric.name;
    });
    if (found == series_.end()) {
      series_.push_back({row.id, row.title, metric.name, metric.unit, metric.better,
                         metric.is_context, std::vector<std::vector<double>>(servers_)});
      found = std::prev(series_.end());
    }
    found->values.at(server).push_back(metric.value);
  }
}

std::vector<Line> condense(const Results& results) {
  std::vector<Line> lines;
  for (const Series& series : results.series()) {
    Line line;
    line.series = &series;
    for (const std::vector<double>& values : series.values) {
      line.spreads.push_back(spread_of(values));
    }
    const double ours = line.spreads.front().median;
    if (line.spreads.size() == 2 && !series.is_context) {
      line.ratio = times_better(ours, line.spreads[1].median, series.better);
    }
    line.floor = find_floor(series.row, series.metric);
    if (line.floor != nullptr && !series.values.front().empty()) {
      line.verdict = judge(*line.floor, ours, line.ratio);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace conclave::bench
