#include <charconv>
#include <cmath>
#include <cstdint>
#include <system_error>

#include "conclave/cli/args/parse.h"

namespace conclave::cli {

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_member(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_lease(std::string_view text) {
  const auto value = parse_member(text);
  if (!value) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr double longest_ms = 1e15;
  double total_ms = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double amount = 0;
    const auto [end, failure] =
        std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
    if (failure != std::errc() || amount < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    double unit_ms = 0;
    std::size_t unit_size = 1;
    if (text.starts_with("ms")) {
      unit_ms = 1;
      unit_size = 2;
    } else if (text.starts_with('s')) {
      unit_ms = 1000;
    } else if (text.starts_with('m')) {
      unit_ms = 60'000;
    } else if (text.starts_with('h')) {
      unit_ms = 3'600'000;
    } else if (text.empty() && total_ms == 0) {
      unit_ms = 1000;
      unit_size = 0;
    } else {
      return std::nullopt;
    }
    text.remove_prefix(unit_size);
    total_ms += amount * unit_ms;
    if (!(total_ms < longest_ms)) return std::nullopt;
  }
  return std::chrono::milliseconds(std::llround(total_ms));
}

}  // namespace conclave::cli
