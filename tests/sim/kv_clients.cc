#include "tests/sim/kv_clients.h"

#include <utility>

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr char kPrefix[] = "kv/";
constexpr char kPrefixEnd[] = "kv0";
constexpr std::uint64_t kKeys = 8;

}  // namespace

KvClient::KvClient(Cluster& cluster, ClientNetwork& network, Knowledge& knowledge, int number)
    : cluster_(cluster), network_(network), knowledge_(knowledge), number_(number) {}

void KvClient::start() {
  cluster_.world().after(cluster_.world().between(0ms, 500ms), [this] { act(); });
}

void KvClient::go_on() {
  cluster_.world().after(cluster_.world().between(0ms, pause_max_), [this] { act(); });
}

void KvClient::act() {
  if (stopped_) return;
  World& world = cluster_.world();
  if (node_ == nullptr || node_->removed() || world.chance(1, 10)) node_ = &cluster_.any_node();
  const std::uint64_t kind = world.random().below(20);
  if (kind < 7) return put();
  if (kind < 10) return get(false);
  if (kind < 12) return get(true);
  if (kind < 14) return get_all();
  if (kind < 16) return erase();
  if (kind < 19) return compare_and_put();
  return read_in_past();
}

// `write` is what the request does if it is carried out; none for one that only reads.
template <class Request, class Response, class Check>
void KvClient::call(Request request, std::optional<Write> write, Check check) {
  const Began began{cluster_.world().now(), knowledge_.revision};
  network_.call<Request, Response>(
      *node_, std::move(request), cluster_.world().between(1s, 7s),
      [this, began, write = std::move(write), check](const Reply<Response>& reply) {
        if (reply.ok) {
          ++knowledge_.answered;
          check(began, reply.response);
          if (write && !write->args.value.empty()) knowledge_.last_write = began.at;
        } else {
          ++knowledge_.unknown;
          if (write && reply.surely_not_done && !write->args.value.empty())
            knowledge_.refused.insert(write->args.value);
          if (write && !reply.surely_not_done)
            record(began, write->key, write->kind, write->args, std::nullopt);
          if (cluster_.world().chance(1, 2)) node_ = nullptr;
        }
        go_on();
      });
}

// Without a result: its outcome is unknown.
void KvClient::record(const Began& began, const std::string& key, Kind kind, Args args,
                      std::optional<test::EtcdKeyModel::Result> result) {
  test::EtcdOperation operation;
  operation.client = number_;
  operation.key = key;
  operation.call_time_ns = began.at.time_since_epoch().count();
  if (result) {
    operation.return_time_ns = cluster_.world().now().time_since_epoch().count();
    operation.result = *std::move(result);
  }
  operation.kind = kind;
  operation.args = std::move(args);
  knowledge_.history.push_back(std::move(operation));
}

void KvClient::record_put(const Began& began, const Write& write, std::int64_t revision) {
  test::EtcdKeyModel::Result result;
  result.revision = revision;
  record(began, write.key, write.kind, write.args, std::move(result));
}

void KvClient::record_read(const Began& began, const std::string& key,
                           const etcdserverpb::RangeResponse& response) {
  test::EtcdKeyModel::Result result;
  result.revision = response.header().revision();
  for (const mvccpb::KeyValue& kv : response.kvs()) {
    if (kv.key() == key) result.found = {kv.value(), kv.mod_revision()};
  }
  record(began, key, Kind::get, {}, std::move(result));
}

void KvClient::put() {
  etcdserverpb::PutRequest request;
  request.set_key(any_key());
  request.set_value(new_value());
  const Write write{request.key(), Kind::put, {request.value()}};
  call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>(
      std::move(request), write, [this, write](const Began& began, const auto& response) {
        const std::int64_t revision = response.header().revision();
        check_written(began, write.args.value, revision);
        record_put(began, write, revision);
      });
}

