#include "conclave/client/client.h"

#include <random>
#include <utility>

#include "conclave/client/client_impl.h"
#include "conclave/client/convert.h"

namespace conclave {

using client::CoreOptions;
using client::GrpcChannelFactory;
using client::StoreCore;

namespace {

std::uint64_t draw_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

Client::Impl::~Impl() {
  CONCLAVE_CHECK(!loop.on_loop_thread(), "a client cannot be destroyed by one of its own tasks");
  const auto gone = std::make_shared<client::Answer<void>>();
  loop.post([this, gone] {
    core.reset();
    gone->set({});
  });
  // Nobody can be told of a failure here, and there is none.
  (void)gone->wait({}, Errc::cancelled);
  loop.stop();
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&& other) noexcept = default;
Client& Client::operator=(Client&& other) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(ClientOptions options) {
  if (options.dial_timeout <= options.dial_timeout.zero() ||
      options.request_timeout <= options.request_timeout.zero()) {
    return Error{Errc::invalid_argument, "a timeout must be longer than zero"};
  }
  auto impl = std::make_unique<Impl>(std::move(options));
  const ClientOptions& given = impl->options;
  auto channels = GrpcChannelFactory::create(
      impl->loop, {.dial_timeout = given.dial_timeout, .tls = given.tls});
  if (!channels) return std::move(channels).error();
  impl->channels = *std::move(channels);

  CoreOptions core{.endpoints = given.endpoints,
                   .dial_timeout = given.dial_timeout,
                   .credentials = {.user = given.user, .password = given.password},
                   .seed = draw_seed()};
  const Result<void> opened = impl->await<void>(
      {}, CallKind::read, [raw = impl.get(), &core](Instant, const Store::Done<void>& done) {
        auto made = StoreCore::open(raw->loop, *raw->channels, std::move(core));
        if (!made) return done(made.error());
        raw->core = *std::move(made);
        done({});
      });
  if (!opened) return opened.error();
  return Client(std::move(impl));
}

Result<GetResult> Client::get(Get get, const CallOptions& options) {
  return impl_->await<GetResult>(
      options, CallKind::read,
      [impl = impl_.get(), get = std::move(get)](Instant deadline, auto done) {
        impl->core->get(get, deadline, std::move(done));
      });
}

Result<PutResult> Client::put(Put put, const CallOptions& options) {
  return impl_->await<PutResult>(
      options, CallKind::write,
      [impl = impl_.get(), put = std::move(put)](Instant deadline, auto done) {
        impl->core->put(put, deadline, std::move(done));
      });
}

Result<PutResult> Client::put(std::string key, std::string value, const CallOptions& options) {
  return put(Put{.key = std::move(key), .value = std::move(value)}, options);
}

Result<DeleteResult> Client::erase(Delete erase, const CallOptions& options) {
  return impl_->await<DeleteResult>(
      options, CallKind::write,
      [impl = impl_.get(), erase = std::move(erase)](Instant deadline, auto done) {
        impl->core->erase(erase, deadline, std::move(done));
      });
}

Result<TxnResult> Client::txn(Txn txn, const CallOptions& options) {
  const CallKind kind = client::is_read_only(txn) ? CallKind::read : CallKind::write;
  return impl_->await<TxnResult>(
      options, kind, [impl = impl_.get(), txn = std::move(txn)](Instant deadline, auto done) {
        impl->core->txn(txn, deadline, std::move(done));
      });
}

Result<std::int64_t> Client::compact(std::int64_t revision, bool physical,
                                     const CallOptions& options) {
  return impl_->await<std::int64_t>(
      options, CallKind::write,
      [impl = impl_.get(), revision, physical](Instant deadline, auto done) {
        impl->core->compact(revision, physical, deadline, std::move(done));
      });
}

Result<Grant> Client::grant(Duration ttl, LeaseId id, const CallOptions& options) {
  return impl_->await<Grant>(options, CallKind::write,
                             [impl = impl_.get(), ttl, id](Instant deadline, auto done) {
                               impl->core->grant(ttl, id, deadline, std::move(done));
                             });
}

Result<void> Client::revoke(LeaseId id, const CallOptions& options) {
  return impl_->await<void>(options, CallKind::write,
                            [impl = impl_.get(), id](Instant deadline, auto done) {
                              impl->core->revoke(id, deadline, std::move(done));
                            });
}

Result<Renewal> Client::renew(LeaseId id, const CallOptions& options) {
  return impl_->await<Renewal>(options, CallKind::read,
                               [impl = impl_.get(), id](Instant deadline, auto done) {
                                 impl->core->renew(id, deadline, std::move(done));
                               });
}

Result<LeaseInfo> Client::lease_info(LeaseId id, bool with_keys, const CallOptions& options) {
  return impl_->await<LeaseInfo>(options, CallKind::read,
                                 [impl = impl_.get(), id, with_keys](Instant deadline, auto done) {
                                   impl->core->lease_info(id, with_keys, deadline, std::move(done));
                                 });
}

Result<std::vector<LeaseId>> Client::leases(const CallOptions& options) {
  return impl_->await<std::vector<LeaseId>>(options, CallKind::read,
                                            [impl = impl_.get()](Instant deadline, auto done) {
                                              impl->core->leases(deadline, std::move(done));
                                            });
}

Store& Client::store() {
  return *impl_->core;
}
const ClientOptions& Client::options() const {
  return impl_->options;
}

struct Watcher::State {
  explicit State(client::LoopExecutor& on) : loop(&on) {}

  void deliver(const WatchNotice& notice) {
    switch (notice.kind) {
      case WatchNotice::Kind::compacted:
        return notices.end(notice);
      case WatchNotice::Kind::failed:
        return notices.end(notice.error);
      default:
        return notices.push(notice);
    }
  }

  client::LoopExecutor* loop;
  client::Mailbox<WatchNotice> notices;
  std::unique_ptr<WatchHandle> handle;  // the loop's alone
};

Watcher Client::watch(Watch watch) {
  const auto state = std::make_shared<Watcher::State>(impl_->loop);
  impl_->loop.post([impl = impl_.get(), state, watch = std::move(watch)] {
    state->handle =
        impl->core->watch(watch, [weak = std::weak_ptr(state)](const WatchNotice& notice) {
          if (const auto strong = weak.lock()) strong->deliver(notice);
        });
  });
  return Watcher(state);
}

Watcher::Watcher(std::shared_ptr<State> state) : state_(std::move(state)) {}
Watcher::Watcher(Watcher&& other) noexcept = default;

Watcher& Watcher::operator=(Watcher&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Watcher::~Watcher() {
  if (!state_) return;
  client::LoopExecutor* const loop = state_->loop;
  loop->post([state = std::move(state_)] { state->handle.reset(); });
}

Result<WatchNotice> Watcher::next(const std::stop_token& stop,
                                  std::optional<std::chrono::milliseconds> timeout) {
  return state_->notices.next(stop, timeout);
}

}  // namespace conclave
