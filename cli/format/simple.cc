#include "conclave/base/bytes.h"
#include "conclave/cli/format/endpoint_rows.h"
#include "conclave/cli/format/member_text.h"
#include "conclave/cli/format/printer.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of printers of this package's messages

std::string lease_hex(std::int64_t id) {
  std::string digits = hex(static_cast<std::uint64_t>(id));
  return std::string(16 - digits.size(), '0') + digits;
}

// As wide as the widest id.
std::string member_hex(std::uint64_t id) {
  const std::string digits = hex(id);
  return std::string(16 - digits.size(), ' ') + digits;
}

std::string_view what_happened(MemberChange::Kind kind) {
  switch (kind) {
    case MemberChange::Kind::removed:
      return " removed from cluster ";
    case MemberChange::Kind::updated:
      return " updated in cluster ";
    case MemberChange::Kind::promoted:
      return " promoted in cluster ";
  }
  return {};
}

class SimplePrinter final : public Printer {
 public:
  explicit SimplePrinter(const PrintOptions& options) : options_(options) {}

  Result<std::string> get(const RangeResponse& reply) const override {
    if (options_.count_only) return std::to_string(reply.count()) + "\n";
    std::string out;
    for (const auto& kv : reply.kvs()) append(out, kv, options_.value_only);
    return out;
  }

  Result<std::string> put(const PutResponse& reply) const override { return put_text(reply); }

  Result<std::string> del(const DeleteRangeResponse& reply) const override {
    return del_text(reply);
  }

  Result<std::string> txn(const TxnResponse& reply) const override { return txn_text(reply); }

  Result<std::string> watch(const WatchResponse& reply) const override {
    std::string out;
    for (const auto& event : reply.events()) {
      out += event.type() == mvccpb::Event::PUT ? "PUT\n" : "DELETE\n";
      if (event.has_prev_kv()) append(out, event.prev_kv());
      append(out, event.kv());
    }
    return out;
  }

  Result<std::string> grant(const LeaseGrantResponse& reply) const override {
    return "lease " + lease_hex(reply.id()) + " granted with TTL(" + std::to_string(reply.ttl()) +
           "s)\n";
  }
  Result<std::string> revoke(std::int64_t id, const LeaseRevokeResponse&) const override {
    return "lease " + lease_hex(id) + " revoked\n";
  }
  Result<std::string> time_to_live(const LeaseTimeToLiveResponse& reply,
                                   bool with_keys) const override {
    const std::string lease = "lease " + lease_hex(reply.id());
    if (reply.grantedttl() == 0 && reply.ttl() == -1) return lease + " already expired\n";
    std::string out = lease + " granted with TTL(" + std::to_string(reply.grantedttl()) +
                      "s), remaining(" + std::to_string(reply.ttl()) + "s)";
    if (!with_keys) return out + "\n";
    out += ", attached keys([";
    for (int i = 0; i < reply.keys_size(); ++i) out += (i == 0 ? "" : " ") + reply.keys(i);
    return out + "])\n";
  }
  Result<std::string> leases(const LeaseLeasesResponse& reply) const override {
    std::string out = "found " + std::to_string(reply.leases_size()) + " leases\n";
    for (const auto& lease : reply.leases()) out += lease_hex(lease.id()) + "\n";
    return out;
  }
  Result<std::string> keep_alive(const LeaseKeepAliveResponse& reply) const override {
    return "lease " + lease_hex(reply.id()) + " keepalived with TTL(" +
           std::to_string(reply.ttl()) + ")\n";
  }

