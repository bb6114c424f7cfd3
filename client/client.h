#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/client/tls_options.h"
#include "conclave/client/types.h"

namespace conclave {

class TxnBuilder;
class Watcher;

struct ClientOptions {
  // "host:port", "http://host:port" or "https://host:port"; the first is tried first.
  std::vector<std::string> endpoints{"127.0.0.1:2379"};
  // How long one endpoint may take to accept a connection before the call goes on to the next.
  std::chrono::milliseconds dial_timeout{2000};
  // Of a call that brings no timeout of its own.
  std::chrono::milliseconds request_timeout{5000};
  TlsOptions tls{};
  std::string user{};  // empty: no authentication
  std::string password{};
};

struct CallOptions {
  std::optional<std::chrono::milliseconds> timeout{};  // none: ClientOptions::request_timeout
  std::stop_token stop{};
};

// A client of any etcd v3 cluster.
//
// Caveats. A mutation whose answer was lost ends with Errc::unknown_outcome and is never sent
// again: it may have been carried out, or may still be. Read before you write again, or make the
// write conditional. A blocking call from a task of the client's own executor would wait for itself
// and ends the process.
//
// Threads: every method may be called from any thread at any time. The client owns one loop thread,
// on which the asynchronous Store runs, and one for gRPC.
//
// Blocking: each call returns at its answer, its timeout (30 ms later at most), or when `stop` is
// requested, whichever comes first.
//
// Errors: see Store for what each means for a mutation. `stop` gives Errc::cancelled if nothing was
// handed over, or to a read; to a mutation under way it gives Errc::unknown_outcome.
//
// Lifetime: destroying the client ends its watches and drops what is under way; it must outlive
// every Watcher, Session, and blocking call. Moving it moves them along, but not a TxnBuilder or a
// RawClient, which point at the Client object.
//
//   Result<Client> client = Client::connect({.endpoints = {"10.0.0.1:2379", "10.0.0.2:2379"}});
//   if (!client) return client.error();
//   if (auto put = client->put("greeting", "hello"); !put) return put.error();
//   Result<GetResult> got = client->get("greeting");
//   if (got && !got->kvs.empty()) std::cout << got->kvs[0].value << "\n";
class Client {
 public:
  // Contacts nobody yet: a server that is away shows at the first call. Errors: invalid_argument,
  // naming the malformed endpoint or option; io, naming the TLS file that cannot be read.
  static Result<Client> connect(ClientOptions options = {});

  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  ~Client();

  Result<GetResult> get(Get get, const CallOptions& options = {});
  template <std::convertible_to<std::string> Key>
  Result<GetResult> get(Key&& key, const CallOptions& options = {}) {
    return get(Get{.key = std::string(std::forward<Key>(key))}, options);
  }
  Result<PutResult> put(Put put, const CallOptions& options = {});
  Result<PutResult> put(std::string key, std::string value, const CallOptions& options = {});
  Result<DeleteResult> erase(Delete erase, const CallOptions& options = {});
  template <std::convertible_to<std::string> Key>
  Result<DeleteResult> erase(Key&& key, const CallOptions& options = {}) {
    return erase(Delete{.key = std::string(std::forward<Key>(key))}, options);
  }
  Result<TxnResult> txn(Txn txn, const CallOptions& options = {});
  // A transaction step by step; see txn.h.
  TxnBuilder txn();
  // Returns the store's revision. `physical`: answer only when the space can be reused.
  Result<std::int64_t> compact(std::int64_t revision, bool physical = false,
                               const CallOptions& options = {});

  // The TTL is rounded up to whole seconds. The lease ends by itself unless it is renewed; a
  // Session does that for you.
  Result<Grant> grant(Duration ttl, LeaseId id = 0, const CallOptions& options = {});
  Result<void> revoke(LeaseId id, const CallOptions& options = {});
  Result<Renewal> renew(LeaseId id, const CallOptions& options = {});
  Result<LeaseInfo> lease_info(LeaseId id, bool with_keys = false, const CallOptions& options = {});
  Result<std::vector<LeaseId>> leases(const CallOptions& options = {});

  // Does not block: that it stands, or cannot, is the watcher's first notice.
  Watcher watch(Watch watch);

  // The same client, asynchronously: what the recipes run on. Lives as long as the client.
  Store& store();
  const ClientOptions& options() const;

 private:
  friend class RawClient;
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// A watch whose notices are pulled. Destroying it ends the watch.
//
// Caveat: notices wait in memory until they are pulled, however many there are.
//
// Threads: next() from one thread at a time. Must not outlive its Client.
//
//   Watcher watcher = client.watch({.key = "config/", .range_end = prefix_end("config/")});
//   for (;;) {
//     Result<WatchNotice> notice = watcher.next(stop);
//     if (!notice) return notice.error();
//     if (notice->kind == WatchNotice::Kind::compacted) {
//       return read_again(notice->compact_revision);
//     }
//     for (const Event& event : notice->events) apply(event);
//   }
class Watcher {
 public:
  Watcher(Watcher&& other) noexcept;
  Watcher& operator=(Watcher&& other) noexcept;
  ~Watcher();

  // Blocks for the next notice, in order: first `created`, then `events` and `progress`, perhaps at
  // last `compacted`, which is repeated from then on. Errors: timed_out and cancelled, after which
  // the watch goes on; any other is the reason why the watch has failed, and is repeated.
  Result<WatchNotice> next(const std::stop_token& stop = {},
                           std::optional<std::chrono::milliseconds> timeout = std::nullopt);

 private:
  friend class Client;
  struct State;
  explicit Watcher(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace conclave
