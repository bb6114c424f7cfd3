#include "tests/api/fuzz/steps.h"

#include <array>
#include <string_view>

#include "tests/api/fuzz/known_differences.h"

namespace conclave::test {
namespace {

namespace pb = etcdserverpb;
using namespace std::string_view_literals;

constexpr int kMaxNesting = 2;

class Draw {
 public:
  Draw(Random& random, const StoreState& state) : random_(random), state_(state) {}

  Step step() {
    if (one_in(state_.raised.empty() ? 60 : 8)) return alarm();
    if (one_in(60)) return hash_kv();
    const std::uint64_t kind = random_.below(100);
    if (kind < 22) return range();
    if (kind < 42) return put();
    if (kind < 50) return delete_range();
    if (kind < 70) return whole_txn();
    if (kind < 73) return compact();
    if (kind < 86) return lease_step();
    if (!state_.with_watches) return whole_txn();
    if (kind < 99) return stream_step();
    return ReopenStep{stream()};
  }

 private:
  bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low +
           static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(high - low + 1)));
  }
  template <std::size_t n>
  std::string one_of(const std::array<std::string_view, n>& choices) {
    return std::string(choices[random_.below(n)]);
  }
  int stream() { return static_cast<int>(random_.below(kStreams)); }

  std::string key() {
    if (one_in(60)) return "";
    return one_of(std::array{"a"sv, "ab"sv, "b"sv, "b\0"sv, "c"sv, "d"sv, "\xff"sv});
  }
  std::string range_end() {
    if (one_in(2)) return "";
    return one_of(std::array{"\0"sv, "\0"sv, "a"sv, "b"sv, "c"sv, "z"sv});
  }
  std::string value() { return one_of(std::array{""sv, "1"sv, "2"sv, "3"sv, "30"sv}); }
  std::int64_t lease() {
    if (one_in(40)) return 99;  // never granted
    const std::int64_t id = between(1, 4);
    return id == 4 ? -4 : id;
  }
  std::int64_t revision() {
    switch (random_.below(10)) {
      case 0:
        return state_.current;
      case 1:
        return state_.compacted + between(-1, 1);
      case 2:
        return state_.current + between(1, 2);
      case 3:
        return one_in(4) ? -1 : 0;
      default:
        return state_.current - between(0, 8);
    }
  }

  pb::RangeRequest range() {
    pb::RangeRequest request;
    request.set_key(key());
    request.set_range_end(range_end());
    if (one_in(3)) request.set_revision(revision());
    if (one_in(3)) request.set_limit(between(-1, 4));
    if (one_in(3)) {
      request.set_sort_order(static_cast<pb::RangeRequest::SortOrder>(random_.below(3)));
      request.set_sort_target(static_cast<pb::RangeRequest::SortTarget>(random_.below(5)));
    }
    request.set_serializable(one_in(4));
    request.set_keys_only(one_in(5));
    request.set_count_only(one_in(8));
    if (one_in(8)) request.set_min_mod_revision(revision());
    if (one_in(8)) request.set_max_mod_revision(revision());
    if (one_in(8)) request.set_min_create_revision(revision());
    if (one_in(8)) request.set_max_create_revision(revision());
    return request;
  }

  pb::PutRequest put() {
    pb::PutRequest request;
    request.set_key(key());
    request.set_value(value());
    if (one_in(3)) request.set_lease(lease());
    request.set_prev_kv(one_in(3));
    if (keys_may_vanish_) return request;
    if (one_in(8)) {
      request.set_ignore_value(true);
      if (!one_in(4)) request.clear_value();
    }
    if (one_in(8)) {
      request.set_ignore_lease(true);
      if (!one_in(4)) request.clear_lease();
    }
    return request;
  }

  pb::DeleteRangeRequest delete_range() {
    pb::DeleteRangeRequest request;
    request.set_key(key());
    request.set_range_end(range_end());
    if (in_txn_ && !keys_may_vanish_ && request.range_end() == "\0"sv) request.clear_range_end();
    request.set_prev_kv(one_in(2));
    return request;
  }

  pb::Compare compare() {
    pb::Compare compare;
    compare.set_key(key());
    if (one_in(4)) compare.set_range_end(range_end());
    compare.set_result(static_cast<pb::Compare::CompareResult>(random_.below(4)));
    compare.set_target(static_cast<pb::Compare::CompareTarget>(random_.below(5)));
    if (one_in(50)) compare.set_result(static_cast<pb::Compare::CompareResult>(9));
    if (one_in(50)) compare.set_target(static_cast<pb::Compare::CompareTarget>(9));
    // Now and then an operand that does not go with the target, or none.
    switch (one_in(15) ? random_.below(6) : static_cast<std::uint64_t>(compare.target())) {
      case pb::Compare::VERSION:
        compare.set_version(between(0, 3));
        break;
      case pb::Compare::CREATE:
        compare.set_create_revision(one_in(3) ? 0 : revision());
        break;
      case pb::Compare::MOD:
        compare.set_mod_revision(one_in(3) ? 0 : revision());
        break;
      case pb::Compare::VALUE:
        compare.set_value(value());
        break;
      case pb::Compare::LEASE:
        compare.set_lease(one_in(2) ? 0 : lease());
        break;
      default:
        break;
    }
    return compare;
  }

  pb::RequestOp operation(int nesting) {
    pb::RequestOp operation;
    const std::uint64_t kind = random_.below(20);
    if (kind < 7 && may_put(nesting)) {
      *operation.mutable_request_put() = put();
    } else if (kind < 13) {
      *operation.mutable_request_range() = range();
    } else if (kind < 16) {
      *operation.mutable_request_delete_range() = delete_range();
    } else if (nesting < kMaxNesting && may_nest() && !one_in(30)) {
      *operation.mutable_request_txn() = txn(nesting + 1);
    }
    return operation;
  }

  pb::TxnRequest whole_txn() {
    in_txn_ = true;
    keys_may_vanish_ = one_in(2);
    pb::TxnRequest request = txn(0);
    if (one_in(40)) {
      // About as many as are allowed; a nested one finds little left, or nothing.
      const std::int64_t count = between(120, 130);
      while (request.failure_size() < count)
        *request.add_failure()->mutable_request_range() = range();
    }
    return request;
  }

  // etcd takes any nested transaction for a write, which CORRUPT refuses.
  bool may_nest() const { return state_.raised.empty() || state_.alarm != pb::CORRUPT; }
  // While the store counts as full, etcd overlooks the puts of nested transactions.
  bool may_put(int nesting) const {
    return nesting == 0 || state_.raised.empty() || state_.alarm != pb::NOSPACE;
  }

  pb::TxnRequest txn(int nesting) {
    pb::TxnRequest request;
    for (std::int64_t i = between(0, 2); i > 0; --i) *request.add_compare() = compare();
    for (std::int64_t i = between(0, 3); i > 0; --i) *request.add_success() = operation(nesting);
    for (std::int64_t i = between(0, 3); i > 0; --i) *request.add_failure() = operation(nesting);
    return request;
  }

  pb::CompactionRequest compact() {
    pb::CompactionRequest request;
    request.set_revision(revision());
    request.set_physical(one_in(2));
    return request;
  }

  pb::HashKVRequest hash_kv() {
    pb::HashKVRequest request;
    request.set_revision(comparable_hash_revision(revision(), state_.compacted));
    return request;
  }

  pb::AlarmRequest alarm() {
    pb::AlarmRequest request;
    const std::uint64_t kind = random_.below(8);
    if (kind == 0) {
      request.set_alarm(static_cast<pb::AlarmType>(random_.below(3)));
      return request;
    }
    const bool raise = state_.raised.empty() ? kind < 7 : kind < 3;
    request.set_action(raise ? pb::AlarmRequest::ACTIVATE : pb::AlarmRequest::DEACTIVATE);
    request.set_alarm(state_.alarm);
    request.set_memberid(static_cast<std::uint64_t>(between(5, 7)));
    if (!raise && !state_.raised.empty() && one_in(2)) {
      request.set_memberid(*state_.raised.begin());
    }
    return request;
  }

  Step lease_step() {
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        pb::LeaseGrantRequest request;
        request.set_id(lease());
        if (request.id() == 99) request.set_id(1);
        // Long enough that none expires.
        request.set_ttl(one_in(20) ? 9'000'000'000 + between(0, 1) : between(1000, 1'000'000));
        return request;
      }
      case 4:
      case 5: {
        pb::LeaseRevokeRequest request;
        request.set_id(lease());
        return request;
      }
      case 6: {
        pb::LeaseKeepAliveRequest request;
        request.set_id(lease());
        return request;
      }
      case 7:
        return pb::LeaseLeasesRequest{};
      default: {
        pb::LeaseTimeToLiveRequest request;
        request.set_id(lease());
        request.set_keys(one_in(2));
        return request;
      }
    }
  }

  Step stream_step() {
    StreamStep step{stream(), {}};
    if (one_in(3)) {
      step.request.mutable_cancel_request()->set_watch_id(between(0, 5));
      return step;
    }
    pb::WatchCreateRequest& create = *step.request.mutable_create_request();
    create.set_key(key());
    create.set_range_end(range_end());
    if (one_in(2)) {
      create.set_start_revision(comparable_start_revision(revision(), state_.compacted));
    }
    if (one_in(4)) {
      create.add_filters(static_cast<pb::WatchCreateRequest::FilterType>(random_.below(2)));
    }
    create.set_prev_kv(one_in(2));
    create.set_fragment(one_in(4));
    if (one_in(3)) create.set_watch_id(between(0, 5));
    return step;
  }

  Random& random_;
  const StoreState& state_;
  bool in_txn_ = false;
  // The transaction may delete to an open end, which can take a key from a put that follows; such
  // puts rely on nothing. See known_differences.h.
  bool keys_may_vanish_ = false;
};

}  // namespace

Step draw_step(Random& random, const StoreState& state) {
  return Draw(random, state).step();
}

std::string describe(const Step& step) {
  if (const auto* reopen = std::get_if<ReopenStep>(&step)) {
    return "reopen stream " + std::to_string(reopen->stream);
  }
  if (const auto* asked = std::get_if<StreamStep>(&step)) {
    return "stream " + std::to_string(asked->stream) + ": " + asked->request.ShortDebugString();
  }
  return std::visit(
      [](const auto& request) -> std::string {
        if constexpr (std::is_base_of_v<google::protobuf::Message,
                                        std::decay_t<decltype(request)>>) {
          return request.GetDescriptor()->name() + " { " + request.ShortDebugString() + " }";
        } else {
          return "";
        }
      },
      step);
}

}  // namespace conclave::test
