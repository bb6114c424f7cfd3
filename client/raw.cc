#include "conclave/client/raw.h"

#include <atomic>
#include <cstddef>
#include <utility>

#include "conclave/client/client_impl.h"
#include "conclave/client/verdict.h"

namespace conclave {

using client::Endpoints;

namespace {

// Of replies that nobody has asked for yet: from here on the server waits, and down to here again
// before it goes on.
constexpr std::size_t kWaitingBytesHigh = std::size_t{4} << 20;
constexpr std::size_t kWaitingBytesLow = std::size_t{1} << 20;

}  // namespace

struct RawStream::State {
  explicit State(client::LoopExecutor& on) : loop(&on) {}

  void came(std::string_view bytes) {
    // Counted first: next() must never take away what is not there yet.
    if (waiting_bytes.fetch_add(bytes.size()) + bytes.size() > kWaitingBytesHigh) stream->pause();
    replies.push(std::string(bytes));
  }
  // True: few enough are left for the stream to go on.
  bool taken(std::size_t bytes) {
    const std::size_t before = waiting_bytes.fetch_sub(bytes);
    return before > kWaitingBytesLow && before - bytes <= kWaitingBytesLow;
  }
  void closed(const CallStatus& status) {
    if (status.code == 0) return replies.end(std::optional<std::string>());
    replies.end(Error{client::judge(status).code, status.message});
  }

  client::LoopExecutor* loop;
  client::Mailbox<std::optional<std::string>> replies;
  std::atomic<std::size_t> waiting_bytes = 0;
  std::unique_ptr<Stream> stream;  // the loop's alone
};

RawStream::RawStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
RawStream::RawStream(RawStream&& other) noexcept = default;

RawStream& RawStream::operator=(RawStream&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

RawStream::~RawStream() {
  if (!state_) return;
  client::LoopExecutor* const loop = state_->loop;
  loop->post([state = std::move(state_)] { state->stream.reset(); });
}

void RawStream::send(std::string request) {
  state_->loop->post([state = state_, request = std::move(request)]() mutable {
    if (state->stream) state->stream->send(std::move(request));
  });
}

void RawStream::finish_sending() {
  state_->loop->post([state = state_] {
    if (state->stream) state->stream->finish_sending();
  });
}

Result<std::optional<std::string>> RawStream::next(
    const std::stop_token& stop, std::optional<std::chrono::milliseconds> timeout) {
  Result<std::optional<std::string>> reply = state_->replies.next(stop, timeout);
  if (reply && *reply && state_->taken((*reply)->size())) {
    state_->loop->post([state = state_] {
      if (state->stream) state->stream->resume();
    });
  }
  return reply;
}

Result<std::string> RawClient::call(std::string method, std::string request, CallKind kind,
                                    const CallOptions& options) {
  return client_->impl_->await<std::string>(
      options, kind,
      [impl = client_->impl_.get(), method = std::move(method), request = std::move(request), kind](
          Instant deadline, auto done) {
        impl->core->caller().call(
            {.method = method, .message = request, .kind = kind, .deadline = deadline},
            std::move(done));
      });
}

Result<std::string> RawClient::call_at(std::string endpoint, std::string method,
                                       std::string request, CallKind kind,
                                       const CallOptions& options) {
  return client_->impl_->await<std::string>(
      options, kind,
      [impl = client_->impl_.get(), endpoint = std::move(endpoint), method = std::move(method),
       request = std::move(request), kind](Instant deadline, auto done) {
        const Result<Endpoints::Index> index = impl->core->endpoints().find_or_open(endpoint);
        if (!index) return done(index.error());
        impl->core->caller().call({.method = method,
                                   .message = request,
                                   .kind = kind,
                                   .deadline = deadline,
                                   .endpoint = *index},
                                  std::move(done));
      });
}

Result<RawStream> RawClient::open(std::string method, const CallOptions& options) {
  return open_at({}, std::move(method), options);
}

Result<RawStream> RawClient::open_at(std::string endpoint, std::string method,
                                     const CallOptions& options) {
  const auto state = std::make_shared<RawStream::State>(client_->impl_->loop);
  const Result<void> opened = client_->impl_->await<void>(
      options, CallKind::read,
      [impl = client_->impl_.get(), state, endpoint = std::move(endpoint),
       method = std::move(method)](Instant, const Store::Done<void>& done) {
        Endpoints& endpoints = impl->core->endpoints();
        const Result<Endpoints::Index> index =
            endpoint.empty() ? endpoints.current() : endpoints.find_or_open(endpoint);
        if (!index) return done(index.error());
        const auto open = [impl, state, method, index = *index,
                           done](const Result<std::string>& token) {
          if (!token) return done(token.error());
          state->stream = impl->core->endpoints().channel(index).open(
              method, *token,
              {.message = [state = state.get()](std::string_view bytes) { state->came(bytes); },
               .closed = [state =
                              state.get()](const CallStatus& status) { state->closed(status); }});
          done({});
        };
        impl->core->caller().with_token(open);
      });
  if (!opened) {
    state->loop->post([state] { state->stream.reset(); });
    return opened.error();
  }
  return RawStream(state);
}

}  // namespace conclave
