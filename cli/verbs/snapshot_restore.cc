#include <string>
#include <utility>
#include <vector>

#include "conclave/base/bytes.h"
#include "conclave/base/url.h"
#include "conclave/cli/format/table.h"
#include "conclave/cli/format/text.h"
#include "conclave/cli/verbs/context.h"
#include "conclave/cli/verbs/verb_table.h"
#include "conclave/server/restore.h"

namespace conclave::cli {
namespace {

using server::SnapshotSummary;

Result<std::string> show(const Arguments& arguments, const SnapshotSummary& summary) {
  const std::string format = arguments.text("write-out");
  const auto number = [](auto value) { return std::to_string(value); };
  if (format == "json") {
    return "{\"revision\":" + number(summary.revision) + ",\"index\":" + number(summary.index) +
           ",\"records\":" + number(summary.records) + ",\"leases\":" + number(summary.leases) +
           ",\"bytes\":" + number(summary.bytes) + ",\"checksum\":" + number(summary.checksum) +
           "}\n";
  }
  if (format == "table") {
    return draw_table({"HASH", "REVISION", "RECORDS", "LEASES", "SIZE"},
                      {{hex(summary.checksum), number(summary.revision), number(summary.records),
                        number(summary.leases), human_size(summary.bytes)}});
  }
  if (format != "simple") {
    return Error{Errc::invalid_argument,
                 "--write-out " + format + " does not go with this command"};
  }
  return "revision " + number(summary.revision) + ", " + number(summary.records) + " records, " +
         number(summary.leases) + " leases, " + number(summary.bytes) + " bytes, checksum " +
         hex(summary.checksum) + "\n";
}

std::vector<std::string> texts(const std::vector<Url>& urls) {
  std::vector<std::string> result;
  for (const Url& url : urls) result.push_back(url.text());
  return result;
}

Error wrong_flag(const std::string& flag, const std::string& what) {
  return {Errc::invalid_argument, "--" + flag + ": " + what};
}

Result<server::NodeOptions> member_of(const Arguments& arguments) {
  server::NodeOptions options;
  options.name = arguments.text("name");
  options.data_dir = arguments.text("data-dir");
  if (options.data_dir.empty()) options.data_dir = options.name + ".conclave";
  options.cluster_token = arguments.text("initial-cluster-token");
  const auto urls = parse_urls(arguments.text("initial-advertise-peer-urls"));
  if (!urls) return wrong_flag("initial-advertise-peer-urls", urls.error().message);
  options.peer_urls = texts(*urls);
  const auto named = parse_named_urls(arguments.text("initial-cluster"));
  if (!named) return wrong_flag("initial-cluster", named.error().message);
  bool names_this_one = named->empty();
  for (const NamedUrls& each : *named) {
    options.initial_cluster.push_back({each.name, texts(each.urls)});
    names_this_one =
        names_this_one || (each.name == options.name && texts(each.urls) == options.peer_urls);
  }
  if (!names_this_one) {
    return wrong_flag("initial-cluster", "does not name this member, --name " + options.name +
                                             ", with its --initial-advertise-peer-urls");
  }
  return options;
}

}  // namespace

int run_snapshot_status(const Invocation& invocation) {
  const auto summary = server::inspect_snapshot(invocation.arguments.operands.at(0));
  if (!summary) return fail(summary.error());
  return print(show(invocation.arguments, *summary));
}

int run_snapshot_restore(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const auto options = member_of(arguments);
  if (!options) return fail(options.error());
  // A format that cannot show it is refused before the work, not after.
  if (const auto shown = show(arguments, {}); !shown) return fail(shown.error());
  const auto summary = server::restore_snapshot(arguments.operands.at(0), *options);
  if (!summary) return fail(summary.error());
  return print(show(arguments, *summary));
}

}  // namespace conclave::cli
