#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "conclave/api/kv.pb.h"

namespace conclave::mvcc {

// Events as a WatchResponse carries them on the wire, one field after another.
struct EncodedEvents {
  std::string bytes;
  std::vector<std::size_t> ends;  // where in `bytes` each event ends
};

using SharedEncoding = std::shared_ptr<const EncodedEvents>;

// All changes of one revision, in the order of their sub revisions. Never changed once made, and
// shared by every watcher that is given it.
//
// prev_kv is not in it: few ask for it, and it costs a read. Store::value_before() finds it.
struct RevisionEvents {
  std::int64_t revision = 0;
  std::vector<mvccpb::Event> events;
  std::uint64_t byte_count = 0;  // roughly, for bounds

  // The encoded form, kept by encode_events() for the next watcher; on the store's thread only.
  mutable SharedEncoding encoded;
  mutable SharedEncoding encoded_with_previous;
};

using SharedEvents = std::shared_ptr<const RevisionEvents>;

}  // namespace conclave::mvcc
