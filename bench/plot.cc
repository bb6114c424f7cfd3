#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/bench/report.h"

namespace conclave::bench {
namespace {

constexpr double kLabelWidth = 330;
constexpr double kPlotWidth = 520;
constexpr double kRightMargin = 90;
constexpr double kTop = 70;
constexpr double kRowHeight = 22;
constexpr double kBarHeight = 14;

struct Bar {
  std::string label;
  double ratio = 0;
  double floor = 0;  // 0: none
  Verdict verdict = Verdict::none;
};

// The ratios that a reader looks for: rate, tail latency, processor time, and all with a floor.
std::vector<Bar> bars_of(const Results& results) {
  std::vector<Bar> bars;
  for (const Line& line : condense(results)) {
    const Series& series = *line.series;
    const bool has_floor = line.floor != nullptr && line.floor->kind == Floor::Kind::times_better;
    const bool is_usual =
        series.metric == kRate || series.metric == kTail || series.metric == kServerCpu;
    if (line.ratio <= 0 || !(has_floor || is_usual)) continue;
    bars.push_back({series.row + "  " + series.metric, line.ratio,
                    has_floor ? line.floor->bound : 0, line.verdict});
  }
  return bars;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

class Svg {
 public:
  Svg(double width, double height) {
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
        "fill=\"white\"/>\n",
        width, height);
  }
  void rectangle(double x, double y, double width, double height, const char* color) {
    add("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, width,
        height, color);
  }
  void line(double x, double y, double y_end, const char* color, double width) {
    add("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
        "stroke-width=\"%.1f\"/>\n",
        x, y, x, y_end, color, width);
  }
  void text(double x, double y, const char* anchor, std::string_view words) {
    add("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    out_ += escaped(words) + "</text>\n";
  }
  std::string finish() { return std::move(out_) + "</svg>\n"; }

 private:
  template <class... Values>
  void add(const char* format, Values... values) {
    char text[400];
    std::snprintf(text, sizeof(text), format, values...);
    out_ += text;
  }

  std::string out_;
};

std::string ratio_text(double ratio) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f×", ratio < 10 ? 2 : 0, ratio);
  return text;
}

const char* color_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::met:
      return "#2a7f62";
    case Verdict::missed:
      return "#c0392b";
    case Verdict::none:
      break;
  }
  return "#8fa3b0";
}

}  // namespace

std::string plot_svg(const Preface& preface, const Results& results) {
  const std::vector<Bar> bars = bars_of(results);
  // Doublings are equally wide: half as good is as far from 1 as twice as good.
  double low = -1;
  double high = 2;
  for (const Bar& bar : bars) {
    low = std::min(low, std::floor(std::log2(bar.ratio)));
    high = std::max(high, std::ceil(std::log2(std::max(bar.ratio, bar.floor))));
  }
  const auto x_of = [&](double ratio) {
    return kLabelWidth + (std::log2(ratio) - low) / (high - low) * kPlotWidth;
  };
  const double bottom = kTop + kRowHeight * static_cast<double>(bars.size());
  Svg svg(kLabelWidth + kPlotWidth + kRightMargin, bottom + 40);
  const std::string other = preface.servers.size() == 2 ? preface.servers[1] : "(not run)";
  svg.text(12, 24, "start",
           preface.servers.front() + ": times better than " + other + " (medians; black: floor)");
  svg.text(12, 42, "start", preface.warning);
  for (double power = low; power <= high; ++power) {
    const double x = x_of(std::exp2(power));
    svg.line(x, kTop - 6, bottom, power == 0 ? "#555555" : "#dddddd", 1);
    svg.text(x, bottom + 16, "middle", ratio_text(std::exp2(power)));
  }
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Bar& bar = bars[i];
    const double y = kTop + kRowHeight * static_cast<double>(i);
    const double from = std::min(x_of(1), x_of(bar.ratio));
    const double to = std::max(x_of(1), x_of(bar.ratio));
    svg.text(kLabelWidth - 8, y + kBarHeight - 2, "end", bar.label);
    svg.rectangle(from, y, std::max(1.0, to - from), kBarHeight, color_of(bar.verdict));
    svg.text(to + 6, y + kBarHeight - 2, "start", ratio_text(bar.ratio));
    if (bar.floor > 0) svg.line(x_of(bar.floor), y - 3, y + kBarHeight + 3, "black", 2);
  }
  return svg.finish();
}

}  // namespace conclave::bench
