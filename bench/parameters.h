#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace conclave::bench {

// A number of a workload. Its name begins with the workload's, and it is a flag under that name.
struct Parameter {
  const char* name;
  std::int64_t value;
  std::int64_t quick;  // what --quick takes: enough to see that all works, not to measure
  const char* help;
};

std::span<const Parameter> all_parameters();

class Parameters {
 public:
  explicit Parameters(bool quick = false);

  void set(const std::string& name, std::int64_t value) { values_.at(name) = value; }
  std::int64_t operator[](std::string_view name) const { return values_.find(name)->second; }
  // "w2-keys=100000 w2-operations-100=60000", those whose names begin with `prefix`.
  std::string text(std::string_view prefix) const;

 private:
  std::map<std::string, std::int64_t, std::less<>> values_;
};

}  // namespace conclave::bench
