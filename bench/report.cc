#include "conclave/bench/report.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include <nlohmann/json.hpp>

namespace conclave::bench {
namespace {

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", decimals, value);
  return text;
}

std::string spread_text(const std::vector<double>& values, const Spread& spread) {
  if (values.empty()) return "-";
  if (values.size() == 1) return readable(spread.median);
  return readable(spread.median) + " [" + readable(spread.min) + ".." + readable(spread.max) + "]";
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::none:
      return "";
    case Verdict::met:
      return "met";
    case Verdict::missed:
      return "MISSED";
  }
  return "";
}

struct Table {
  std::vector<std::vector<std::string>> rows;  // the first is the head
};

Table table_of(const Preface& preface, const Results& results) {
  Table table;
  std::vector<std::string> head{"workload", "", "metric"};
  for (const std::string& server : preface.servers) head.push_back(server);
  head.insert(head.end(), {"unit", "times better", "floor", ""});
  table.rows.push_back(std::move(head));
  std::string row_before;
  for (const Line& line : condense(results)) {
    const Series& series = *line.series;
    const bool is_new = series.row != row_before;
    row_before = series.row;
    std::vector<std::string> cells{is_new ? series.row : "", is_new ? series.title : "",
                                   series.metric};
    for (std::size_t i = 0; i < line.spreads.size(); ++i) {
      cells.push_back(spread_text(series.values[i], line.spreads[i]));
    }
    cells.push_back(series.unit);
    cells.push_back(line.ratio > 0 ? fixed(line.ratio, 2) + "x" : "");
    cells.push_back(line.floor != nullptr ? text_of(*line.floor) : "");
    cells.emplace_back(name_of(line.verdict));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

// Columns of a terminal, not bytes: "µ" is one.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::vector<std::string> preface_lines(const Preface& preface) {
  const Machine& machine = preface.machine;
  std::vector<std::string> lines{
      "machine: " + std::to_string(machine.cores) + " cores (" + machine.processor + "), " +
          fixed(machine.memory_gib, 0) + " GiB, Linux " + machine.kernel + ", data on " +
          machine.filesystem + ", load before " + fixed(machine.load_1m, 2),
      "started: " + preface.started + " UTC, " + std::to_string(preface.pairs) +
          " pairs (fewer of the long ones), median [min..max]"};
  for (std::size_t i = 0; i < preface.servers.size(); ++i) {
    lines.push_back(preface.servers[i] + ": " + preface.programs[i]);
  }
  lines.emplace_back(
      "both sync every write before they acknowledge it (their own setting; the syncs were not "
      "counted). \"others' CPU\" is what neither server nor generator used.");
  lines.push_back("parameters: " + preface.parameters.text("value-"));
  for (const Workload& workload : all_workloads()) {
    lines.push_back("  " + preface.parameters.text(workload.parameters));
  }
  return lines;
}

}  // namespace

std::string table_text(const Preface& preface, const Results& results) {
  std::ostringstream out;
  for (const std::string& line : preface_lines(preface)) out << line << '\n';
  out << '\n';
  const Table table = table_of(preface, results);
  std::vector<std::size_t> widths(table.rows.front().size(), 0);
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  for (const auto& row : table.rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - width_of(row[i]) + 2, ' ');
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }
  for (const std::string& text : results.failures()) out << "FAILED: " << text << '\n';
  if (!preface.warning.empty()) out << "\nWARNING: " << preface.warning << '\n';
  return out.str();
}

std::string markdown(const Preface& preface, const Results& results) {
  std::ostringstream out;
  out << "# Results\n\n";
  if (!preface.warning.empty()) out << "**" << preface.warning << ".**\n\n";
  for (const std::string& line : preface_lines(preface)) {
    out << (line.starts_with("  ") ? "  - `" + line.substr(2) + "`" : "- " + line) << '\n';
  }
  out << "\n![times better](results.svg)\n\n";
  const Table table = table_of(preface, results);
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    for (const std::string& cell : table.rows[i]) out << "| " << cell << ' ';
    out << "|\n";
    if (i != 0) continue;
    for (std::size_t column = 0; column < table.rows[i].size(); ++column) out << "|---";
    out << "|\n";
  }
  for (const std::string& text : results.failures()) out << "\nFAILED: " << text << '\n';
  return out.str();
}

std::string csv(const Preface& preface, const Results& results) {
  std::ostringstream out;
  out << "workload,metric,unit,server,repetition,value\n";
  for (const Series& series : results.series()) {
    for (std::size_t server = 0; server < series.values.size(); ++server) {
      for (std::size_t i = 0; i < series.values[server].size(); ++i) {
        out << series.row << ',' << series.metric << ',' << series.unit << ','
            << preface.servers[server] << ',' << i + 1 << ',' << fixed(series.values[server][i], 3)
            << '\n';
      }
    }
  }
  return out.str();
}

std::string json(const Preface& preface, const Results& results) {
  nlohmann::ordered_json out;
  out["machine"] = {
      {"cores", preface.machine.cores},           {"processor", preface.machine.processor},
      {"kernel", preface.machine.kernel},         {"memory_gib", preface.machine.memory_gib},
      {"filesystem", preface.machine.filesystem}, {"load_1m", preface.machine.load_1m}};
  out["started"] = preface.started;
  out["warning"] = preface.warning;
  out["pairs"] = preface.pairs;
  out["servers"] = preface.servers;
  for (const Parameter& parameter : all_parameters()) {
    out["parameters"][parameter.name] = preface.parameters[parameter.name];
  }
  out["results"] = nlohmann::ordered_json::array();
  for (const Line& line : condense(results)) {
    const Series& series = *line.series;
    nlohmann::ordered_json entry{
        {"workload", series.row}, {"metric", series.metric}, {"unit", series.unit}};
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      entry[preface.servers[i]] = {{"median", line.spreads[i].median},
                                   {"min", line.spreads[i].min},
                                   {"max", line.spreads[i].max},
                                   {"values", series.values[i]}};
    }
    if (line.ratio > 0) entry["times_better"] = line.ratio;
    if (line.floor != nullptr) {
      entry["floor"] = text_of(*line.floor);
      entry["verdict"] = name_of(line.verdict);
    }
    out["results"].push_back(std::move(entry));
  }
  out["failures"] = results.failures();
  return out.dump(2) + '\n';
}

}  // namespace conclave::bench
