#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/cli/args/requests.h"
#include "conclave/cli/exit_status.h"
#include "conclave/cli/format/text.h"
#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

// Runs the command for one event, after it the next.
Result<void> run_for_event(const std::vector<std::string>& command, std::int64_t revision,
                           const mvccpb::Event& event) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::strncmp(*variable, "ETCD_WATCH_", 11) != 0) variables.emplace_back(*variable);
  }
  variables.push_back("ETCD_WATCH_REVISION=" + std::to_string(revision));
  variables.push_back(std::string("ETCD_WATCH_EVENT_TYPE=\"") +
                      (event.type() == mvccpb::Event::PUT ? "PUT\"" : "DELETE\""));
  variables.push_back("ETCD_WATCH_KEY=" + go_quoted(event.kv().key()));
  variables.push_back("ETCD_WATCH_VALUE=" + go_quoted(event.kv().value()));
  const auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
  };
  pid_t pid = -1;
  const int failure = ::posix_spawnp(&pid, command.front().c_str(), nullptr, nullptr,
                                     pointers(command).data(), pointers(variables).data());
  if (failure != 0) {
    return Error{Errc::io, "cannot run \"" + command.front() +
                               "\": " + std::generic_category().message(failure)};
  }
  ::waitpid(pid, nullptr, 0);
  return {};
}

// A watch that goes on at the next revision when its stream breaks.
class WatchVerb {
 public:
  WatchVerb(const Arguments& arguments, Client& client, const Printer& printer, KeyRange range)
      : arguments_(arguments),
        client_(client),
        printer_(printer),
        range_(std::move(range)),
        next_revision_(arguments.number("rev")) {}

  int run() {
    for (;;) {
      auto stream = open();
      if (!stream) {
        if (!may_resume(stream.error())) return fail(stream.error());
        continue;
      }
      for (;;) {
        auto bytes = stream->next();
        if (!bytes && !may_resume(bytes.error())) return fail(of_store(bytes.error()));
        WatchResponse reply;
        if (!bytes || !*bytes || !reply.ParseFromString(**bytes)) break;
        if (const auto ended = take(reply)) return *ended;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }

 private:
  Result<RawStream> open() {
    auto stream = RawClient(client_).open("/etcdserverpb.Watch/Watch", call_options(arguments_));
    if (!stream) return stream;
    WatchRequest request;
    auto* create = request.mutable_create_request();
    create->set_key(range_.key);
    create->set_range_end(range_.range_end);
    create->set_start_revision(next_revision_);
    create->set_prev_kv(arguments_.is_set("prev-kv"));
    create->set_progress_notify(arguments_.is_set("progress-notify"));
    stream->send(request.SerializeAsString());
    return stream;
  }

  // Once it has stood, a watch outlives the store's absence; before that it fails as any call.
  bool may_resume(const Error& error) const {
    return stood_ && (error.code == Errc::unavailable || error.code == Errc::unknown_outcome ||
                      error.code == Errc::timed_out);
  }

  // The exit status, if the watch has ended.
  std::optional<int> take(const WatchResponse& reply) {
    if (reply.canceled()) {
      const std::string reason = reply.compact_revision() > 0
                                     ? "mvcc: required revision has been compacted, ask from " +
                                           std::to_string(reply.compact_revision()) + " on"
                                     : reply.cancel_reason();
      return fail({reply.compact_revision() > 0 ? Errc::compacted : Errc::refused,
                   "watch is canceled by the server (" + reason + ")"});
    }
    if (reply.created()) {
      stood_ = true;
      // What comes after a break must not begin later than now.
      if (next_revision_ == 0) next_revision_ = reply.header().revision() + 1;
      return std::nullopt;
    }
    next_revision_ = std::max(next_revision_, reply.header().revision() + 1);
    if (reply.events().empty()) return std::nullopt;
    next_revision_ = reply.events(reply.events_size() - 1).kv().mod_revision() + 1;
    if (const int status = print(printer_.watch(reply)); status != 0) return status;
    if (arguments_.command.empty()) return std::nullopt;
    for (const auto& event : reply.events()) {
      const auto ran = run_for_event(arguments_.command, reply.header().revision(), event);
      if (!ran) return fail(ran.error());
    }
    return std::nullopt;
  }

  const Arguments& arguments_;
  Client& client_;
  const Printer& printer_;
  KeyRange range_;
  std::int64_t next_revision_;
  bool stood_ = false;
};

}  // namespace

int run_watch(const Invocation& invocation) {
  auto range = key_range(invocation.arguments);
  if (!range) return fail(range.error());
  auto printer = printer_of(invocation.arguments);
  if (!printer) return fail(printer.error());
  auto client = connect(invocation.arguments);
  if (!client) return fail(client.error());
  return WatchVerb(invocation.arguments, *client, **printer, *range).run();
}

}  // namespace conclave::cli
