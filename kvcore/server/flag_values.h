#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace conclave::server {

// What flags are made of. Each reads the whole text or gives nothing.

// A decimal number from 0 to `max`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max);

// true, false, 1, 0, t, f in any case.
std::optional<bool> parse_bool(std::string_view text);

// A duration as Go writes it, down to milliseconds: "5m", "1h30m", "250ms", "1.5h".
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace conclave::server
