#include "conclave/cli/format/text.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace conclave::cli {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

std::string formatted(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// The length of the UTF-8 sequence that begins at `at`; 0 if it is not well formed.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 && lead < 0xf5   ? 4
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xc2 && lead < 0xe0 ? 2
                                                           : 0;
  if (length == 0 || at + length > text.size()) return 0;
  std::uint32_t point = lead & (0xff >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[at + i]);
    if ((next & 0xc0) != 0x80) return 0;
    point = (point << 6) | (next & 0x3f);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  return overlong || surrogate || point > 0x10ffff ? 0 : length;
}

void append_hex_byte(std::string& out, char byte) {
  const auto value = static_cast<unsigned char>(byte);
  out += "\\x";
  out += kDigits[value >> 4];
  out += kDigits[value & 0xf];
}

}  // namespace

std::string go_quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const char letter = text[at];
    const std::size_t length = sequence_length(text, at);
    if (length > 1) {
      out.append(text.substr(at, length));
      at += length;
      continue;
    }
    switch (letter) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\v':
        out += "\\v";
        break;
      default:
        if (length == 0 || letter < 0x20 || letter == 0x7f) {
          append_hex_byte(out, letter);
        } else {
          out += letter;
        }
    }
    ++at;
  }
  return out + '"';
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const char letter = text[at];
    const std::size_t length = sequence_length(text, at);
    if (length == 0) {
      out += "\\ufffd";
      ++at;
      continue;
    }
    if (length > 1) {
      out.append(text.substr(at, length));
      at += length;
      continue;
    }
    switch (letter) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (letter < 0x20 || letter == '<' || letter == '>' || letter == '&') {
          out += "\\u00";
          out += kDigits[letter >> 4];
          out += kDigits[letter & 0xf];
        } else {
          out += letter;
        }
    }
    ++at;
  }
  return out + '"';
}

std::string base64(std::string_view bytes) {
  constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    const std::size_t present = std::min<std::size_t>(3, bytes.size() - at);
    for (std::size_t i = 0; i < 3; ++i) {
      group = (group << 8) | (i < present ? static_cast<unsigned char>(bytes[at + i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out += i <= present ? letters[(group >> (18 - 6 * i)) & 0x3f] : '=';
    }
  }
  return out;
}

std::string hex_bytes(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) append_hex_byte(out, byte);
  return out;
}

std::string shell_word(std::string_view word) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:=,@%+-";
  if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) {
    return std::string(word);
  }
  std::string out = "'";
  for (const char letter : word) {
    if (letter == '\'') {
      out += "'\\''";
    } else {
      out += letter;
    }
  }
  return out + "'";
}

std::string human_size(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 10) return std::to_string(bytes) + " B";
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1000 && unit < 6) {
    value /= 1000;
    ++unit;
  }
  value = std::floor(value * 10 + 0.5) / 10;
  return formatted(value < 10 ? "%.1f " : "%.0f ", value) + units[unit];
}

std::string go_duration(Duration duration) {
  const auto count = static_cast<double>(duration.count());
  const auto trimmed = [](std::string text) {
    if (text.find('.') == std::string::npos) return text;
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text;
  };
  if (count == 0) return "0s";
  if (count < 1e3) return formatted("%.0fns", count);
  if (count < 1e6) return trimmed(formatted("%.3f", count / 1e3)) + "µs";
  if (count < 1e9) return trimmed(formatted("%.6f", count / 1e6)) + "ms";
  return trimmed(formatted("%.9f", count / 1e9)) + "s";
}

}  // namespace conclave::cli
