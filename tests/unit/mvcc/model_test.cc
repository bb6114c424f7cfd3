#include <algorithm>
#include <map>

#include "conclave/base/random.h"

#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

using State = std::map<std::string, mvccpb::KeyValue>;

// What every revision looked like, kept whole: as plain as can be.
class Model {
 public:
  Model() { history_[1] = {}; }

  std::int64_t current() const { return history_.rbegin()->first; }
  const State& at(std::int64_t revision) const { return history_.at(revision); }
  // Keys put or deleted in that revision.
  std::size_t change_count(std::int64_t revision) const {
    std::size_t count = 0;
    for (const auto& [key, kv] : at(revision)) count += kv.mod_revision() == revision ? 1 : 0;
    for (const auto& [key, kv] : at(revision - 1)) count += at(revision).contains(key) ? 0 : 1;
    return count;
  }
  void begin() { next_ = history_.rbegin()->second; }
  void put(const std::string& key, const std::string& value, std::int64_t lease) {
    mvccpb::KeyValue& kv = next_[key];
    if (kv.version() == 0) kv.set_create_revision(current() + 1);
    kv.set_key(key);
    kv.set_value(value);
    kv.set_lease(lease);
    kv.set_mod_revision(current() + 1);
    kv.set_version(kv.version() + 1);
    changed_ = true;
  }
  void del(const std::string& key, const std::string& end) {
    const KeyRange range(key, end);
    for (auto it = next_.begin(); it != next_.end();) {
      if (range.contains(it->first)) {
        it = next_.erase(it);
        changed_ = true;
      } else {
        ++it;
      }
    }
  }
  void end() {
    if (changed_) history_[current() + 1] = next_;
    changed_ = false;
  }

 private:
  std::map<std::int64_t, State> history_;
  State next_;
  bool changed_ = false;
};

class ModelRun {
 public:
  explicit ModelRun(std::uint64_t seed) : random_(seed) {}

  void step() {
    const std::uint64_t dice = random_.below(100);
    if (dice < 45) {
      const std::string key = some_key();
      const std::string value = std::to_string(random_.next());
      const auto lease = static_cast<std::int64_t>(random_.below(3));
      model_.begin();
      model_.put(key, value, lease);
      model_.end();
      store_.put(key, value, lease);
    } else if (dice < 60) {
      const auto [key, end] = some_range();
      model_.begin();
      model_.del(key, end);
      model_.end();
      store_.del(key, end);
    } else if (dice < 75) {
      transaction();
    } else if (dice < 85) {
      move_batches();
    } else if (dice < 90) {
      compact();
    } else if (dice < 95) {
      store_->compaction_step(1 + random_.below(5));
    } else if (dice < 97) {
      restart();
    } else {
      check_some_revision();
    }
    ASSERT_EQ(store_->current_revision(), model_.current());
  }

  void check_everything() {
    for (std::int64_t revision = std::max<std::int64_t>(1, compacted_);
         revision <= model_.current(); ++revision) {
      check(revision, kNoEnd, kNoEnd);
    }
    commit_all();
    store_.compact_physically();
    restart();
    check(model_.current(), kNoEnd, kNoEnd);
    check_what_is_stored();
  }

 private:
  std::string some_key() { return std::string(1, static_cast<char>('a' + random_.below(8))); }
  std::pair<std::string, std::string> some_range() {
    switch (random_.below(6)) {
      case 0:
        return {some_key(), kNoEnd};
      case 1:
        return {some_key(), some_key()};
      default:
        return {some_key(), ""};
    }
  }

