#include "conclave/cli/verbs/context.h"

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "conclave/cli/exit_status.h"

namespace conclave::cli {

int fail(const Error& error) {
  std::fprintf(stderr, "Error: %s\n", error.message.c_str());
  return static_cast<int>(status_of(error.code));
}

Error of_store(Error error) {
  if (error.code == Errc::invalid_argument) error.code = Errc::refused;
  return error;
}

int print(const Result<std::string>& text) {
  if (!text) return fail(text.error());
  if (std::fwrite(text->data(), 1, text->size(), stdout) != text->size() ||
      std::fflush(stdout) != 0) {
    return fail({Errc::io, "cannot write to standard output"});
  }
  return 0;
}

std::vector<std::string> endpoints_of(const Arguments& arguments) {
  return arguments.list("endpoints");
}

Result<std::vector<std::string>> asked_endpoints(Client& client, const Arguments& arguments) {
  if (!arguments.is_set("cluster")) return endpoints_of(arguments);
  auto reply =
      call<etcdserverpb::MemberListResponse>(client, arguments, "/etcdserverpb.Cluster/MemberList",
                                             etcdserverpb::MemberListRequest(), CallKind::read);
  if (!reply) return reply.error();
  std::vector<std::string> endpoints;
  for (const auto& member : reply->members()) {
    endpoints.insert(endpoints.end(), member.clienturls().begin(), member.clienturls().end());
  }
  if (endpoints.empty()) return Error{Errc::refused, "no member of the cluster has a client URL"};
  return endpoints;
}

Result<Client> connect(const Arguments& arguments) {
  // What gRPC logs about a failed handshake is in our own error, too. After the fork of a guardian,
  // whose command does not inherit it.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);  // NOLINT(concurrency-mt-unsafe): one thread yet
  ClientOptions options;
  options.endpoints = endpoints_of(arguments);
  if (options.endpoints.empty()) {
    return Error{Errc::invalid_argument, "--endpoints names no address"};
  }
  options.dial_timeout = arguments.duration("dial-timeout");
  options.request_timeout = arguments.duration("command-timeout");
  options.tls.ca_file = arguments.text("cacert");
  options.tls.cert_file = arguments.text("cert");
  options.tls.key_file = arguments.text("key");
  options.user = arguments.text("user");
  options.password = arguments.text("password");
  const std::size_t colon = options.user.find(':');
  if (colon != std::string::npos && !arguments.has("password")) {
    options.password = options.user.substr(colon + 1);
    options.user.resize(colon);
  } else if (!options.user.empty() && !arguments.has("password")) {
    const char* typed = ::getpass("Password: ");  // NOLINT(concurrency-mt-unsafe): one thread yet
    if (typed == nullptr) return Error{Errc::invalid_argument, "--user needs --password"};
    options.password = typed;
  }
  return Client::connect(std::move(options));
}

Result<void> read_linearizably(Client& client, const Arguments& arguments,
                               const std::string& endpoint) {
  etcdserverpb::RangeRequest request;
  request.set_key("health");
  const auto reply = call_at<etcdserverpb::RangeResponse>(
      client, arguments, endpoint, "/etcdserverpb.KV/Range", request, CallKind::read);
  if (!reply && reply.error().code != Errc::permission_denied) return reply.error();
  return {};
}

Result<std::unique_ptr<Printer>> printer_of(const Arguments& arguments) {
  PrintOptions options;
  options.hex = arguments.is_set("hex");
  if (arguments.verb->name == "get") {
    options.value_only = arguments.is_set("print-value-only");
    options.count_only = arguments.is_set("count-only");
  }
  return make_printer(arguments.text("write-out"), options);
}

CallOptions call_options(const Arguments& arguments) {
  return {.timeout = arguments.duration("command-timeout")};
}

}  // namespace conclave::cli
