#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace conclave {

// Plain values of the etcd v3 data model. They own their bytes, mean nothing to a thread and can be
// copied.

using LeaseId = std::int64_t;  // 0: no lease

// A key with the value and the numbers it had at some revision of the store.
struct KeyValue {
  std::string key{};
  std::string value{};
  std::int64_t create_revision = 0;  // of the put that created this generation of the key
  std::int64_t mod_revision = 0;     // of the last put
  std::int64_t version = 0;          // puts since creation, from 1
  LeaseId lease = 0;

  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

enum class SortOrder : std::uint8_t { none, ascending, descending };
enum class SortTarget : std::uint8_t { key, version, create_revision, mod_revision, value };

// A read of one key (empty `range_end`), of [key, range_end), or, with a `range_end` of one zero
// byte, of everything from `key` on. prefix_end() of conclave/base/bytes.h makes the end of a
// prefix.
struct Get {
  std::string key{};
  std::string range_end{};
  std::int64_t limit = 0;     // 0: no limit
  std::int64_t revision = 0;  // 0: now
  SortOrder sort_order = SortOrder::none;
  SortTarget sort_target = SortTarget::key;
  bool serializable = false;  // may be stale: answered by one member from what it has
  bool keys_only = false;
  bool count_only = false;
  std::int64_t min_mod_revision = 0;
  std::int64_t max_mod_revision = 0;
  std::int64_t min_create_revision = 0;
  std::int64_t max_create_revision = 0;
};

struct Put {
  std::string key{};
  std::string value{};
  LeaseId lease = 0;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;
};

struct Delete {
  std::string key{};
  std::string range_end{};
  bool prev_kv = false;
};

// A condition on one key or, with a `range_end`, on every key of a range. An absent key has
// version, revisions and lease 0, and no value: a compare of its value never holds.
struct Compare {
  enum class Target : std::uint8_t { version, create_revision, mod_revision, value, lease };
  enum class Relation : std::uint8_t { equal, greater, less, not_equal };

  std::string key{};
  std::string range_end{};
  Target target = Target::version;
  Relation relation = Relation::equal;
  std::int64_t number = 0;  // for every target but value
  std::string value{};      // for target value
};

struct Txn;
using Op = std::variant<Get, Put, Delete, Txn>;

// If every compare holds, `success` is carried out, else `failure`: atomically, at one revision.
//
//   Txn txn;
//   txn.compares.push_back(created_at("job/owner", 0));
//   txn.success.push_back(Put{.key = "job/owner", .value = "me"});
//   txn.failure.push_back(Get{.key = "job/owner"});
struct Txn {
  std::vector<Compare> compares{};
  std::vector<Op> success{};
  std::vector<Op> failure{};
};

// Holds if the key's create revision is `revision`; 0: if the key does not exist.
inline Compare created_at(std::string key, std::int64_t revision) {
  Compare compare;
  compare.key = std::move(key);
  compare.target = Compare::Target::create_revision;
  compare.number = revision;
  return compare;
}

// Every answer carries the store's revision when it was given.
struct GetResult {
  std::int64_t revision = 0;
  std::vector<KeyValue> kvs;
  bool more = false;       // cut by the limit
  std::int64_t count = 0;  // of all that match, whatever the limit
};

struct PutResult {
  std::int64_t revision = 0;
  std::optional<KeyValue> prev_kv;
};

struct DeleteResult {
  std::int64_t revision = 0;
  std::int64_t deleted = 0;
  std::vector<KeyValue> prev_kvs;
};

struct TxnResult;
using OpResult = std::variant<GetResult, PutResult, DeleteResult, TxnResult>;

struct TxnResult {
  std::int64_t revision = 0;
  bool succeeded = false;
  std::vector<OpResult> results;  // one for each operation of the branch that was taken
};

struct Event {
  enum class Type : std::uint8_t { put, erase };
  Type type = Type::put;
  KeyValue kv;  // of an erase: key and mod_revision only
  std::optional<KeyValue> prev_kv;
};

struct Watch {
  std::string key{};
  std::string range_end{};
  std::int64_t start_revision = 0;  // 0: what comes from now on
  bool prev_kv = false;
  bool no_put = false;
  bool no_delete = false;
  bool progress_notify = false;
};

}  // namespace conclave
