#pragma once

#include <string>
#include <vector>

#include "conclave/bench/parameters.h"
#include "conclave/bench/results.h"

namespace conclave::bench {

// What stands above the figures, so that they can be judged and made again.
struct Preface {
  Machine machine;
  std::string warning;
  std::vector<std::string> servers;   // names, ours first
  std::vector<std::string> programs;  // their paths
  std::int64_t pairs = 0;
  std::string started;  // UTC
  Parameters parameters{};
};

std::string table_text(const Preface& preface, const Results& results);
std::string markdown(const Preface& preface, const Results& results);
// Every single value.
std::string csv(const Preface& preface, const Results& results);
std::string json(const Preface& preface, const Results& results);
// Bars of the ratios, with the floors marked.
std::string plot_svg(const Preface& preface, const Results& results);

}  // namespace conclave::bench
