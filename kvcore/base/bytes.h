#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace conclave {

static_assert(std::endian::native == std::endian::little, "fixed-width forms below assume it");

// Fixed-width integers as they stand in files: little-endian, in the order of the calls.
template <std::integral T>
void append_le(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}

// Big-endian, so that memcmp orders as the numbers do (non-negative values): LMDB keys.
template <std::integral T>
void append_be(std::string& out, T value) {
  using Wide = std::make_unsigned_t<T>;
  for (int shift = static_cast<int>(sizeof(T) * 8) - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((static_cast<Wide>(value) >> shift) & 0xff));
  }
}

// A cursor over bytes that were written with the calls above. Every read says whether there were
// enough.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <std::integral T>
  std::optional<T> le() {
    if (rest_.size() < sizeof(T)) return std::nullopt;
    T value{};
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  template <std::integral T>
  std::optional<T> be() {
    if (rest_.size() < sizeof(T)) return std::nullopt;
    std::make_unsigned_t<T> value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<std::make_unsigned_t<T>>((static_cast<std::uint64_t>(value) << 8) |
                                                   static_cast<unsigned char>(rest_[i]));
    }
    rest_.remove_prefix(sizeof(T));
    return static_cast<T>(value);
  }
  std::optional<std::string_view> take(std::size_t size) {
    if (rest_.size() < size) return std::nullopt;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// Lower-case hexadecimal without leading zeros, as etcd writes lease and member ids; 0 is "0".
inline std::string hex(std::uint64_t value) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  do {
    out.insert(out.begin(), digits[value & 0xf]);
    value >>= 4;
  } while (value != 0);
  return out;
}

// The end of the range that holds every key beginning with `prefix`: the prefix with its last byte
// below 0xff raised by one and cut after it. "\0", which stands for "no end", where there is none.
inline std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (static_cast<unsigned char>(end.back()) != 0xff) {
      end.back() = static_cast<char>(end.back() + 1);
      return end;
    }
    end.pop_back();
  }
  return std::string(1, '\0');
}

}  // namespace conclave
