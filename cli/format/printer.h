#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/clock.h"
#include "conclave/base/result.h"

namespace conclave::cli {

struct EndpointStatus {
  std::string endpoint;
  etcdserverpb::StatusResponse status;
};

struct EndpointHealth {
  std::string endpoint;
  bool healthy = false;
  Duration took{};
  std::string error{};
};

struct EndpointHash {
  std::string endpoint;
  etcdserverpb::HashKVResponse hash;
};

// A member that was removed, updated or promoted.
struct MemberChange {
  enum class Kind : std::uint8_t { removed, updated, promoted };
  Kind kind = Kind::removed;
  std::uint64_t member = 0;
  // The reply's header, and the members as they are now. The three replies have the same fields.
  etcdserverpb::MemberListResponse reply{};
};

struct LeaderMove {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  etcdserverpb::MoveLeaderResponse reply{};
};

struct SavedSnapshot {
  std::string path;
  std::string endpoint;  // whose state it is
  std::uint64_t size = 0;
  std::string sha256{};  // of the whole file, in hexadecimal
};

struct PrintOptions {
  bool hex = false;         // keys and values as \xNN (simple)
  bool value_only = false;  // of a read: only the values (simple)
  bool keys_only = false;   // of a read: the values were not asked for
  bool count_only = false;  // of a read: only the count was asked for
};

// The store's replies as text, byte for byte as etcdctl 3.4 prints them, each text ending its lines
// itself; where etcdctl prints less (a changed member as fields or table, the bytes in use of an
// endpoint, a snapshot's size and hash), ours follows what it does print. Pure: the caller writes
// the text out. What a format cannot show is Errc::invalid_argument, as with etcdctl, whose table
// form covers endpoints and members only.
class Printer {
 public:
  virtual ~Printer() = default;

  virtual Result<std::string> get(const etcdserverpb::RangeResponse& reply) const = 0;
  virtual Result<std::string> put(const etcdserverpb::PutResponse& reply) const = 0;
  virtual Result<std::string> del(const etcdserverpb::DeleteRangeResponse& reply) const = 0;
  virtual Result<std::string> txn(const etcdserverpb::TxnResponse& reply) const = 0;
  virtual Result<std::string> watch(const etcdserverpb::WatchResponse& reply) const = 0;
  virtual Result<std::string> grant(const etcdserverpb::LeaseGrantResponse& reply) const = 0;
  // `id`: the reply does not carry it.
  virtual Result<std::string> revoke(std::int64_t id,
                                     const etcdserverpb::LeaseRevokeResponse& reply) const = 0;
  virtual Result<std::string> time_to_live(const etcdserverpb::LeaseTimeToLiveResponse& reply,
                                           bool with_keys) const = 0;
  virtual Result<std::string> leases(const etcdserverpb::LeaseLeasesResponse& reply) const = 0;
  virtual Result<std::string> keep_alive(
      const etcdserverpb::LeaseKeepAliveResponse& reply) const = 0;
  virtual Result<std::string> alarms(const etcdserverpb::AlarmResponse& reply) const = 0;
  virtual Result<std::string> members(const etcdserverpb::MemberListResponse& reply) const = 0;
  // `name`: the new member's; the reply does not carry it.
  virtual Result<std::string> member_added(const std::string& name,
                                           const etcdserverpb::MemberAddResponse& reply) const = 0;
  virtual Result<std::string> member_changed(const MemberChange& change) const = 0;
  virtual Result<std::string> leader_moved(const LeaderMove& move) const = 0;
  virtual Result<std::string> snapshot_saved(const SavedSnapshot& saved) const = 0;
  virtual Result<std::string> endpoint_status(const std::vector<EndpointStatus>& all) const = 0;
  virtual Result<std::string> endpoint_health(const std::vector<EndpointHealth>& all) const = 0;
  virtual Result<std::string> endpoint_hash(const std::vector<EndpointHash>& all) const = 0;
};

// By the name that --write-out takes. Errc::invalid_argument: there is no such format.
Result<std::unique_ptr<Printer>> make_printer(std::string_view format, const PrintOptions& options);

std::unique_ptr<Printer> make_simple_printer(const PrintOptions& options);
std::unique_ptr<Printer> make_json_printer();
std::unique_ptr<Printer> make_fields_printer();
std::unique_ptr<Printer> make_table_printer();
std::unique_ptr<Printer> make_protobuf_printer();

}  // namespace conclave::cli
