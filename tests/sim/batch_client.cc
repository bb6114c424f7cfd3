#include "tests/sim/batch_client.h"

#include <utility>

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr char kPrefixEnd[] = "batch0";
constexpr int kKeys = 6;
constexpr int kPutsAtOnce = 3;
constexpr std::int64_t kFirstLease = 900'000;
constexpr Duration kPatience = 3s;

}  // namespace

void BatchClient::start() {
  cluster_.world().after(cluster_.world().between(100ms, 2s), [this] { act(); });
}

void BatchClient::act() {
  if (stopped_) return;
  ++count_;
  if (cluster_.world().chance(1, 4)) {
    keep_key();
  } else {
    change_several();
  }
  start();
}

void BatchClient::change_several() {
  etcdserverpb::TxnRequest request;
  for (int i = 0; i < kPutsAtOnce; ++i) {
    etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(key_of(count_ + i));
    put.set_value(new_value());
  }
  request.add_success()->mutable_request_delete_range()->set_key(key_of(count_ + kPutsAtOnce));
  etcdserverpb::RangeRequest& range = *request.add_success()->mutable_request_range();
  range.set_key(kPrefix);
  range.set_range_end(kPrefixEnd);
  network_.call<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
      cluster_.any_node(), std::move(request), kPatience, [this](const auto& reply) {
        if (reply.ok) check_range(reply.response);
      });
}

void BatchClient::check_range(const etcdserverpb::TxnResponse& response) const {
  const std::int64_t revision = response.header().revision();
  const auto& kvs = response.responses().rbegin()->response_range().kvs();
  const auto expected = cluster_.ledger().range(kPrefix, kPrefixEnd, revision);
  bool same = static_cast<std::size_t>(kvs.size()) == expected.size();
  for (int i = 0; same && i < kvs.size(); ++i) {
    same = kvs[i].SerializeAsString() == expected[static_cast<std::size_t>(i)]->SerializeAsString();
  }
  if (same) return;
  cluster_.trace().violation("a transaction of revision ", revision,
                             " does not see what it has done");
}

void BatchClient::keep_key() {
  const std::int64_t lease = kFirstLease + count_;
  const std::string key = "kept/" + std::to_string(lease);
  etcdserverpb::LeaseGrantRequest request;
  request.set_id(lease);
  request.set_ttl(1 + static_cast<std::int64_t>(cluster_.world().random().below(3)));
  network_.call<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>(
      cluster_.any_node(), std::move(request), kPatience, [this, lease, key](const auto& reply) {
        if (!reply.ok) return;
        put(key, lease, [this, key] { put(key, 0, [this, key] { kept_.insert(key); }); });
      });
}

void BatchClient::put(const std::string& key, std::int64_t lease, std::function<void()> done) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_lease(lease);
  network_.call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>(
      cluster_.any_node(), std::move(request), kPatience, [done](const auto& reply) {
        if (reply.ok) done();
      });
}

void BatchClient::check_kept() const {
  const Ledger& ledger = cluster_.ledger();
  for (const std::string& key : kept_) {
    if (ledger.at(key, ledger.revision()) != nullptr) continue;
    cluster_.trace().violation(key, " went with a lease that it did not have any more");
  }
}

std::string BatchClient::key_of(int number) const {
  return kPrefix + std::to_string(number % kKeys);
}

std::string BatchClient::new_value() {
  return "ubatch." + std::to_string(++writes_);
}

}  // namespace conclave::sim