  void transaction() {
    etcdserverpb::TxnRequest request;
    model_.begin();
    for (std::uint64_t i = random_.below(5); i > 0; --i) {
      if (random_.chance(2, 3)) {
        const std::string key = some_key();
        model_.put(key, "txn", 0);
        *request.add_success() = op(put_request(key, "txn"));
      } else {
        // validate() does not see that a delete without end meets a put, so here the end is a key.
        auto [key, end] = some_range();
        if (end == kNoEnd) end = "z";
        model_.del(key, end);
        *request.add_success() = op(delete_request(key, end));
      }
      if (!validate(request)) {
        request.clear_success();
        model_.begin();
        model_.put("a", "txn", 0);
        *request.add_success() = op(put_request("a", "txn"));
        break;
      }
    }
    model_.end();
    ASSERT_TRUE(store_->txn(request, StoreUnderTest::any_lease()));
  }

  void move_batches() {
    if (random_.chance(1, 2)) {
      if (auto batch = store_->take_batch()) taken_.push_back(batch);
    } else if (!taken_.empty()) {
      ASSERT_TRUE(store_.storage.commit(*taken_.front()));
      // The news of the commit may come after further reads.
      if (random_.chance(1, 2)) check_some_revision();
      store_->batch_committed();
      taken_.erase(taken_.begin());
    }
  }

  void compact() {
    const std::int64_t revision = compacted_ + 1 + static_cast<std::int64_t>(random_.below(20));
    auto reply = store_->compact(compaction_request(revision));
    ASSERT_EQ(static_cast<bool>(reply), revision <= model_.current());
    if (reply) compacted_ = revision;
  }

  void commit_all() {
    if (auto batch = store_->take_batch()) taken_.push_back(batch);
    for (const auto& batch : taken_) {
      ASSERT_TRUE(store_.storage.commit(*batch));
      store_->batch_committed();
    }
    taken_.clear();
  }

  // Once compacted physically: what is live at the compact revision, and every change from it on.
  void check_what_is_stored() {
    const std::int64_t first = std::max<std::int64_t>(1, compacted_);
    std::size_t wanted = 0;
    for (const auto& [key, kv] : model_.at(first)) {
      if (kv.mod_revision() < first) ++wanted;
    }
    for (std::int64_t revision = first; revision <= model_.current(); ++revision) {
      wanted += revision > 1 ? model_.change_count(revision) : 0;
    }
    ASSERT_EQ(store_.storage.record_count(), wanted);
  }

  void restart() {
    commit_all();
    const std::uint32_t hash = store_->hash_kv(0)->hash();
    store_.restart();
    ASSERT_EQ(store_->compact_revision(), compacted_);
    ASSERT_EQ(store_->hash_kv(0)->hash(), hash);
  }

  void check_some_revision() {
    const auto [key, end] = some_range();
    check(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(model_.current()))) + 1,
        key, end);
  }

  void check(std::int64_t revision, const std::string& key, const std::string& end) {
    auto reply = store_->range(range_request(key, end, revision));
    ASSERT_EQ(static_cast<bool>(reply), revision >= compacted_);
    if (!reply) return;
    std::vector<std::string> wanted;
    for (const auto& [name, kv] : model_.at(revision)) {
      if (KeyRange(key, end).contains(name)) wanted.push_back(kv.SerializeAsString());
    }
    std::vector<std::string> found;
    for (const auto& kv : reply->kvs()) found.push_back(kv.SerializeAsString());
    ASSERT_EQ(found, wanted) << "at revision " << revision;
  }

  Random random_;
  StoreUnderTest store_;
  Model model_;
  std::vector<std::shared_ptr<const Batch>> taken_;
  std::int64_t compacted_ = -1;
};

class ModelTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ModelTest, TheStoreIsTheModel) {
  for (std::uint64_t i = 0; i < 10; ++i) {
    ModelRun run(GetParam() * 10 + i);
    for (int step = 0; step < 400; ++step) {
      run.step();
      if (HasFatalFailure()) FAIL() << "seed " << GetParam() * 10 + i << ", step " << step;
    }
    run.check_everything();
    if (HasFatalFailure()) FAIL() << "seed " << GetParam() * 10 + i;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Range<std::uint64_t>(0, 20));

}  // namespace
}  // namespace conclave::mvcc::testing
