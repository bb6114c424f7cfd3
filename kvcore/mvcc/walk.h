#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conclave/api/errors.h"
#include "conclave/api/kv.pb.h"
#include "conclave/api/rpc.pb.h"
#include "conclave/mvcc/key_index.h"

namespace conclave::mvcc {

class Store;

// What a record with so long a key and value adds to a response, roughly, on the wire and in
// memory.
constexpr std::uint64_t response_bytes(std::size_t key_bytes, std::size_t value_bytes) {
  constexpr std::uint64_t kBesides = 64;
  return key_bytes + value_bytes + kBesides;
}

// How far one step of a walk goes, counted down on the way. Looking at a key of the index is one of
// `work`, reading a value kWorkOfValue.
struct WalkBudget {
  static constexpr std::size_t kWorkOfValue = 8;

  std::size_t work = 0;
  std::uint64_t bytes = 0;

  static WalkBudget unlimited() {
    return {std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::uint64_t>::max()};
  }
  bool spent() const { return work == 0 || bytes == 0; }
  void take(std::size_t work_done, std::uint64_t bytes_made = 0) {
    work -= std::min(work, work_done);
    bytes -= std::min(bytes, bytes_made);
  }
};

// Keeps what a reader at `revision` sees from being removed, although it may be compacted
// meanwhile. The store must outlive it.
class Hold {
 public:
  Hold(const Store& store, std::int64_t revision);
  Hold(Hold&& other) noexcept : store_(std::exchange(other.store_, nullptr)), at_(other.at_) {}
  Hold& operator=(Hold&&) = delete;
  ~Hold();

 private:
  const Store* store_;
  std::int64_t at_;
};

// One range at one revision, filled into its response step by step, while other changes and
// compactions are applied. Request, response and store must outlive it.
class RangeWalk {
 public:
  // `now` is the newest revision that the reader sees, `compacted` the oldest. Above `bytes_max` it
  // is refused as too large.
  RangeWalk(const Store& store, const etcdserverpb::RangeRequest& request,
            etcdserverpb::RangeResponse& response, std::int64_t now, std::int64_t compacted,
            std::uint64_t bytes_max);

  // True once the response is complete. Refusals: compacted, future_revision, response_too_large,
  // corrupt; the walk is over then. Between two steps its revision must be held.
  api::Reply<bool> step(WalkBudget& budget);

  std::int64_t revision() const { return revision_; }
  // About what the walk has made so far takes up.
  std::uint64_t byte_count() const { return byte_count_; }

 private:
  struct Found {
    std::string_view key;  // lives in the index, for as long as the version found is held
    KeyVersion version;
    std::unique_ptr<mvccpb::KeyValue> record;  // for a sort by value
  };
  struct Cursor {
    std::size_t run;
    std::size_t position;
  };

  bool collect(WalkBudget& budget);
  bool look_at(std::string_view key, const KeyVersion& version, WalkBudget& budget);
  bool emit(std::string_view key, const KeyVersion& version, WalkBudget& budget);
  void close_run();
  bool merge(WalkBudget& budget);
  bool comes_before(const Found& left, const Found& right) const;

  const Store* store_;
  const etcdserverpb::RangeRequest* request_;
  etcdserverpb::RangeResponse* response_;
  std::int64_t now_;
  std::int64_t revision_;
  std::uint64_t bytes_max_;
  std::size_t limit_;      // of what is answered
  std::size_t max_found_;  // of what is looked at beyond its key
  bool sorts_;
  bool collected_ = false;
  std::optional<api::Refusal> refusal_;

  std::optional<std::string> next_key_;  // where the next step goes on
  std::int64_t count_ = 0;
  std::size_t found_count_ = 0;
  std::size_t emitted_ = 0;
  std::uint64_t byte_count_ = 0;

  // A sort: what each step found makes a sorted run, and the runs are merged on the way out. Of a
  // step that reads many values, what is beyond the limit is dropped in between.
  std::vector<Found> run_;
  std::uint64_t run_bytes_ = 0;  // of values
  std::vector<std::vector<Found>> runs_;
  std::vector<Cursor> heap_;
};

// A whole read request, a range or a transaction that is_read_only() (validate.h), at the revision
// that was current when it began. Compares are carried out at once, the ranges in steps. Request,
// response and store must outlive it.
class ReadWalk {
 public:
  ReadWalk(const Store& store, const etcdserverpb::RangeRequest& request,
           etcdserverpb::RangeResponse& response);
  ReadWalk(const Store& store, const etcdserverpb::TxnRequest& request,
           etcdserverpb::TxnResponse& response);

  api::Reply<bool> step(WalkBudget& budget);  // as RangeWalk's; holds its revisions itself
  std::uint64_t byte_count() const {
    return finished_bytes_ + (current_ ? current_->byte_count() : 0);
  }

 private:
  struct Range {
    const etcdserverpb::RangeRequest* request;
    etcdserverpb::RangeResponse* response;
  };
  void lay_out(const etcdserverpb::TxnRequest& request, const std::vector<bool>& branches,
               std::size_t& next_branch, etcdserverpb::TxnResponse& response);
  void hold();

  const Store* store_;
  std::int64_t now_;
  std::int64_t compacted_;
  std::optional<api::Refusal> refusal_;
  std::optional<RangeWalk> current_;
  std::vector<Range> ranges_;  // of a transaction
  std::size_t next_range_ = 0;
  std::uint64_t finished_bytes_ = 0;
  std::optional<Hold> hold_;
};

// etcd's hash over the records up to a revision (0: current), in steps: equal histories hash equal.
// As in etcd, a negative revision is one before everything: there is nothing to hash.
// Store and response must outlive it.
class HashWalk {
 public:
  HashWalk(const Store& store, std::int64_t revision, etcdserverpb::HashKVResponse& response);

  // As RangeWalk's.
  api::Reply<bool> step(WalkBudget& budget);
  std::uint64_t byte_count() const { return 0; }

 private:
  bool find_any_live(WalkBudget& budget);
  bool add(std::string_view key_bytes, std::string_view value, WalkBudget& budget);
  bool is_kept(Revision revision, std::string_view value);

  const Store* store_;
  etcdserverpb::HashKVResponse* response_;
  std::int64_t revision_;
  std::int64_t compacted_;
  std::optional<api::Refusal> refusal_;
  // Of the records at or below the compact revision those count that a reader here sees.
  std::int64_t kept_at_;
  bool kept_known_ = false;
  std::string next_key_;     // of the index
  std::string next_record_;  // of the records
  std::uint32_t hash_;
  bool stopped_ = false;
  std::optional<Hold> hold_;
};

}  // namespace conclave::mvcc