void KvClient::get(bool serializable) {
  etcdserverpb::RangeRequest request;
  const std::string key = any_key();
  request.set_key(key);
  request.set_serializable(serializable);
  call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
      std::move(request), std::nullopt,
      [this, key, serializable](const Began& began, const auto& response) {
        const std::int64_t revision = response.header().revision();
        // One that may be stale is held to the state of its revision alone.
        if (serializable) {
          const std::int64_t known = knowledge_.revision;
          check_revision({began.at, 0}, revision, "a serializable read");
          knowledge_.revision = known;
        } else {
          check_revision(began, revision, "a read");
          record_read(began, key, response);
        }
        check_kvs(response.kvs(), key, key + '\0', revision);
      });
}

void KvClient::get_all() {
  etcdserverpb::RangeRequest request;
  request.set_key(kPrefix);
  request.set_range_end(kPrefixEnd);
  call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
      std::move(request), std::nullopt, [this](const Began& began, const auto& response) {
        check_revision(began, response.header().revision(), "a read of all");
        check_kvs(response.kvs(), kPrefix, kPrefixEnd, response.header().revision());
        for (std::uint64_t i = 0; i < kKeys; ++i) record_read(began, key_of(i), response);
      });
}

void KvClient::erase() {
  etcdserverpb::DeleteRangeRequest request;
  const std::string key = any_key();
  request.set_key(key);
  call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>(
      std::move(request), Write{key, Kind::erase},
      [this, key](const Began& began, const auto& response) {
        check_erased(began, key, response);
        test::EtcdKeyModel::Result result;
        result.revision = response.header().revision();
        result.deleted = response.deleted();
        record(began, key, Kind::erase, {}, std::move(result));
      });
}

// Right about the key's revision, or wrong.
void KvClient::compare_and_put() {
  const std::string key = any_key();
  const auto* now = cluster_.ledger().at(key, cluster_.ledger().revision());
  std::int64_t expected = now == nullptr ? 0 : now->mod_revision();
  if (cluster_.world().chance(1, 4)) ++expected;
  etcdserverpb::TxnRequest request;
  etcdserverpb::Compare& compare = *request.add_compare();
  compare.set_key(key);
  compare.set_target(etcdserverpb::Compare::MOD);
  compare.set_mod_revision(expected);
  etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(key);
  put.set_value(new_value());
  request.add_success()->mutable_request_range()->set_key(any_key());
  request.add_failure()->mutable_request_range()->set_key(key);
  const Write write{key, Kind::compare_and_put, {put.value(), expected}};
  call<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
      std::move(request), write, [this, write](const Began& began, const auto& response) {
        check_compared(began, write, response);
      });
}

// A write and a read of an older revision in one: members that have removed different parts of
// what a compaction left over must still agree on whether it can be read.
void KvClient::read_in_past() {
  const std::int64_t revision =
      knowledge_.revision - static_cast<std::int64_t>(cluster_.world().random().below(200));
  if (revision < 2) return go_on();
  etcdserverpb::TxnRequest request;
  etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(any_key());
  put.set_value(new_value());
  etcdserverpb::RangeRequest& range = *request.add_success()->mutable_request_range();
  range.set_key(kPrefix);
  range.set_range_end(kPrefixEnd);
  range.set_revision(revision);
  const Write write{put.key(), Kind::put, {put.value()}};
  call<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
      std::move(request), write, [=, this](const Began& began, const auto& response) {
        check_written(began, write.args.value, response.header().revision());
        record_put(began, write, response.header().revision());
        if (response.responses_size() == 2) {
          check_kvs(response.responses(1).response_range().kvs(), kPrefix, kPrefixEnd, revision);
        }
      });
}

bool KvClient::check_revision(const Began& began, std::int64_t revision, const char* what) {
  Trace& trace = cluster_.trace();
  const bool right = revision >= began.revision && revision <= cluster_.ledger().revision();
  if (revision < began.revision) {
    trace.violation(what, " shows revision ", revision, ", although ", began.revision,
                    " was known before it began");
  } else if (!right) {
    trace.violation(what, " shows revision ", revision, ", which nobody has committed");
  }
  knowledge_.revision = std::max(knowledge_.revision, revision);
  return right;
}

