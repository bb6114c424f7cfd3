#include "conclave/client/convert.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

namespace conclave::client {

namespace {

using WireCompare = etcdserverpb::Compare;

WireCompare compare_to_wire(const Compare& compare) {
  WireCompare out;
  out.set_key(compare.key);
  out.set_range_end(compare.range_end);
  switch (compare.relation) {
    case Compare::Relation::equal:
      out.set_result(WireCompare::EQUAL);
      break;
    case Compare::Relation::greater:
      out.set_result(WireCompare::GREATER);
      break;
    case Compare::Relation::less:
      out.set_result(WireCompare::LESS);
      break;
    case Compare::Relation::not_equal:
      out.set_result(WireCompare::NOT_EQUAL);
      break;
  }
  switch (compare.target) {
    case Compare::Target::version:
      out.set_target(WireCompare::VERSION);
      out.set_version(compare.number);
      break;
    case Compare::Target::create_revision:
      out.set_target(WireCompare::CREATE);
      out.set_create_revision(compare.number);
      break;
    case Compare::Target::mod_revision:
      out.set_target(WireCompare::MOD);
      out.set_mod_revision(compare.number);
      break;
    case Compare::Target::value:
      out.set_target(WireCompare::VALUE);
      out.set_value(compare.value);
      break;
    case Compare::Target::lease:
      out.set_target(WireCompare::LEASE);
      out.set_lease(compare.number);
      break;
  }
  return out;
}

etcdserverpb::RequestOp op_to_wire(const Op& op) {
  etcdserverpb::RequestOp out;
  std::visit(
      [&out](const auto& request) {
        using T = std::decay_t<decltype(request)>;
        if constexpr (std::is_same_v<T, Get>) *out.mutable_request_range() = to_wire(request);
        if constexpr (std::is_same_v<T, Put>) *out.mutable_request_put() = to_wire(request);
        if constexpr (std::is_same_v<T, Delete>) {
          *out.mutable_request_delete_range() = to_wire(request);
        }
        if constexpr (std::is_same_v<T, Txn>) *out.mutable_request_txn() = to_wire(request);
      },
      op);
  return out;
}

KeyValue kv_from_wire(mvccpb::KeyValue& kv) {
  return {.key = std::move(*kv.mutable_key()),
          .value = std::move(*kv.mutable_value()),
          .create_revision = kv.create_revision(),
          .mod_revision = kv.mod_revision(),
          .version = kv.version(),
          .lease = kv.lease()};
}

OpResult op_from_wire(etcdserverpb::ResponseOp& reply) {
  if (reply.has_response_put()) return from_wire(*reply.mutable_response_put());
  if (reply.has_response_delete_range()) return from_wire(*reply.mutable_response_delete_range());
  if (reply.has_response_txn()) return from_wire(*reply.mutable_response_txn());
  return from_wire(*reply.mutable_response_range());
}

etcdserverpb::RangeRequest::SortTarget target_to_wire(SortTarget target) {
  switch (target) {
    case SortTarget::key:
      return etcdserverpb::RangeRequest::KEY;
    case SortTarget::version:
      return etcdserverpb::RangeRequest::VERSION;
    case SortTarget::create_revision:
      return etcdserverpb::RangeRequest::CREATE;
    case SortTarget::mod_revision:
      return etcdserverpb::RangeRequest::MOD;
    case SortTarget::value:
      return etcdserverpb::RangeRequest::VALUE;
  }
  return etcdserverpb::RangeRequest::KEY;
}

etcdserverpb::RangeRequest::SortOrder order_to_wire(SortOrder order) {
  switch (order) {
    case SortOrder::none:
      return etcdserverpb::RangeRequest::NONE;
    case SortOrder::ascending:
      return etcdserverpb::RangeRequest::ASCEND;
    case SortOrder::descending:
      return etcdserverpb::RangeRequest::DESCEND;
  }
  return etcdserverpb::RangeRequest::NONE;
}

}  // namespace

etcdserverpb::RangeRequest to_wire(const Get& get) {
  etcdserverpb::RangeRequest out;
  out.set_key(get.key);
  out.set_range_end(get.range_end);
  out.set_limit(get.limit);
  out.set_revision(get.revision);
  out.set_sort_order(order_to_wire(get.sort_order));
  out.set_sort_target(target_to_wire(get.sort_target));
  out.set_serializable(get.serializable);
  out.set_keys_only(get.keys_only);
  out.set_count_only(get.count_only);
  out.set_min_mod_revision(get.min_mod_revision);
  out.set_max_mod_revision(get.max_mod_revision);
  out.set_min_create_revision(get.min_create_revision);
  out.set_max_create_revision(get.max_create_revision);
  return out;
}

etcdserverpb::PutRequest to_wire(const Put& put) {
  etcdserverpb::PutRequest out;
  out.set_key(put.key);
  out.set_value(put.value);
  out.set_lease(put.lease);
  out.set_prev_kv(put.prev_kv);
  out.set_ignore_value(put.ignore_value);
  out.set_ignore_lease(put.ignore_lease);
  return out;
}

etcdserverpb::DeleteRangeRequest to_wire(const Delete& erase) {
  etcdserverpb::DeleteRangeRequest out;
  out.set_key(erase.key);
  out.set_range_end(erase.range_end);
  out.set_prev_kv(erase.prev_kv);
  return out;
}

etcdserverpb::TxnRequest to_wire(const Txn& txn) {
  etcdserverpb::TxnRequest out;
  for (const Compare& compare : txn.compares) *out.add_compare() = compare_to_wire(compare);
  for (const Op& op : txn.success) *out.add_success() = op_to_wire(op);
  for (const Op& op : txn.failure) *out.add_failure() = op_to_wire(op);
  return out;
}

etcdserverpb::WatchCreateRequest to_wire(const Watch& watch) {
  etcdserverpb::WatchCreateRequest out;
  out.set_key(watch.key);
  out.set_range_end(watch.range_end);
  out.set_prev_kv(watch.prev_kv);
  out.set_progress_notify(watch.progress_notify);
  // A revision of many megabytes comes in pieces rather than not at all.
  out.set_fragment(true);
  if (watch.no_put) out.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  if (watch.no_delete) out.add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  return out;
}

GetResult from_wire(etcdserverpb::RangeResponse& reply) {
  GetResult out{.revision = reply.header().revision(),
                .kvs = {},
                .more = reply.more(),
                .count = reply.count()};
  out.kvs.reserve(static_cast<std::size_t>(reply.kvs_size()));
  for (mvccpb::KeyValue& kv : *reply.mutable_kvs()) out.kvs.push_back(kv_from_wire(kv));
  return out;
}

PutResult from_wire(etcdserverpb::PutResponse& reply) {
  PutResult out{.revision = reply.header().revision(), .prev_kv = {}};
  if (reply.has_prev_kv()) out.prev_kv = kv_from_wire(*reply.mutable_prev_kv());
  return out;
}

DeleteResult from_wire(etcdserverpb::DeleteRangeResponse& reply) {
  DeleteResult out{
      .revision = reply.header().revision(), .deleted = reply.deleted(), .prev_kvs = {}};
  for (mvccpb::KeyValue& kv : *reply.mutable_prev_kvs()) out.prev_kvs.push_back(kv_from_wire(kv));
  return out;
}

TxnResult from_wire(etcdserverpb::TxnResponse& reply) {
  TxnResult out{
      .revision = reply.header().revision(), .succeeded = reply.succeeded(), .results = {}};
  for (etcdserverpb::ResponseOp& op : *reply.mutable_responses()) {
    out.results.push_back(op_from_wire(op));
  }
  return out;
}

Event from_wire(mvccpb::Event& event) {
  Event out{.type = event.type() == mvccpb::Event::DELETE ? Event::Type::erase : Event::Type::put,
            .kv = kv_from_wire(*event.mutable_kv()),
            .prev_kv = {}};
  if (event.has_prev_kv()) out.prev_kv = kv_from_wire(*event.mutable_prev_kv());
  return out;
}

bool is_read_only(const Txn& txn) {
  const auto reads = [](const Op& op) {
    if (const Txn* nested = std::get_if<Txn>(&op)) return is_read_only(*nested);
    return std::holds_alternative<Get>(op);
  };
  return std::ranges::all_of(txn.success, reads) && std::ranges::all_of(txn.failure, reads);
}

}  // namespace conclave::client
