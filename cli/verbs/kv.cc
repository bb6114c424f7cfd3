#include <iostream>
#include <iterator>
#include <optional>
#include <string>

#include "conclave/cli/args/requests.h"
#include "conclave/cli/args/txn_script.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

// Connects and makes the one call; `show` prints the reply.
template <class Reply, class Request, class Show>
int call_and_print(const Arguments& arguments, const char* method, const Result<Request>& request,
                   CallKind kind, Show show) {
  if (!request) return fail(request.error());
  auto printer = printer_of(arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(arguments);
  if (!client) return fail(client.error());
  auto reply = call<Reply>(*client, arguments, method, *request, kind);
  if (!reply) return fail(reply.error());
  return print(show(**printer, *reply));
}

std::string all_of_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

bool writes(const etcdserverpb::TxnRequest& request) {
  for (const auto* branch : {&request.success(), &request.failure()}) {
    for (const auto& operation : *branch) {
      if (!operation.has_request_range()) return true;
    }
  }
  return false;
}

}  // namespace

int run_put(const Invocation& invocation) {
  return call_and_print<etcdserverpb::PutResponse>(
      invocation.arguments, "/etcdserverpb.KV/Put",
      put_request(invocation.arguments, all_of_standard_input), CallKind::write,
      [](const Printer& printer, const auto& reply) { return printer.put(reply); });
}

int run_get(const Invocation& invocation) {
  return call_and_print<etcdserverpb::RangeResponse>(
      invocation.arguments, "/etcdserverpb.KV/Range", range_request(invocation.arguments),
      CallKind::read, [](const Printer& printer, const auto& reply) { return printer.get(reply); });
}

int run_del(const Invocation& invocation) {
  return call_and_print<etcdserverpb::DeleteRangeResponse>(
      invocation.arguments, "/etcdserverpb.KV/DeleteRange", delete_request(invocation.arguments),
      CallKind::write,
      [](const Printer& printer, const auto& reply) { return printer.del(reply); });
}

int run_txn(const Invocation& invocation) {
  const bool interactive = invocation.arguments.is_set("interactive");
  const auto request = read_txn(std::cin, interactive ? &std::cout : nullptr);
  return call_and_print<etcdserverpb::TxnResponse>(
      invocation.arguments, "/etcdserverpb.KV/Txn", request,
      request && writes(*request) ? CallKind::write : CallKind::read,
      [](const Printer& printer, const auto& reply) { return printer.txn(reply); });
}

int run_compaction(const Invocation& invocation) {
  const std::string& text = invocation.arguments.operands.at(0);
  const auto revision = parse_number(text);
  if (!revision) {
    return fail({Errc::invalid_argument, "REVISION is a whole number, not \"" + text + "\""});
  }
  etcdserverpb::CompactionRequest request;
  request.set_revision(*revision);
  request.set_physical(invocation.arguments.is_set("physical"));
  return call_and_print<etcdserverpb::CompactionResponse>(
      invocation.arguments, "/etcdserverpb.KV/Compact",
      Result<etcdserverpb::CompactionRequest>(request), CallKind::write,
      [&](const Printer&, const auto&) {
        return Result<std::string>("compacted revision " + std::to_string(*revision) + "\n");
      });
}

}  // namespace conclave::cli