  Result<std::string> alarms(const AlarmResponse& reply) const override {
    std::string out;
    for (const auto& alarm : reply.alarms()) {
      if (alarm.memberid() != 0) out += "memberID:" + std::to_string(alarm.memberid()) + " ";
      if (alarm.alarm() != NONE) out += "alarm:" + AlarmType_Name(alarm.alarm()) + " ";
      out += "\n";
    }
    return out;
  }
  Result<std::string> members(const MemberListResponse& reply) const override {
    return lines(member_rows(reply));
  }
  Result<std::string> member_added(const std::string& name,
                                   const MemberAddResponse& reply) const override {
    return "Member " + member_hex(reply.member().id()) + " added to cluster " +
           member_hex(reply.header().cluster_id()) + "\n\nETCD_NAME=" + go_quoted(name) +
           "\nETCD_INITIAL_CLUSTER=" + go_quoted(initial_cluster(name, reply)) +
           "\nETCD_INITIAL_ADVERTISE_PEER_URLS=" +
           go_quoted(joined(reply.member().peerurls(), ",")) +
           "\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n";
  }
  Result<std::string> member_changed(const MemberChange& change) const override {
    return "Member " + member_hex(change.member) + std::string(what_happened(change.kind)) +
           member_hex(change.reply.header().cluster_id()) + "\n";
  }
  Result<std::string> leader_moved(const LeaderMove& move) const override {
    return "Leadership transferred from " + hex(move.from) + " to " + hex(move.to) + "\n";
  }
  Result<std::string> snapshot_saved(const SavedSnapshot& saved) const override {
    return "Snapshot saved at " + saved.path + "\n" + std::to_string(saved.size) + " bytes from " +
           saved.endpoint + ", sha256 " + saved.sha256 + "\n";
  }
  Result<std::string> endpoint_status(const std::vector<EndpointStatus>& all) const override {
    return lines(status_rows(all, InUse::hidden));
  }
  Result<std::string> endpoint_health(const std::vector<EndpointHealth>& all) const override {
    std::string out;
    for (const EndpointHealth& health : all) {
      out += health.endpoint;
      out += health.healthy ? " is healthy: successfully committed proposal: took = " +
                                  go_duration(health.took)
                            : " is unhealthy: failed to commit proposal: " + health.error;
      out += "\n";
    }
    return out;
  }
  Result<std::string> endpoint_hash(const std::vector<EndpointHash>& all) const override {
    return lines(hash_rows(all));
  }

 private:
  std::string shown(const std::string& bytes) const {
    return options_.hex ? hex_bytes(bytes) : bytes;
  }
  void append(std::string& out, const mvccpb::KeyValue& kv, bool value_only = false) const {
    if (!value_only) out += shown(kv.key()) + "\n";
    out += shown(kv.value()) + "\n";
  }
  static std::string lines(const Rows& rows) {
    std::string out;
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < row.size(); ++i) out += (i == 0 ? "" : ", ") + row[i];
      out += "\n";
    }
    return out;
  }
  std::string range_text(const RangeResponse& reply) const {
    std::string out;
    for (const auto& kv : reply.kvs()) append(out, kv);
    return out;
  }
  std::string put_text(const PutResponse& reply) const {
    std::string out = "OK\n";
    if (reply.has_prev_kv()) append(out, reply.prev_kv());
    return out;
  }
  std::string del_text(const DeleteRangeResponse& reply) const {
    std::string out = std::to_string(reply.deleted()) + "\n";
    for (const auto& kv : reply.prev_kvs()) append(out, kv);
    return out;
  }
  // NOLINTNEXTLINE(misc-no-recursion): as deep as the transaction that was sent
  std::string txn_text(const TxnResponse& reply) const {
    std::string out = reply.succeeded() ? "SUCCESS\n" : "FAILURE\n";
    for (const auto& response : reply.responses()) {
      out += "\n";
      if (response.has_response_range()) out += range_text(response.response_range());
      if (response.has_response_put()) out += put_text(response.response_put());
      if (response.has_response_delete_range()) out += del_text(response.response_delete_range());
      if (response.has_response_txn()) out += txn_text(response.response_txn());
    }
    return out;
  }

  PrintOptions options_;
};

}  // namespace

std::unique_ptr<Printer> make_simple_printer(const PrintOptions& options) {
  return std::make_unique<SimplePrinter>(options);
}

}  // namespace conclave::cli
