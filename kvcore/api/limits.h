#pragma once

#include <cstdint>

namespace conclave::api {

// What a request's bytes may grow by on the wire before it is refused unread, as with etcd; and so
// what a client may be sent at once that takes no more than it may send.
inline constexpr std::uint64_t kWireOverheadBytes = 512 * 1024;

}  // namespace conclave::api
