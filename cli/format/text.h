#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conclave/base/clock.h"

namespace conclave::cli {

// Text forms that etcdctl takes from Go's libraries, so that scripts which read its output can read
// ours.

// A string within double quotes with Go's escapes (%q): what is not printable UTF-8 as \xNN.
std::string go_quoted(std::string_view text);
std::string base64(std::string_view bytes);
// A JSON string within double quotes, as Go writes it (& < > escaped; broken UTF-8 replaced).
std::string json_quoted(std::string_view text);
// "\x61\x62"
std::string hex_bytes(std::string_view bytes);
// Texts with `between` between them.
template <class Texts>
std::string joined(const Texts& texts, std::string_view between) {
  std::string out;
  bool first = true;
  for (const auto& text : texts) {
    if (!first) out += between;
    out += text;
    first = false;
  }
  return out;
}
// A word as a shell takes it, within single quotes where it needs them.
std::string shell_word(std::string_view word);
// "20 kB", "1.5 MB": thousands, one decimal below ten.
std::string human_size(std::uint64_t bytes);
// "1.679708ms", "2s"
std::string go_duration(Duration duration);

}  // namespace conclave::cli
