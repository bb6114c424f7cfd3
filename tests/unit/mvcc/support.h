#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/mvcc/store.h"
#include "conclave/mvcc/validate.h"

namespace conclave::mvcc::testing {

inline const std::string kNoEnd(1, '\0');

// The storage port in memory; reads can be made to fail.
class MemoryStorage final : public Storage {
 public:
  Result<void> commit(const Batch& batch) override {
    for (const Write& write : batch.writes) {
      auto& table = tables_[static_cast<std::size_t>(write.table)];
      if (write.value) {
        table[write.key] = *write.value;
      } else {
        table.erase(write.key);
      }
    }
    return {};
  }
  Result<void> sync() override { return {}; }
  Result<std::optional<std::string>> get(Table table, std::string_view key) const override {
    if (failing) return Error{Errc::io, "the disk is gone"};
    const auto& rows = tables_[static_cast<std::size_t>(table)];
    const auto it = rows.find(key);
    if (it == rows.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }
  Result<void> scan(Table table, std::string_view begin, std::string_view end,
                    const Visitor& visit) const override {
    if (failing) return Error{Errc::io, "the disk is gone"};
    const auto& rows = tables_[static_cast<std::size_t>(table)];
    for (auto it = rows.lower_bound(begin); it != rows.end(); ++it) {
      if (!end.empty() && it->first >= end) break;
      if (!visit(it->first, it->second)) break;
    }
    return {};
  }
  std::uint64_t size_bytes() const override { return 0; }
  std::uint64_t size_in_use_bytes() const override { return 0; }

  std::size_t record_count() const { return tables_[0].size(); }
  void put_raw(Table table, std::string key, std::string value) {
    tables_[static_cast<std::size_t>(table)][std::move(key)] = std::move(value);
  }

  bool failing = false;

 private:
  std::array<std::map<std::string, std::string, std::less<>>, 3> tables_;
};

inline etcdserverpb::PutRequest put_request(std::string key, std::string value,
                                            std::int64_t lease = 0) {
  etcdserverpb::PutRequest request;
  request.set_key(std::move(key));
  request.set_value(std::move(value));
  request.set_lease(lease);
  return request;
}

inline etcdserverpb::RangeRequest range_request(std::string key, std::string end = "",
                                                std::int64_t revision = 0) {
  etcdserverpb::RangeRequest request;
  request.set_key(std::move(key));
  request.set_range_end(std::move(end));
  request.set_revision(revision);
  return request;
}

inline etcdserverpb::DeleteRangeRequest delete_request(std::string key, std::string end = "") {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(std::move(key));
  request.set_range_end(std::move(end));
  return request;
}

inline etcdserverpb::CompactionRequest compaction_request(std::int64_t revision) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  return request;
}

// Operations of a transaction.
inline etcdserverpb::RequestOp op(etcdserverpb::PutRequest request) {
  etcdserverpb::RequestOp operation;
  *operation.mutable_request_put() = std::move(request);
  return operation;
}
inline etcdserverpb::RequestOp op(etcdserverpb::RangeRequest request) {
  etcdserverpb::RequestOp operation;
  *operation.mutable_request_range() = std::move(request);
  return operation;
}
inline etcdserverpb::RequestOp op(etcdserverpb::DeleteRangeRequest request) {
  etcdserverpb::RequestOp operation;
  *operation.mutable_request_delete_range() = std::move(request);
  return operation;
}
inline etcdserverpb::RequestOp op(etcdserverpb::TxnRequest request) {
  etcdserverpb::RequestOp operation;
  *operation.mutable_request_txn() = std::move(request);
  return operation;
}
inline etcdserverpb::TxnRequest txn_request(std::vector<etcdserverpb::Compare> compares,
                                            std::vector<etcdserverpb::RequestOp> success,
                                            std::vector<etcdserverpb::RequestOp> failure = {}) {
  etcdserverpb::TxnRequest request;
  for (auto& each : compares) *request.add_compare() = std::move(each);
  for (auto& each : success) *request.add_success() = std::move(each);
  for (auto& each : failure) *request.add_failure() = std::move(each);
  return request;
}

// A store on a storage of its own. The calls that return a revision fail the test when they are
// refused.
class StoreUnderTest {
 public:
  StoreUnderTest() { open(); }

  Store* operator->() { return store_.get(); }
  Store& operator*() { return *store_; }

  std::int64_t put(std::string key, std::string value, std::int64_t lease = 0) {
    auto applied = store_->put(put_request(std::move(key), std::move(value), lease), any_lease());
    EXPECT_TRUE(applied);
    return applied ? note(*applied).response.header().revision() : 0;
  }
  std::int64_t del(std::string key, std::string end = "") {
    auto applied = store_->delete_range(delete_request(std::move(key), std::move(end)));
    EXPECT_TRUE(applied);
    return applied ? note(*applied).response.header().revision() : 0;
  }
  etcdserverpb::RangeResponse range(const etcdserverpb::RangeRequest& request) {
    auto reply = store_->range(request);
    EXPECT_TRUE(reply);
    return reply ? *reply : etcdserverpb::RangeResponse();
  }
  mvccpb::KeyValue get(std::string key, std::int64_t revision = 0) {
    auto response = range(range_request(std::move(key), "", revision));
    return response.kvs_size() == 1 ? response.kvs(0) : mvccpb::KeyValue();
  }
  std::vector<std::string> keys(const etcdserverpb::RangeRequest& request) {
    std::vector<std::string> found;
    const auto response = range(request);
    for (const auto& kv : response.kvs()) found.push_back(kv.key());
    return found;
  }

  // Commits everything that waits.
  void commit() {
    if (auto batch = store_->take_batch()) {
      EXPECT_TRUE(storage.commit(*batch));
      store_->batch_committed();
    }
  }
  void compact_physically() {
    while (store_->compaction_pending()) store_->compaction_step(2);
    commit();
  }
  // What is not committed is lost.
  void restart() {
    store_.reset();
    open();
  }

  static LeaseChecker any_lease() {
    return [](std::int64_t) { return true; };
  }

  MemoryStorage storage;
  std::vector<SharedEvents> events;  // of every revision, as they came

 private:
  template <class Applied>
  const Applied& note(const Applied& applied) {
    if (applied.events) events.push_back(applied.events);
    return applied;
  }
  void open() {
    store_ = std::make_unique<Store>(storage);
    EXPECT_TRUE(store_->load());
  }

  std::unique_ptr<Store> store_;
};

}  // namespace conclave::mvcc::testing
