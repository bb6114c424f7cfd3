#include <algorithm>

#include "conclave/cli/format/json_text.h"
#include "conclave/cli/format/printer.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of printers of this package's messages

// Lease replies have the header's fields in the same object: what to_json gives, without its last
// brace.
std::string opened(const ResponseHeader& header) {
  std::string out = to_json(header);
  out.pop_back();
  if (out.size() > 1) out += ',';
  return out;
}

std::string field(std::string_view name, std::int64_t value) {
  return '"' + std::string(name) + "\":" + std::to_string(value);
}

std::string flag(bool value) {
  return value ? "true" : "false";
}

template <class Items, class ToText>
std::string list(const Items& items, ToText to_text) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? "," : "") + to_text(item);
  return out + "]";
}

class JsonPrinter final : public Printer {
 public:
  Result<std::string> get(const RangeResponse& reply) const override { return line(reply); }
  Result<std::string> put(const PutResponse& reply) const override { return line(reply); }
  Result<std::string> del(const DeleteRangeResponse& reply) const override { return line(reply); }
  Result<std::string> txn(const TxnResponse& reply) const override { return line(reply); }
  Result<std::string> alarms(const AlarmResponse& reply) const override { return line(reply); }
  Result<std::string> members(const MemberListResponse& reply) const override {
    return line(reply);
  }
  Result<std::string> member_added(const std::string&,
                                   const MemberAddResponse& reply) const override {
    return line(reply);
  }
  Result<std::string> member_changed(const MemberChange& change) const override {
    return line(change.reply);
  }
  Result<std::string> leader_moved(const LeaderMove& move) const override {
    return line(move.reply);
  }
  Result<std::string> snapshot_saved(const SavedSnapshot& saved) const override {
    return "{\"file\":" + json_quoted(saved.path) + ",\"endpoint\":" + json_quoted(saved.endpoint) +
           ",\"size\":" + std::to_string(saved.size) + ",\"sha256\":" + json_quoted(saved.sha256) +
           "}\n";
  }
  Result<std::string> revoke(std::int64_t, const LeaseRevokeResponse& reply) const override {
    return line(reply);
  }

  Result<std::string> watch(const WatchResponse& reply) const override {
    return "{\"Header\":" + to_json(reply.header()) +
           ",\"Events\":" + list(reply.events(), [](const auto& event) { return to_json(event); }) +
           "," + field("CompactRevision", reply.compact_revision()) +
           ",\"Canceled\":" + flag(reply.canceled()) + ",\"Created\":" + flag(reply.created()) +
           "}\n";
  }

  Result<std::string> grant(const LeaseGrantResponse& reply) const override {
    return opened(reply.header()) + field("ID", reply.id()) + "," + field("TTL", reply.ttl()) +
           ",\"Error\":" + json_quoted(reply.error()) + "}\n";
  }
  Result<std::string> time_to_live(const LeaseTimeToLiveResponse& reply, bool) const override {
    const std::string keys =
        reply.keys_size() == 0
            ? "null"
            : list(reply.keys(), [](const std::string& key) { return '"' + base64(key) + '"'; });
    return opened(reply.header()) + field("id", reply.id()) + "," + field("ttl", reply.ttl()) +
           "," + field("granted-ttl", reply.grantedttl()) + ",\"keys\":" + keys + "}\n";
  }
  Result<std::string> leases(const LeaseLeasesResponse& reply) const override {
    return opened(reply.header()) + "\"leases\":" +
           list(reply.leases(),
                [](const auto& lease) { return "{" + field("id", lease.id()) + "}"; }) +
           "}\n";
  }
  Result<std::string> keep_alive(const LeaseKeepAliveResponse& reply) const override {
    return opened(reply.header()) + field("ID", reply.id()) + "," + field("TTL", reply.ttl()) +
           "}\n";
  }

  Result<std::string> endpoint_status(const std::vector<EndpointStatus>& all) const override {
    return list(all,
                [](const EndpointStatus& one) {
                  return "{\"Endpoint\":" + json_quoted(one.endpoint) +
                         ",\"Status\":" + to_json(one.status) + "}";
                }) +
           "\n";
  }
  Result<std::string> endpoint_health(const std::vector<EndpointHealth>& all) const override {
    return list(all,
                [](const EndpointHealth& one) {
                  std::string out = "{\"endpoint\":" + json_quoted(one.endpoint) +
                                    ",\"health\":" + flag(one.healthy) +
                                    ",\"took\":" + json_quoted(go_duration(one.took));
                  if (!one.error.empty()) out += ",\"error\":" + json_quoted(one.error);
                  return out + "}";
                }) +
           "\n";
  }
  Result<std::string> endpoint_hash(const std::vector<EndpointHash>& all) const override {
    return list(all,
                [](const EndpointHash& one) {
                  return "{\"Endpoint\":" + json_quoted(one.endpoint) +
                         ",\"HashKV\":" + to_json(one.hash) + "}";
                }) +
           "\n";
  }

 private:
  static std::string line(const google::protobuf::Message& message) {
    return to_json(message) + "\n";
  }
};

// The replies' own bytes, as they came.
class ProtobufPrinter final : public Printer {
 public:
  Result<std::string> get(const RangeResponse& r) const override { return r.SerializeAsString(); }
  Result<std::string> put(const PutResponse& r) const override { return r.SerializeAsString(); }
  Result<std::string> del(const DeleteRangeResponse& r) const override {
    return r.SerializeAsString();
  }
  Result<std::string> txn(const TxnResponse& r) const override { return r.SerializeAsString(); }
  Result<std::string> watch(const WatchResponse& r) const override {
    std::string out;
    for (const auto& event : r.events()) out += event.SerializeAsString();
    return out;
  }
  Result<std::string> grant(const LeaseGrantResponse&) const override { return unsupported(); }
  Result<std::string> revoke(std::int64_t, const LeaseRevokeResponse& r) const override {
    return r.SerializeAsString();
  }
  Result<std::string> time_to_live(const LeaseTimeToLiveResponse&, bool) const override {
    return unsupported();
  }
  Result<std::string> leases(const LeaseLeasesResponse&) const override { return unsupported(); }
  Result<std::string> keep_alive(const LeaseKeepAliveResponse&) const override {
    return unsupported();
  }
  Result<std::string> alarms(const AlarmResponse& r) const override {
    return r.SerializeAsString();
  }
  Result<std::string> members(const MemberListResponse& r) const override {
    return r.SerializeAsString();
  }
  Result<std::string> member_added(const std::string&, const MemberAddResponse& r) const override {
    return r.SerializeAsString();
  }
  Result<std::string> member_changed(const MemberChange& change) const override {
    return change.reply.SerializeAsString();
  }
  Result<std::string> leader_moved(const LeaderMove& move) const override {
    return move.reply.SerializeAsString();
  }
  Result<std::string> snapshot_saved(const SavedSnapshot&) const override { return unsupported(); }
  Result<std::string> endpoint_status(const std::vector<EndpointStatus>&) const override {
    return unsupported();
  }
  Result<std::string> endpoint_health(const std::vector<EndpointHealth>&) const override {
    return unsupported();
  }
  Result<std::string> endpoint_hash(const std::vector<EndpointHash>&) const override {
    return unsupported();
  }

 private:
  static Error unsupported() {
    return {Errc::invalid_argument, "--write-out protobuf does not go with this command"};
  }
};

}  // namespace

std::unique_ptr<Printer> make_json_printer() {
  return std::make_unique<JsonPrinter>();
}
std::unique_ptr<Printer> make_protobuf_printer() {
  return std::make_unique<ProtobufPrinter>();
}

}  // namespace conclave::cli
