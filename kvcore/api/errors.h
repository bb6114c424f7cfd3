#pragma once

#include <cstdint>
#include <string_view>

#include "conclave/base/result.h"

namespace conclave::api {

// Every refusal that the server can give to a client. etcd's clients match on the message text, so
// text and gRPC code stand together in one table (errors.cc) and nowhere else. Members tell each
// other its number, so a new one comes last.
enum class Refusal : std::uint8_t {
  empty_key,
  key_not_found,   // ignore_value or ignore_lease on an absent key; an operation without a request
  value_provided,  // ignore_value together with a value
  lease_provided,  // ignore_lease together with a lease
  too_many_operations,
  duplicate_key,
  compacted,
  future_revision,
  no_space,
  invalid_sort_option,
  lease_not_found,
  lease_exists,
  lease_ttl_too_large,
  request_too_large,
  response_too_large,
  not_defragmented,
  too_many_requests,
  timeout,
  no_leader,
  not_leader,
  leader_changed,
  stopped,
  corrupt,
  member_not_found,
  member_urls_invalid,
  member_urls_taken,
  too_many_learners,
  not_a_learner,
  learner_not_ready,
  learner_serves_little,
  not_enough_started,
  bad_transferee,
  unhealthy,
  watch_canceled,
  authentication_not_enabled,
  leader_transfer_timeout,
  done_without_response,  // a change whose response is too large to be sent
};

// The same numbers as grpc::StatusCode, without gRPC.
enum class StatusCode : int {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

struct RefusalText {
  StatusCode code;
  std::string_view text;
};

RefusalText text_of(Refusal refusal);

// What the state machine answers: a reply, or the refusal that the client is told.
template <class T>
using Reply = Result<T, Refusal>;

// Reasons that a watch is cancelled with; they travel in WatchResponse.cancel_reason.
inline constexpr std::string_view kWatchDuplicateId =
    "mvcc: duplicate watch ID provided on the WatchStream";
inline constexpr std::string_view kWatchEmptyRange = "mvcc: watcher range is empty";
inline constexpr std::string_view kWatchTooManyStreams =
    "too many watch streams; the limit of this server is --max-watch-streams";
inline constexpr std::string_view kWatchTooManyWatchers =
    "too many watchers on one stream; the limit of this server is --max-watchers-per-stream";
inline constexpr std::string_view kWatchTooLongKeys =
    "the keys of all watchers together are too long for this server";

}  // namespace conclave::api
