#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/etcd_key_model.h"

namespace conclave::linearizability {

struct HistoryShape {
  std::uint64_t seed = 1;
  std::size_t operations = 1000;
  std::uint64_t keys = 1;
  std::uint64_t clients = 5;
  std::uint64_t unknown_percent = 5;
  std::uint64_t values = 0;  // how many different ones are put; 0: each its own
};

// What clients of a store that makes no mistakes would record. Of the operations of unknown outcome
// half never take effect and some take effect long after their call. Keys are "k0", "k1", ...
std::vector<test::EtcdOperation> generate_etcd_history(const HistoryShape& shape);

}  // namespace conclave::linearizability
