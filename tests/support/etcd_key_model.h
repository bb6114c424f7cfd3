#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tests/support/linearizability.h"

namespace conclave::test {

// A key of an etcd store: absent, or a value and the revision that put it there.
//
// Caveats. The keys are absent when the history begins. The history is of linearizable requests of
// one key each, and all that ever changed these keys is in it: no leases expire on them. What the
// store refused (an error that is sure) is left out. A read of unknown outcome says nothing and may
// be left out, too.
//
// All that returned carries the header's revision, so its place among all others is known but for
// those of unknown outcome, and the search is short. Of these the state knows the least revision
// they can have had.
struct EtcdKeyModel {
  enum class Kind {
    put,
    get,
    compare_and_put,  // if the key's mod_revision is `compare_revision` (0: absent) put, else get
    erase,
  };
  struct Args {
    std::string value;                  // put, compare_and_put
    std::int64_t compare_revision = 0;  // compare_and_put
    bool operator==(const Args&) const = default;
  };
  struct Found {
    std::string value;
    std::int64_t mod_revision = 0;
    bool operator==(const Found&) const = default;
  };
  struct Result {
    std::int64_t revision = 0;   // the header's
    std::optional<Found> found;  // get, compare_and_put that did not succeed; none: absent
    bool succeeded = false;      // compare_and_put
    std::int64_t deleted = 0;    // erase
  };
  struct State {
    bool exists = false;
    std::string value;
    std::int64_t mod_revision = 0;    // 0: absent, or put by an operation of unknown outcome
    std::int64_t least_revision = 1;  // the store's is no less; an empty one's is 1
  };

  static State initial() { return {}; }
  static std::optional<State> step(const State& state, const Operation<EtcdKeyModel>& operation);
  static std::optional<std::int64_t> rank(const Operation<EtcdKeyModel>& operation);
  static bool is_over(const State& state, const Operation<EtcdKeyModel>& operation);
  static bool matters(const Operation<EtcdKeyModel>& unknown, const Operation<EtcdKeyModel>& next);
  static bool covers(const State& a, const State& b);
  static std::size_t hash(const State& state);
  static std::string describe_operation(const Operation<EtcdKeyModel>& operation);
  static std::string describe_state(const State& state);
};

using EtcdOperation = Operation<EtcdKeyModel>;

// It returned and made a revision.
bool is_acknowledged_write(const EtcdOperation& operation);

// What the revisions of a whole history say, over all keys, without a search (n log n):
// - a revision is made by one operation, and has one key and value wherever it is read;
// - revisions go the way of real time: what was called after an operation returned has no lower
//   revision, and a write has a higher one;
// - a read sees what the acknowledged writes left at its revision, unless there is an operation of
//   unknown outcome that could have made what it saw.
// Such a finding's excerpt is the operation and what it contradicts.
Verdict check_revisions(std::span<const EtcdOperation> history);

// All there is to check: the revisions, then the search key by key, which is quicker from here than
// by itself.
Verdict check_etcd_history(std::span<const EtcdOperation> history, SearchLimits limits = {});

}  // namespace conclave::test
