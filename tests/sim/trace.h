#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/sim_world.h"

namespace conclave::sim {

// What happened in a run, one line each: hashed always, kept where somebody wants to read it.
// Violations of what the product promises are lines too, and are kept always.
class Trace {
 public:
  // `text` may be null.
  Trace(const World& world, std::string* text) : world_(world), text_(text), start_(world.now()) {}

  template <class... Parts>
  void note(const Parts&... parts) {
    line_.clear();
    add(microseconds());
    add(' ');
    (add(parts), ...);
    add('\n');
    for (const char byte : line_) {
      digest_ = (digest_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
    if (text_ != nullptr) *text_ += line_;
  }

  template <class... Parts>
  void violation(const Parts&... parts) {
    note("VIOLATION ", parts...);
    violations_.push_back(line_);
  }

  std::int64_t microseconds() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(world_.now() - start_).count();
  }
  std::uint64_t digest() const { return digest_; }
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  void add(std::string_view text) { line_ += text; }
  void add(const char* text) { line_ += text; }
  void add(char byte) { line_ += byte; }
  void add(std::integral auto number) { line_ += std::to_string(number); }

  const World& world_;
  std::string* const text_;
  const Instant start_;
  std::string line_;
  std::uint64_t digest_ = 0xcbf29ce484222325;  // FNV-1a
  std::vector<std::string> violations_;
};

}  // namespace conclave::sim
