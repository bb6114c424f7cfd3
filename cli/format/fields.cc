#include "conclave/cli/format/member_text.h"
#include "conclave/cli/format/printer.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of printers of this package's messages

void add(std::string& out, std::string_view name, std::string_view value) {
  out += '"';
  out += name;
  out += "\" : ";
  out += value;
  out += '\n';
}
template <std::integral Number>
void add_number(std::string& out, std::string_view name, Number value) {
  add(out, name, std::to_string(value));
}
void add_flag(std::string& out, std::string_view name, bool value) {
  add(out, name, value ? "true" : "false");
}
void add_text(std::string& out, std::string_view name, std::string_view value) {
  add(out, name, go_quoted(value));
}

void add_header(std::string& out, const ResponseHeader& header) {
  add_number(out, "ClusterID", header.cluster_id());
  add_number(out, "MemberID", header.member_id());
  add_number(out, "Revision", header.revision());
  add_number(out, "RaftTerm", header.raft_term());
}

void add_kv(std::string& out, const std::string& before, const mvccpb::KeyValue& kv) {
  add_text(out, before + "Key", kv.key());
  add_number(out, before + "CreateRevision", kv.create_revision());
  add_number(out, before + "ModRevision", kv.mod_revision());
  add_number(out, before + "Version", kv.version());
  add_text(out, before + "Value", kv.value());
  add_number(out, before + "Lease", kv.lease());
}

void add_member(std::string& out, const Member& member) {
  add_number(out, "ID", member.id());
  add_text(out, "Name", member.name());
  for (const std::string& url : member.peerurls()) add_text(out, "PeerURL", url);
  for (const std::string& url : member.clienturls()) add_text(out, "ClientURL", url);
  add_flag(out, "IsLearner", member.islearner());
  out += "\n";
}

class FieldsPrinter final : public Printer {
 public:
  Result<std::string> get(const RangeResponse& reply) const override { return range_text(reply); }
  Result<std::string> put(const PutResponse& reply) const override { return put_text(reply); }
  Result<std::string> del(const DeleteRangeResponse& reply) const override {
    return del_text(reply);
  }
  Result<std::string> txn(const TxnResponse& reply) const override { return txn_text(reply); }

