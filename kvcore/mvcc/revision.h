#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace conclave::mvcc {

// A point in the store's history. Every applied request that changes anything is one `main`; the
// changes that it makes are numbered by `sub` from 0, in the order in which they were made.
//
// The empty store is at main 1, so the first change is 2.
struct Revision {
  std::int64_t main = 0;
  std::int64_t sub = 0;

  friend auto operator<=>(const Revision&, const Revision&) = default;
};

// The key of a record in Table::records, the same bytes as etcd's, since HashKV covers them:
//
//   record-key = main "_" sub [ "t" ]      ; main and sub: 8 bytes, big-endian; "t": a deletion
//
// Byte order is revision order. The record's value is a serialized mvccpb.KeyValue; a deletion's
// has only the key.
std::string record_key(Revision revision, bool deletion);

struct RecordKey {
  Revision revision;
  bool deletion = false;
};

// Empty if the bytes are no record key.
std::optional<RecordKey> parse_record_key(std::string_view bytes);

}  // namespace conclave::mvcc
