#include "tests/api/render.h"

#include <algorithm>
#include <array>
#include <vector>

namespace conclave::test {
namespace {

namespace pb = etcdserverpb;

constexpr std::int64_t kWholeTtlSlackS = 60;
constexpr std::int64_t kWholeTtlSlackPart = 10;

std::string_view name_of(grpc::StatusCode code) {
  constexpr std::array<std::string_view, 17> kNames = {"OK",
                                                       "CANCELLED",
                                                       "UNKNOWN",
                                                       "INVALID_ARGUMENT",
                                                       "DEADLINE_EXCEEDED",
                                                       "NOT_FOUND",
                                                       "ALREADY_EXISTS",
                                                       "PERMISSION_DENIED",
                                                       "RESOURCE_EXHAUSTED",
                                                       "FAILED_PRECONDITION",
                                                       "ABORTED",
                                                       "OUT_OF_RANGE",
                                                       "UNIMPLEMENTED",
                                                       "INTERNAL",
                                                       "UNAVAILABLE",
                                                       "DATA_LOSS",
                                                       "UNAUTHENTICATED"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "?";
}

template <class List, class Write>
std::string list(const List& items, const Write& write) {
  std::string text = "[";
  for (const auto& item : items) {
    if (text.size() > 1) text += ", ";
    text += write(item);
  }
  return text + "]";
}

}  // namespace

std::string printable(std::string_view bytes) {
  constexpr std::size_t kShown = 40;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
  }
  if (bytes.size() > kShown) text += "...(" + std::to_string(bytes.size()) + " bytes)";
  return text;
}

std::string Renderer::operator()(const grpc::Status& status) const {
  return std::string(name_of(status.error_code())) + " " + status.error_message();
}

template <class Response>
std::string Renderer::header(const Response& response) const {
  if (!response.has_header()) return "no header";
  const pb::ResponseHeader& header = response.header();
  const bool named = header.cluster_id() != 0 && header.member_id() != 0 && header.raft_term() != 0;
  const std::string tail = named ? "" : "~";
  return "@" + (header.revision() == 0 ? "-" : revision(header.revision())) + tail;
}

std::string Renderer::kv(const mvccpb::KeyValue& kv) const {
  std::string numbers;
  const auto add = [&numbers](char name, const std::string& value) {
    if (!numbers.empty()) numbers += ' ';
    numbers += name + value;
  };
  if (kv.create_revision() != 0) add('c', revision(kv.create_revision()));
  if (kv.mod_revision() != 0) add('m', revision(kv.mod_revision()));
  if (kv.version() != 0) add('v', std::to_string(kv.version()));
  if (kv.lease() != 0) add('l', std::to_string(kv.lease()));
  return printable(kv.key()) + "=" + printable(kv.value()) + "{" + numbers + "}";
}

std::string Renderer::operator()(const pb::RangeResponse& response) const {
  std::string text = header(response) + " count=" + std::to_string(response.count());
  if (response.more()) text += " more";
  if (!response.kvs().empty()) {
    text += " " + list(response.kvs(), [this](const auto& each) { return kv(each); });
  }
  return text;
}

std::string Renderer::operator()(const pb::PutResponse& response) const {
  std::string text = header(response);
  if (response.has_prev_kv()) text += " prev " + kv(response.prev_kv());
  return text;
}

std::string Renderer::operator()(const pb::DeleteRangeResponse& response) const {
  std::string text = header(response) + " deleted=" + std::to_string(response.deleted());
  if (!response.prev_kvs().empty()) {
    text += " prev " + list(response.prev_kvs(), [this](const auto& each) { return kv(each); });
  }
  return text;
}

std::string Renderer::operation(const pb::ResponseOp& response) const {
  switch (response.response_case()) {
    case pb::ResponseOp::kResponseRange:
      return "range " + (*this)(response.response_range());
    case pb::ResponseOp::kResponsePut:
      return "put " + (*this)(response.response_put());
    case pb::ResponseOp::kResponseDeleteRange:
      return "delete " + (*this)(response.response_delete_range());
    case pb::ResponseOp::kResponseTxn:
      return "txn " + (*this)(response.response_txn());
    default:
      return "nothing";
  }
}

std::string Renderer::operator()(const pb::TxnResponse& response) const {
  return header(response) + (response.succeeded() ? " then " : " else ") +
         list(response.responses(), [this](const auto& each) { return operation(each); });
}

std::string Renderer::operator()(const pb::CompactionResponse& response) const {
  return header(response);
}

std::string Renderer::operator()(const pb::LeaseGrantResponse& response) const {
  return header(response) + " id=" + std::to_string(response.id()) +
         " ttl=" + std::to_string(response.ttl()) + response.error();
}

std::string Renderer::operator()(const pb::LeaseRevokeResponse& response) const {
  return header(response);
}

std::string Renderer::operator()(const pb::LeaseKeepAliveResponse& response) const {
  return header(response) + " id=" + std::to_string(response.id()) +
         " ttl=" + std::to_string(response.ttl());
}

std::string Renderer::operator()(const pb::LeaseTimeToLiveResponse& response) const {
  const std::int64_t granted = response.grantedttl();
  const std::int64_t left = response.ttl();
  const bool whole = left >= 0 && left <= granted &&
                     left + std::max(kWholeTtlSlackS, granted / kWholeTtlSlackPart) > granted;
  std::string text = header(response) + " id=" + std::to_string(response.id()) +
                     " ttl=" + (whole ? "whole" : std::to_string(left)) +
                     " granted=" + std::to_string(granted);
  // etcd names them in no order.
  std::vector<std::string> keys(response.keys().begin(), response.keys().end());
  std::sort(keys.begin(), keys.end());
  if (!keys.empty())
    text += " " + list(keys, [](const std::string& key) { return printable(key); });
  return text;
}

std::string Renderer::operator()(const pb::LeaseLeasesResponse& response) const {
  return header(response) + " " + list(response.leases(), [](const pb::LeaseStatus& lease) {
           return std::to_string(lease.id());
         });
}

std::string Renderer::operator()(const pb::HashKVResponse& response) const {
  return header(response) + " hash=" + std::to_string(response.hash()) +
         " compacted=" + std::to_string(response.compact_revision());
}

std::string Renderer::operator()(const pb::AlarmResponse& response) const {
  // etcd names them in no order.
  std::vector<std::string> alarms;
  for (const pb::AlarmMember& alarm : response.alarms()) {
    alarms.push_back(std::to_string(alarm.memberid()) + " " + pb::AlarmType_Name(alarm.alarm()));
  }
  std::sort(alarms.begin(), alarms.end());
  return list(alarms, [](const std::string& alarm) { return alarm; });
}

std::string Renderer::event(const mvccpb::Event& event) const {
  std::string text = event.type() == mvccpb::Event::PUT ? "put " : "delete ";
  text += kv(event.kv());
  if (event.has_prev_kv()) text += " was " + kv(event.prev_kv());
  return text;
}

std::string Renderer::operator()(const pb::WatchResponse& response) const {
  std::string text = "#" + std::to_string(response.watch_id()) + " " + header(response);
  if (response.created()) text += " created";
  if (response.canceled()) text += " canceled";
  if (response.compact_revision() != 0) {
    text += " compacted=" + revision(response.compact_revision());
  }
  if (!response.cancel_reason().empty()) text += " \"" + response.cancel_reason() + "\"";
  if (response.fragment()) text += " fragment";
  if (!response.events().empty()) {
    text += " " + list(response.events(), [this](const auto& each) { return event(each); });
  }
  return text;
}

}  // namespace conclave::test
