#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "conclave/mvcc/revision.h"
#include "conclave/mvcc/storage.h"

namespace conclave::mvcc {

// The writes that the storage has not committed yet, readable by revision: batches that are on
// their way, in order, and the pending one. The bytes are kept once, in the batch itself.
//
// Not thread-safe; a batch handed out is not changed any more.
class Overlay {
 public:
  Overlay();

  // Records must come in the order of their revisions.
  void add_record(Revision revision, bool deletion, std::string value);
  void add_write(Write write);

  const Batch& pending() const { return *parts_.back().batch; }
  std::uint64_t uncommitted_bytes() const { return uncommitted_bytes_; }

  std::shared_ptr<const Batch> take();  // null if the pending batch is empty
  void committed();                     // the oldest batch taken

  // The serialized KeyValue at `revision`, if it is here. Valid until the next change of this
  // object.
  std::optional<std::string_view> find(Revision revision) const;

  // The oldest main revision that has a record here; everything below it is in the storage.
  std::optional<std::int64_t> first_main() const;

  // Calls `visit` for the records from main revision `from` on, in order, until it returns false.
  using Visitor = std::function<bool(std::string_view record_key, std::string_view value)>;
  void visit(std::int64_t from, const Visitor& visit) const;

 private:
  struct Record {
    Revision revision;
    std::size_t position;  // in batch->writes
  };
  struct Part {
    std::shared_ptr<Batch> batch;
    std::vector<Record> records;  // ascending
  };

  std::deque<Part> parts_;  // the last one is pending
  std::uint64_t uncommitted_bytes_ = 0;
};

}  // namespace conclave::mvcc
