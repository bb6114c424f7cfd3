#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"

namespace conclave::mvcc {

// The tables of a node's store. A key means nothing across tables.
enum class Table : std::uint8_t {
  records,  // revision -> the wire's KeyValue; see revision.h for the key's bytes
  leases,   // lease id -> replicated lease state
  meta,     // applied index, term, compact revision, membership …
};

struct Write {
  Table table;
  std::string key;
  std::optional<std::string> value;  // absent: erase
};

// What reaches the store in one transaction. The owner of the state machine puts the applied index,
// and everything else that must never be older or newer than the records, into the same batch.
struct Batch {
  std::vector<Write> writes;
  std::uint64_t byte_count = 0;  // keys and values, for the bound on what may wait
};

// The storage port of the state machine: an ordered map per table whose changes come in atomic
// batches.
//
// Caveat: commit() is durable when it returns, except that a power cut may take back the *last*
// commit as a whole. So the log must be kept until the commit after the one that contains it, or
// until sync().
//
// Threads: commit() and sync() from one thread; get(), scan() and the sizes from any thread at any
// time. A read sees some committed state, never a part of a batch; a read that starts after
// commit() returned sees that batch. Reads are short: a long one keeps the store from reusing
// space.
//
// Errors: any failed commit or sync is final for the object (Errc::io or Errc::corrupt): the caller
// stops the node. Nothing is retried here.
class Storage {
 public:
  virtual ~Storage() = default;

  virtual Result<void> commit(const Batch& batch) = 0;
  // Makes the last commit survive a power cut too.
  virtual Result<void> sync() = 0;

  virtual Result<std::optional<std::string>> get(Table table, std::string_view key) const = 0;

  // Calls `visit` for the keys of [begin, end) in order until it returns false; an empty `end` is
  // no end. The views are valid during the call only.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Result<void> scan(Table table, std::string_view begin, std::string_view end,
                            const Visitor& visit) const = 0;

  virtual std::uint64_t size_bytes() const = 0;         // of the file
  virtual std::uint64_t size_in_use_bytes() const = 0;  // pages that hold data
};

}  // namespace conclave::mvcc
