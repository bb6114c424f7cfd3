#include "conclave/cli/format/table.h"

#include <algorithm>

#include "conclave/base/bytes.h"
#include "conclave/cli/format/endpoint_rows.h"
#include "conclave/cli/format/printer.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of printers of this package's messages

// Columns count characters, not bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](unsigned char byte) { return (byte & 0xc0) != 0x80; }));
}

class TablePrinter final : public Printer {
 public:
  Result<std::string> get(const RangeResponse&) const override { return unsupported(); }
  Result<std::string> put(const PutResponse&) const override { return unsupported(); }
  Result<std::string> del(const DeleteRangeResponse&) const override { return unsupported(); }
  Result<std::string> txn(const TxnResponse&) const override { return unsupported(); }
  Result<std::string> watch(const WatchResponse&) const override { return unsupported(); }
  Result<std::string> grant(const LeaseGrantResponse&) const override { return unsupported(); }
  Result<std::string> revoke(std::int64_t, const LeaseRevokeResponse&) const override {
    return unsupported();
  }
  Result<std::string> time_to_live(const LeaseTimeToLiveResponse&, bool) const override {
    return unsupported();
  }
  Result<std::string> leases(const LeaseLeasesResponse&) const override { return unsupported(); }
  Result<std::string> keep_alive(const LeaseKeepAliveResponse&) const override {
    return unsupported();
  }
  Result<std::string> alarms(const AlarmResponse&) const override { return unsupported(); }
  Result<std::string> members(const MemberListResponse& reply) const override {
    return draw_members(member_rows(reply));
  }
  Result<std::string> member_added(const std::string&,
                                   const MemberAddResponse& reply) const override {
    return draw_members({member_row(reply.member())});
  }
  Result<std::string> member_changed(const MemberChange& change) const override {
    return members(change.reply);
  }
  Result<std::string> leader_moved(const LeaderMove& move) const override {
    return draw_table({"FORMER LEADER", "LEADER"}, {{hex(move.from), hex(move.to)}});
  }
  Result<std::string> snapshot_saved(const SavedSnapshot& saved) const override {
    return draw_table({"FILE", "ENDPOINT", "SIZE", "SHA256"},
                      {{saved.path, saved.endpoint, human_size(saved.size), saved.sha256}});
  }
  Result<std::string> endpoint_status(const std::vector<EndpointStatus>& all) const override {
    return draw_table({"ENDPOINT", "ID", "VERSION", "DB SIZE", "IN USE", "IS LEADER", "IS LEARNER",
                       "RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS"},
                      status_rows(all, InUse::shown));
  }
  Result<std::string> endpoint_health(const std::vector<EndpointHealth>& all) const override {
    return draw_table({"ENDPOINT", "HEALTH", "TOOK", "ERROR"}, health_rows(all));
  }
  Result<std::string> endpoint_hash(const std::vector<EndpointHash>& all) const override {
    return draw_table({"ENDPOINT", "HASH"}, hash_rows(all));
  }

 private:
  static std::string draw_members(const Rows& rows) {
    return draw_table({"ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"}, rows);
  }
  static Error unsupported() {
    return {Errc::invalid_argument,
            "--write-out table goes with endpoint, member and snapshot commands and move-leader"};
  }
};

}  // namespace

std::string draw_table(const std::vector<std::string>& titles, const Rows& rows) {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < titles.size(); ++column) {
    std::size_t width = width_of(titles[column]);
    for (const auto& row : rows) width = std::max(width, width_of(row[column]));
    widths.push_back(width);
  }
  std::string rule = "+";
  for (const std::size_t width : widths) rule += std::string(width + 2, '-') + "+";
  rule += "\n";
  std::string out = rule + "|";
  for (std::size_t column = 0; column < titles.size(); ++column) {
    const std::size_t space = widths[column] - width_of(titles[column]);
    out += " " + std::string(space / 2, ' ') + titles[column] +
           std::string(space - space / 2, ' ') + " |";
  }
  out += "\n" + rule;
  for (const auto& row : rows) {
    out += "|";
    for (std::size_t column = 0; column < titles.size(); ++column) {
      out += " " + std::string(widths[column] - width_of(row[column]), ' ') + row[column] + " |";
    }
    out += "\n";
  }
  return out + rule;
}

std::unique_ptr<Printer> make_table_printer() {
  return std::make_unique<TablePrinter>();
}

}  // namespace conclave::cli
