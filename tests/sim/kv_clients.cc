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

// `value` is what the request writes if it is carried out; empty for one that writes nothing.
template <class Request, class Response, class Check>
void KvClient::call(Request request, const std::string& value, Check check) {
  const Began began{cluster_.world().now(), knowledge_.revision};
  network_.call<Request, Response>(*node_, std::move(request), cluster_.world().between(1s, 7s),
                                   [this, began, value, check](const Reply<Response>& reply) {
                                     if (reply.ok) {
                                       ++knowledge_.answered;
                                       check(began, reply.response);
                                       if (!value.empty()) knowledge_.last_write = began.at;
                                     } else {
                                       ++knowledge_.unknown;
                                       if (reply.surely_not_done && !value.empty())
                                         knowledge_.refused.insert(value);
                                       if (cluster_.world().chance(1, 2)) node_ = nullptr;
                                     }
                                     go_on();
                                   });
}

void KvClient::put() {
  etcdserverpb::PutRequest request;
  request.set_key(any_key());
  request.set_value(new_value());
  const std::string value = request.value();
  call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>(
      std::move(request), value, [this, value](const Began& began, const auto& response) {
        check_written(began, value, response.header().revision());
      });
}

void KvClient::get(bool serializable) {
  etcdserverpb::RangeRequest request;
  const std::string key = any_key();
  request.set_key(key);
  request.set_serializable(serializable);
  call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
      std::move(request), "", [this, key, serializable](const Began& began, const auto& response) {
        const std::int64_t revision = response.header().revision();
        // One that may be stale is held to the state of its revision alone.
        if (serializable) {
          const std::int64_t known = knowledge_.revision;
          check_revision({began.at, 0}, revision, "a serializable read");
          knowledge_.revision = known;
        } else {
          check_revision(began, revision, "a read");
        }
        check_kvs(response.kvs(), key, key + '\0', revision);
      });
}

void KvClient::get_all() {
  etcdserverpb::RangeRequest request;
  request.set_key(kPrefix);
  request.set_range_end(kPrefixEnd);
  call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
      std::move(request), "", [this](const Began& began, const auto& response) {
        check_revision(began, response.header().revision(), "a read of all");
        check_kvs(response.kvs(), kPrefix, kPrefixEnd, response.header().revision());
      });
}

void KvClient::erase() {
  etcdserverpb::DeleteRangeRequest request;
  const std::string key = any_key();
  request.set_key(key);
  call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>(
      std::move(request), "", [this, key](const Began& began, const auto& response) {
        check_erased(began, key, response);
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
  const std::string value = put.value();
  call<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
      std::move(request), value, [=, this](const Began& began, const auto& response) {
        check_compared(began, key, expected, value, response);
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
  const std::string value = put.value();
  call<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
      std::move(request), value, [=, this](const Began& began, const auto& response) {
        check_written(began, value, response.header().revision());
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

void KvClient::check_compared(const Began& began, const std::string& key, std::int64_t expected,
                              const std::string& value, const etcdserverpb::TxnResponse& response) {
  const std::int64_t revision = response.header().revision();
  const std::int64_t before = response.succeeded() ? revision - 1 : revision;
  const auto* kv = cluster_.ledger().at(key, before);
  const bool holds = (kv == nullptr ? 0 : kv->mod_revision()) == expected;
  if (holds != response.succeeded()) {
    cluster_.trace().violation("a compare of ", key, " with ", expected, " at revision ", before,
                               " came out wrong");
  }
  if (response.succeeded()) return check_written(began, value, revision);
  if (!check_revision(began, revision, "a compare that failed")) return;
  check_kvs(response.responses(0).response_range().kvs(), key, key + '\0', revision);
  knowledge_.refused.insert(value);
}

std::string KvClient::any_key() {
  return kPrefix + std::to_string(cluster_.world().random().below(kKeys));
}

std::string KvClient::new_value() {
  return "u" + std::to_string(number_) + "." + std::to_string(++writes_);
}

}  // namespace conclave::sim
