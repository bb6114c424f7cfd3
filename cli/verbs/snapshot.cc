#include <utility>

#include "conclave/cli/verbs/snapshot_file.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

// One endpoint is asked for what it has, with a quorum or without: it may be all that is left. Of
// several, the first that answers a linearizable read, whose state then holds all that was
// acknowledged before.
Result<std::string> source(Client& client, const Arguments& arguments) {
  const std::vector<std::string> endpoints = endpoints_of(arguments);
  if (endpoints.size() == 1) return endpoints.front();
  Error last{Errc::unavailable, "no endpoint is given"};
  for (const std::string& endpoint : endpoints) {
    const auto read = read_linearizably(client, arguments, endpoint);
    if (read) return endpoint;
    last = read.error();
  }
  last.message = "no endpoint has a quorum behind it (" + last.message +
                 "); to save what one member has, name it alone with --endpoints";
  return last;
}

Result<void> receive(RawStream& stream, const Arguments& arguments, SnapshotFile& file) {
  etcdserverpb::SnapshotResponse message;
  const auto broken_off = [&](Error error) {
    error.message = "the snapshot broke off after " + std::to_string(file.size()) + " of " +
                    std::to_string(file.size() + message.remaining_bytes()) +
                    " bytes: " + error.message;
    return error;
  };
  for (;;) {
    const auto bytes = stream.next({}, arguments.duration("command-timeout"));
    if (!bytes) {
      Error error = of_store(bytes.error());
      // The limit is on the silence between two pieces, not on the whole.
      if (error.code == Errc::timed_out) error.code = Errc::unavailable;
      return file.size() == 0 ? error : broken_off(std::move(error));
    }
    if (!*bytes) break;
    if (!message.ParseFromString(**bytes)) {
      return broken_off({Errc::refused, "the reply cannot be read"});
    }
    if (auto appended = file.append(message.blob()); !appended) return appended;
  }
  if (file.size() == 0) return Error{Errc::refused, "the server sent an empty snapshot"};
  if (message.remaining_bytes() != 0) {
    return broken_off({Errc::refused, "the server has ended the stream"});
  }
  return {};
}

Result<SavedSnapshot> save(const Arguments& arguments) {
  auto client = connect(arguments);
  if (!client) return client.error();
  const std::string& path = arguments.operands.at(0);
  auto file = SnapshotFile::create(path);
  if (!file) return file.error();
  const auto endpoint = source(*client, arguments);
  if (!endpoint) return endpoint.error();
  auto stream = RawClient(*client).open_at(*endpoint, "/etcdserverpb.Maintenance/Snapshot",
                                           call_options(arguments));
  if (!stream) return stream.error();
  stream->send(etcdserverpb::SnapshotRequest().SerializeAsString());
  stream->finish_sending();
  if (auto received = receive(*stream, arguments, *file); !received) return received.error();
  if (auto committed = file->commit(); !committed) return committed.error();
  return SavedSnapshot{
      .path = path, .endpoint = *endpoint, .size = file->size(), .sha256 = file->sha256()};
}

}  // namespace

int run_snapshot_save(const Invocation& invocation) {
  auto printer = printer_of(invocation.arguments);
  if (!printer) return fail(printer.error());
  // A format that cannot show it is refused before the work, not after.
  if (const auto shown = (*printer)->snapshot_saved({}); !shown) return fail(shown.error());
  const auto saved = save(invocation.arguments);
  if (!saved) return fail(saved.error());
  return print((*printer)->snapshot_saved(*saved));
}

}  // namespace conclave::cli
