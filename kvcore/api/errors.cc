#include "conclave/api/errors.h"

namespace conclave::api {

// Some have the code `unknown` because etcd's own table leaves them out.
RefusalText text_of(Refusal refusal) {
  using enum StatusCode;
  switch (refusal) {
    case Refusal::empty_key:
      return {invalid_argument, "etcdserver: key is not provided"};
    case Refusal::key_not_found:
      return {invalid_argument, "etcdserver: key not found"};
    case Refusal::value_provided:
      return {invalid_argument, "etcdserver: value is provided"};
    case Refusal::lease_provided:
      return {invalid_argument, "etcdserver: lease is provided"};
    case Refusal::too_many_operations:
      return {invalid_argument, "etcdserver: too many operations in txn request"};
    case Refusal::duplicate_key:
      return {invalid_argument, "etcdserver: duplicate key given in txn request"};
    case Refusal::compacted:
      return {out_of_range, "etcdserver: mvcc: required revision has been compacted"};
    case Refusal::future_revision:
      return {out_of_range, "etcdserver: mvcc: required revision is a future revision"};
    case Refusal::no_space:
      return {resource_exhausted, "etcdserver: mvcc: database space exceeded"};
    case Refusal::invalid_sort_option:
      return {invalid_argument, "etcdserver: invalid sort option"};
    case Refusal::lease_not_found:
      return {not_found, "etcdserver: requested lease not found"};
    case Refusal::lease_exists:
      return {failed_precondition, "etcdserver: lease already exists"};
    case Refusal::lease_ttl_too_large:
      return {out_of_range, "etcdserver: too large lease TTL"};
    case Refusal::request_too_large:
      return {invalid_argument, "etcdserver: request is too large"};
    case Refusal::response_too_large:
      return {resource_exhausted,
              "etcdserver: response is too large: set a limit and read the rest in further calls"};
    case Refusal::not_defragmented:
      return {unavailable,
              "etcdserver: no copy of the store could be made, and nothing was changed: is there "
              "room for it on the disk?"};
    case Refusal::too_many_requests:
      return {unknown, "etcdserver: too many requests"};
    case Refusal::timeout:
      return {unavailable, "etcdserver: request timed out"};
    case Refusal::no_leader:
      return {unavailable, "etcdserver: no leader"};
    case Refusal::not_leader:
      return {failed_precondition, "etcdserver: not leader"};
    case Refusal::leader_changed:
      return {unavailable, "etcdserver: leader changed"};
    case Refusal::stopped:
      return {unavailable, "etcdserver: server stopped"};
    case Refusal::corrupt:
      return {data_loss, "etcdserver: corrupt cluster"};
    case Refusal::member_not_found:
      return {not_found, "etcdserver: member not found"};
    case Refusal::member_urls_invalid:
      return {invalid_argument, "etcdserver: given member URLs are invalid"};
    case Refusal::member_urls_taken:
      return {failed_precondition, "etcdserver: Peer URLs already exists"};
    case Refusal::too_many_learners:
      return {failed_precondition, "etcdserver: too many learner members in cluster"};
    case Refusal::not_a_learner:
      return {failed_precondition, "etcdserver: can only promote a learner member"};
    case Refusal::learner_not_ready:
      return {failed_precondition,
              "etcdserver: can only promote a learner member which is in sync with leader"};
    case Refusal::learner_serves_little:
      return {failed_precondition, "etcdserver: rpc not supported for learner"};
    case Refusal::not_enough_started:
      return {unknown, "etcdserver: re-configuration failed due to not enough started members"};
    case Refusal::bad_transferee:
      return {failed_precondition, "etcdserver: bad leader transferee"};
    case Refusal::unhealthy:
      return {unavailable, "etcdserver: unhealthy cluster"};
    case Refusal::watch_canceled:
      return {cancelled, "etcdserver: watch canceled"};
    case Refusal::authentication_not_enabled:
      return {failed_precondition, "etcdserver: authentication is not enabled"};
    case Refusal::leader_transfer_timeout:
      return {unknown, "etcdserver: request timed out, leader transfer took too long"};
    case Refusal::done_without_response:
      return {resource_exhausted,
              "etcdserver: the request was carried out, but its response is too large"};
  }
  return {unknown, "etcdserver: unknown refusal"};
}

}  // namespace conclave::api
