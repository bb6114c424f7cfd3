#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/client/blocking.h"
#include "conclave/client/call_kind.h"
#include "conclave/client/client.h"
#include "conclave/client/core.h"
#include "conclave/client/grpc_channel.h"
#include "conclave/client/loop.h"

namespace conclave {

// What stands behind a Client: the loop, and on it the core with its transport.
struct Client::Impl {
  explicit Impl(ClientOptions given) : options(std::move(given)) {}
  ~Impl();

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Runs `start` on the loop and blocks for what it answers.
  template <class T>
  Result<T> await(const CallOptions& call, CallKind kind,
                  std::function<void(Instant deadline, Store::Done<T> done)> start) {
    CONCLAVE_CHECK(!loop.on_loop_thread(), "a blocking call from a task of the client's own loop");
    // The loop could otherwise be quicker than the caller's wait.
    if (call.stop.stop_requested()) return Error{Errc::cancelled, "stopped before it was sent"};
    const Instant deadline = loop.now() + call.timeout.value_or(options.request_timeout);
    const auto answer = std::make_shared<client::Answer<T>>();
    loop.post([answer, deadline, start = std::move(start)] {
      if (!answer->begin()) return;
      start(deadline, [answer](Result<T> result) { answer->set(std::move(result)); });
    });
    const Errc if_under_way = kind == CallKind::write ? Errc::unknown_outcome : Errc::cancelled;
    return answer->wait(call.stop, if_under_way);
  }

  ClientOptions options;
  client::LoopExecutor loop;
  std::unique_ptr<client::GrpcChannelFactory> channels;
  std::unique_ptr<client::StoreCore> core;  // touched by the loop's tasks only, once it is made
};

}  // namespace conclave
