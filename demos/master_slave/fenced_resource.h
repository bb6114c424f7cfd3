#pragma once

#include <cstdint>

namespace master_slave {

// The check that makes a late write harmless. Copy it into whatever your leader writes to.
//
// It must sit where the write itself happens, under the same lock or in the same transaction, and
// `highest_` must be as durable as the data: a resource that forgets it on restart lets a write of
// an old leader through once. Not thread-safe by itself.
class FencedResource {
 public:
  // True: do the write. False: a newer leader has written here; the sender leads no more.
  bool admit(std::int64_t fence) {
    if (fence < highest_) return false;
    highest_ = fence;
    return true;
  }

  std::int64_t highest() const { return highest_; }

 private:
  std::int64_t highest_ = 0;
};

}  // namespace master_slave