void KvClient::check_kvs(const google::protobuf::RepeatedPtrField<mvccpb::KeyValue>& kvs,
                         const std::string& begin, const std::string& end, std::int64_t revision) {
  const auto expected = cluster_.ledger().range(begin, end, revision);
  bool same = static_cast<std::size_t>(kvs.size()) == expected.size();
  for (int i = 0; same && i < kvs.size(); ++i) {
    const mvccpb::KeyValue& want = *expected[static_cast<std::size_t>(i)];
    same = kvs[i].key() == want.key() && kvs[i].value() == want.value() &&
           kvs[i].mod_revision() == want.mod_revision() && kvs[i].version() == want.version() &&
           kvs[i].create_revision() == want.create_revision();
  }
  if (!same) {
    cluster_.trace().violation("a read at revision ", revision, " from ", begin, " gave ",
                               kvs.size(), " keys that are not those of the history (",
                               expected.size(), ")");
  }
}

void KvClient::check_written(const Began& began, const std::string& value, std::int64_t revision) {
  if (!check_revision(began, revision, "a write")) return;
  const std::int64_t found = cluster_.ledger().revision_of_value(value);
  if (found != revision || revision <= began.revision) {
    cluster_.trace().violation("the write of ", value, " was answered with revision ", revision,
                               ", began after ", began.revision, " and stands at ", found);
  }
}

void KvClient::check_erased(const Began& began, const std::string& key,
                            const etcdserverpb::DeleteRangeResponse& response) {
  const std::int64_t revision = response.header().revision();
  if (!check_revision(began, revision, "a deletion")) return;
  const Ledger& ledger = cluster_.ledger();
  const bool was_there = ledger.at(key, revision - 1) != nullptr;
  const bool right = response.deleted() == 0 ? ledger.at(key, revision) == nullptr
                                             : was_there && ledger.at(key, revision) == nullptr &&
                                                   revision > began.revision;
  if (!right) {
    cluster_.trace().violation("a deletion of ", key, " at revision ", revision, " says ",
                               response.deleted());
  }
}

void KvClient::check_compared(const Began& began, const Write& write,
                              const etcdserverpb::TxnResponse& response) {
  const std::string& key = write.key;
  const std::int64_t expected = write.args.compare_revision;
  const std::int64_t revision = response.header().revision();
  const std::int64_t before = response.succeeded() ? revision - 1 : revision;
  test::EtcdKeyModel::Result result;
  result.revision = revision;
  result.succeeded = response.succeeded();
  if (!response.succeeded() && response.responses(0).response_range().kvs_size() == 1) {
    const mvccpb::KeyValue& found = response.responses(0).response_range().kvs(0);
    result.found = {found.value(), found.mod_revision()};
  }
  record(began, key, write.kind, write.args, std::move(result));
  const auto* kv = cluster_.ledger().at(key, before);
  const bool holds = (kv == nullptr ? 0 : kv->mod_revision()) == expected;
  if (holds != response.succeeded()) {
    cluster_.trace().violation("a compare of ", key, " with ", expected, " at revision ", before,
                               " came out wrong");
  }
  if (response.succeeded()) return check_written(began, write.args.value, revision);
  if (!check_revision(began, revision, "a compare that failed")) return;
  check_kvs(response.responses(0).response_range().kvs(), key, key + '\0', revision);
  knowledge_.refused.insert(write.args.value);
}

std::string KvClient::key_of(std::uint64_t number) {
  return kPrefix + std::to_string(number);
}

std::string KvClient::any_key() {
  return key_of(cluster_.world().random().below(kKeys));
}

std::string KvClient::new_value() {
  return "u" + std::to_string(number_) + "." + std::to_string(++writes_);
}

}  // namespace conclave::sim
