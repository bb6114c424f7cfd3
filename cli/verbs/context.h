#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/cli/args/parse.h"
#include "conclave/cli/format/printer.h"
#include "conclave/client/client.h"
#include "conclave/client/raw.h"

namespace conclave::cli {

// What a verb is given: the command line, and the way to the store.
struct Invocation {
  const Arguments& arguments;
  std::span<char> command_line;  // the bytes of argv
};

// One line on stderr, and the exit status that belongs to the error.
int fail(const Error& error);
// The same error as the store's answer: its "invalid argument" is a refusal, not wrong usage.
Error of_store(Error error);
// Writes to standard output at once. A reader that has gone away is a failure.
int print(const Result<std::string>& text);

std::vector<std::string> endpoints_of(const Arguments& arguments);
// With the global flags; asks for a password if a user is named without one. Contacts nobody yet.
Result<Client> connect(const Arguments& arguments);
// Of a verb with --cluster: --endpoints or, if that is set, the client URLs of all members.
Result<std::vector<std::string>> asked_endpoints(Client& client, const Arguments& arguments);
// At this endpoint: answered only by a member with a quorum behind it, and when it has applied all
// that was acknowledged before. To be refused for lack of permission takes a quorum too.
Result<void> read_linearizably(Client& client, const Arguments& arguments,
                               const std::string& endpoint);
Result<std::unique_ptr<Printer>> printer_of(const Arguments& arguments);
CallOptions call_options(const Arguments& arguments);

// One call: `request` out, `Reply` back.
template <class Reply, class Request>
Result<Reply> call(Client& client, const Arguments& arguments, const char* method,
                   const Request& request, CallKind kind) {
  auto bytes =
      RawClient(client).call(method, request.SerializeAsString(), kind, call_options(arguments));
  if (!bytes) return of_store(bytes.error());
  Reply reply;
  if (!reply.ParseFromString(*bytes)) return Error{Errc::refused, "the reply cannot be read"};
  return reply;
}
template <class Reply, class Request>
Result<Reply> call_at(Client& client, const Arguments& arguments, const std::string& endpoint,
                      const char* method, const Request& request, CallKind kind) {
  auto bytes = RawClient(client).call_at(endpoint, method, request.SerializeAsString(), kind,
                                         call_options(arguments));
  if (!bytes) return bytes.error();
  Reply reply;
  if (!reply.ParseFromString(*bytes)) return Error{Errc::refused, "the reply cannot be read"};
  return reply;
}

}  // namespace conclave::cli