  Result<std::string> watch(const WatchResponse& reply) const override {
    std::string out;
    add_header(out, reply.header());
    for (const auto& event : reply.events()) {
      add(out, "Type", event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE");
      if (event.has_prev_kv()) add_kv(out, "Prev", event.prev_kv());
      add_kv(out, "", event.kv());
    }
    return out;
  }

  Result<std::string> grant(const LeaseGrantResponse& reply) const override {
    return lease_text(reply);
  }
  Result<std::string> revoke(std::int64_t, const LeaseRevokeResponse& reply) const override {
    std::string out;
    add_header(out, reply.header());
    return out;
  }
  Result<std::string> time_to_live(const LeaseTimeToLiveResponse& reply, bool) const override {
    std::string out = lease_text(reply);
    add_number(out, "GrantedTTL", reply.grantedttl());
    for (const std::string& key : reply.keys()) add_text(out, "Key", key);
    return out;
  }
  Result<std::string> leases(const LeaseLeasesResponse& reply) const override {
    std::string out;
    add_header(out, reply.header());
    for (const auto& lease : reply.leases()) add_number(out, "ID", lease.id());
    return out;
  }
  Result<std::string> keep_alive(const LeaseKeepAliveResponse& reply) const override {
    return lease_text(reply);
  }

  Result<std::string> alarms(const AlarmResponse& reply) const override {
    std::string out;
    add_header(out, reply.header());
    for (const auto& alarm : reply.alarms()) {
      add_number(out, "MemberID", alarm.memberid());
      add(out, "AlarmType", AlarmType_Name(alarm.alarm()));
      out += "\n";
    }
    return out;
  }
  Result<std::string> members(const MemberListResponse& reply) const override {
    std::string out;
    add_header(out, reply.header());
    for (const auto& member : reply.members()) add_member(out, member);
    return out;
  }
  Result<std::string> member_added(const std::string& name,
                                   const MemberAddResponse& reply) const override {
    std::string out;
    add_header(out, reply.header());
    add_member(out, reply.member());
    add_text(out, "InitialCluster", initial_cluster(name, reply));
    return out;
  }
  Result<std::string> member_changed(const MemberChange& change) const override {
    return members(change.reply);
  }
  Result<std::string> leader_moved(const LeaderMove& move) const override {
    std::string out;
    add_number(out, "FormerLeader", move.from);
    add_number(out, "Leader", move.to);
    return out;
  }
  Result<std::string> snapshot_saved(const SavedSnapshot& saved) const override {
    std::string out;
    add_text(out, "File", saved.path);
    add_text(out, "Endpoint", saved.endpoint);
    add_number(out, "Size", saved.size);
    add_text(out, "SHA256", saved.sha256);
    return out;
  }

  Result<std::string> endpoint_status(const std::vector<EndpointStatus>& all) const override {
    std::string out;
    for (const auto& [endpoint, status] : all) {
      add_header(out, status.header());
      add_text(out, "Version", status.version());
      add_number(out, "DBSize", status.dbsize());
      add_number(out, "DBSizeInUse", status.dbsizeinuse());
      add_number(out, "Leader", status.leader());
      add_flag(out, "IsLearner", status.islearner());
      add_number(out, "RaftIndex", status.raftindex());
      add_number(out, "RaftTerm", status.raftterm());
      add_number(out, "RaftAppliedIndex", status.raftappliedindex());
      add(out, "Errors", "[" + joined(status.errors(), " ") + "]");
      add_text(out, "Endpoint", endpoint);
      out += "\n";
    }
    return out;
  }
  Result<std::string> endpoint_health(const std::vector<EndpointHealth>& all) const override {
    std::string out;
    for (const auto& health : all) {
      add_text(out, "Endpoint", health.endpoint);
      add_flag(out, "Health", health.healthy);
      add(out, "Took", go_duration(health.took));
      add(out, "Error", health.error);
      out += "\n";
    }
    return out;
  }
  Result<std::string> endpoint_hash(const std::vector<EndpointHash>& all) const override {
    std::string out;
    for (const auto& [endpoint, hash] : all) {
      add_header(out, hash.header());
      add_text(out, "Endpoint", endpoint);
      add_number(out, "Hash", hash.hash());
      out += "\n";
    }
    return out;
  }

 private:
  template <class Reply>
  static std::string lease_text(const Reply& reply) {
    std::string out;
    add_header(out, reply.header());
    add_number(out, "ID", reply.id());
    add_number(out, "TTL", reply.ttl());
    return out;
  }
  static std::string range_text(const RangeResponse& reply) {
    std::string out;
    add_header(out, reply.header());
    for (const auto& kv : reply.kvs()) add_kv(out, "", kv);
    add_flag(out, "More", reply.more());
    add_number(out, "Count", reply.count());
    return out;
  }
  static std::string put_text(const PutResponse& reply) {
    std::string out;
    add_header(out, reply.header());
    if (reply.has_prev_kv()) add_kv(out, "Prev", reply.prev_kv());
    return out;
  }
  static std::string del_text(const DeleteRangeResponse& reply) {
    std::string out;
    add_header(out, reply.header());
    add_number(out, "Deleted", reply.deleted());
    for (const auto& kv : reply.prev_kvs()) add_kv(out, "Prev", kv);
    return out;
  }
  // NOLINTNEXTLINE(misc-no-recursion): as deep as the transaction that was sent
  static std::string txn_text(const TxnResponse& reply) {
    std::string out;
    add_header(out, reply.header());
    add_flag(out, "Succeeded", reply.succeeded());
    for (const auto& response : reply.responses()) {
      if (response.has_response_range()) out += range_text(response.response_range());
      if (response.has_response_put()) out += put_text(response.response_put());
      if (response.has_response_delete_range()) out += del_text(response.response_delete_range());
      if (response.has_response_txn()) out += txn_text(response.response_txn());
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Printer> make_fields_printer() {
  return std::make_unique<FieldsPrinter>();
}

}  // namespace conclave::cli
