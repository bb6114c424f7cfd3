#include "conclave/client/core.h"

#include <utility>

#include "conclave/api/rpc.pb.h"
#include "conclave/client/convert.h"

namespace conclave::client {

namespace {

// Calls, parses the reply as `Reply`, and hands on what `convert` makes of it.
template <class Reply, class Request, class Done, class Convert>
void call(Caller& caller, std::string_view method, const Request& request, CallKind kind,
          Instant deadline, Done done, Convert convert) {
  caller.call({.method = std::string(method),
               .message = request.SerializeAsString(),
               .kind = kind,
               .deadline = deadline},
              [kind, done = std::move(done),
               convert = std::move(convert)](const Result<std::string>& bytes) {
                if (!bytes) return done(bytes.error());
                Reply reply;
                if (reply.ParseFromString(*bytes)) return done(convert(reply));
                // The store has said yes to the request, in words that nobody understands.
                const Errc code =
                    kind == CallKind::write ? Errc::unknown_outcome : Errc::unavailable;
                done(Error{code, "the reply is malformed"});
              });
}

std::int64_t whole_seconds(Duration ttl) {
  return std::chrono::ceil<std::chrono::seconds>(ttl).count();
}

}  // namespace

Result<std::unique_ptr<StoreCore>> StoreCore::open(Executor& executor, ChannelFactory& factory,
                                                   CoreOptions options) {
  auto endpoints = Endpoints::open(factory, options.endpoints);
  if (!endpoints) return std::move(endpoints).error();
  return std::unique_ptr<StoreCore>(
      new StoreCore(executor, *std::move(endpoints), std::move(options)));
}

StoreCore::StoreCore(Executor& executor, std::unique_ptr<Endpoints> endpoints, CoreOptions options)
    : executor_(&executor),
      random_(options.seed),
      endpoints_(std::move(endpoints)),
      caller_(executor, *endpoints_, random_, std::move(options.credentials)),
      renewer_(executor, *endpoints_, caller_, random_, options.dial_timeout),
      watches_(executor, *endpoints_, caller_, random_, options.dial_timeout) {}

void StoreCore::get(Get get, Instant deadline, Done<GetResult> done) {
  call<etcdserverpb::RangeResponse>(caller_, "/etcdserverpb.KV/Range", to_wire(get), CallKind::read,
                                    deadline, std::move(done),
                                    [](auto& reply) { return from_wire(reply); });
}

void StoreCore::put(Put put, Instant deadline, Done<PutResult> done) {
  call<etcdserverpb::PutResponse>(caller_, "/etcdserverpb.KV/Put", to_wire(put), CallKind::write,
                                  deadline, std::move(done),
                                  [](auto& reply) { return from_wire(reply); });
}

void StoreCore::erase(Delete erase, Instant deadline, Done<DeleteResult> done) {
  call<etcdserverpb::DeleteRangeResponse>(caller_, "/etcdserverpb.KV/DeleteRange", to_wire(erase),
                                          CallKind::write, deadline, std::move(done),
                                          [](auto& reply) { return from_wire(reply); });
}

void StoreCore::txn(Txn txn, Instant deadline, Done<TxnResult> done) {
  const CallKind kind = is_read_only(txn) ? CallKind::read : CallKind::write;
  call<etcdserverpb::TxnResponse>(caller_, "/etcdserverpb.KV/Txn", to_wire(txn), kind, deadline,
                                  std::move(done), [](auto& reply) { return from_wire(reply); });
}

void StoreCore::compact(std::int64_t revision, bool physical, Instant deadline,
                        Done<std::int64_t> done) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  request.set_physical(physical);
  call<etcdserverpb::CompactionResponse>(
      caller_, "/etcdserverpb.KV/Compact", request, CallKind::write, deadline, std::move(done),
      [](const auto& reply) { return reply.header().revision(); });
}

void StoreCore::grant(Duration ttl, LeaseId id, Instant deadline, Done<Grant> done) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(whole_seconds(ttl));
  request.set_id(id);
  call<etcdserverpb::LeaseGrantResponse>(
      caller_, "/etcdserverpb.Lease/LeaseGrant", request, CallKind::write, deadline,
      std::move(done), [sent_at = executor_->now()](const auto& reply) -> Result<Grant> {
        if (!reply.error().empty()) return Error{Errc::refused, reply.error()};
        return Grant{
            .id = reply.id(), .ttl = std::chrono::seconds(reply.ttl()), .sent_at = sent_at};
      });
}

void StoreCore::revoke(LeaseId id, Instant deadline, Done<void> done) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(id);
  call<etcdserverpb::LeaseRevokeResponse>(caller_, "/etcdserverpb.Lease/LeaseRevoke", request,
                                          CallKind::write, deadline, std::move(done),
                                          [](const auto&) { return Result<void>(); });
}

void StoreCore::renew(LeaseId id, Instant deadline, Done<Renewal> done) {
  renewer_.renew(id, deadline, std::move(done));
}

void StoreCore::lease_info(LeaseId id, bool with_keys, Instant deadline, Done<LeaseInfo> done) {
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(id);
  request.set_keys(with_keys);
  call<etcdserverpb::LeaseTimeToLiveResponse>(
      caller_, "/etcdserverpb.Lease/LeaseTimeToLive", request, CallKind::read, deadline,
      std::move(done), [](const auto& reply) {
        return LeaseInfo{.remaining = std::chrono::seconds(reply.ttl()),
                         .granted = std::chrono::seconds(reply.grantedttl()),
                         .keys = {reply.keys().begin(), reply.keys().end()}};
      });
}

void StoreCore::leases(Instant deadline, Done<std::vector<LeaseId>> done) {
  call<etcdserverpb::LeaseLeasesResponse>(caller_, "/etcdserverpb.Lease/LeaseLeases",
                                          etcdserverpb::LeaseLeasesRequest(), CallKind::read,
                                          deadline, std::move(done), [](const auto& reply) {
                                            std::vector<LeaseId> ids;
                                            for (const auto& lease : reply.leases()) {
                                              ids.push_back(lease.id());
                                            }
                                            return ids;
                                          });
}

std::unique_ptr<WatchHandle> StoreCore::watch(Watch watch,
                                              std::function<void(const WatchNotice&)> sink) {
  return watches_.watch(std::move(watch), std::move(sink));
}

}  // namespace conclave::client
