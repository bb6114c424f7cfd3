#include <map>

#include "conclave/base/random.h"
#include "conclave/mvcc/watch_hub.h"

#include "tests/unit/mvcc/support.h"

namespace conclave::mvcc::testing {
namespace {

// Watchers with whims of their own on a store that is written, committed and compacted: some are
// slow, some leave and come back where they were. Each must see exactly what a reader of the whole
// history would.
class WatchRun {
 public:
  explicit WatchRun(std::uint64_t seed) : random_(seed) {}

  void step() {
    const std::uint64_t dice = random_.below(100);
    if (dice < 40) {
      write();
    } else if (dice < 48) {
      come();
    } else if (dice < 52) {
      leave_and_return();
    } else if (dice < 56) {
      store_.commit();
    } else if (dice < 57) {
      compact();
    } else if (!consumers_.empty()) {
      auto consumer = consumers_.lower_bound(random_.below(next_id_));
      if (consumer == consumers_.end()) consumer = consumers_.begin();
      take(consumer->first);
    }
  }

  void finish() {
    for (const WatcherId id : ids()) {
      while (consumers_.contains(id) && take(id)) {
      }
    }
    for (const auto& [id, consumer] : consumers_) {
      ASSERT_EQ(consumer.seen, wanted(consumer, consumer.start, store_->current_revision()));
      if (consumer.start <= store_->current_revision() + 1) {
        ASSERT_EQ(hub_.progress_revision(id), store_->current_revision());
      }
    }
  }

 private:
  using Seen = std::vector<std::string>;
  struct Consumer {
    WatchSpec spec;
    std::int64_t start = 0;
    Seen seen;
    std::int64_t last = 0;  // the revision of the last event seen
  };

  static std::string name(const mvccpb::Event& event) { return event.SerializeAsString(); }

  Seen wanted(const Consumer& consumer, std::int64_t from, std::int64_t to) const {
    Seen all;
    for (const SharedEvents& events : store_.events) {
      if (events->revision < from || events->revision > to) continue;
      for (const auto& event : events->events) {
        if (consumer.spec.wants(event)) all.push_back(name(event));
      }
    }
    return all;
  }

  std::vector<WatcherId> ids() const {
    std::vector<WatcherId> all;
    for (const auto& [id, consumer] : consumers_) all.push_back(id);
    return all;
  }

  std::string key() { return std::string(1, static_cast<char>('a' + random_.below(6))); }

  void write() {
    const std::size_t before = store_.events.size();
    if (random_.chance(1, 4)) {
      store_.del(key(), random_.chance(1, 3) ? key() : "");
    } else {
      store_.put(key(), std::to_string(random_.below(1000)));
    }
    if (store_.events.size() > before) hub_.notify(store_.events.back());
  }

  void come() {
    if (consumers_.size() > 20) return;
    Consumer consumer;
    consumer.spec.key = key();
    if (random_.chance(1, 2)) consumer.spec.range_end = random_.chance(1, 2) ? kNoEnd : "g";
    consumer.spec.no_put = random_.chance(1, 8);
    consumer.spec.no_delete = random_.chance(1, 8);
    const std::int64_t current = store_->current_revision();
    const auto offset = static_cast<std::int64_t>(random_.below(40)) - 30;
    consumer.start = std::max<std::int64_t>(0, current + offset);
    consumer.spec.start_revision = consumer.start;
    if (consumer.start == 0) consumer.start = current + 1;
    add(std::move(consumer));
  }

  void add(Consumer consumer) {
    const WatcherId id = next_id_++;
    hub_.add(id, consumer.spec);
    consumers_.emplace(id, std::move(consumer));
  }

  // As a client does whose stream broke: on from the revision after the last one seen.
  void leave_and_return() {
    if (consumers_.empty()) return;
    const auto it = consumers_.begin();
    Consumer consumer = std::move(it->second);
    ASSERT_TRUE(hub_.remove(it->first));
    consumers_.erase(it);
    if (consumer.last > 0) consumer.spec.start_revision = consumer.last + 1;
    if (consumer.spec.start_revision > 0) add(std::move(consumer));
  }

  void compact() {
    const std::int64_t low = std::max<std::int64_t>(0, store_->compact_revision());
    const auto span = static_cast<std::uint64_t>(store_->current_revision() - low);
    if (span == 0) return;
    ASSERT_TRUE(store_->compact(
        compaction_request(low + 1 + static_cast<std::int64_t>(random_.below(span)))));
    store_->compaction_step(random_.below(20));
  }

  // Whether there may be more.
  bool take(WatcherId id) {
    Consumer& consumer = consumers_.at(id);
    const WatchDelivery delivery = hub_.take(id, 1 + random_.below(6));
    bool give_back = false;
    for (const WatchPiece& piece : delivery.pieces) {
      if (random_.chance(1, 10)) {
        hub_.give_back(id, piece.events->revision);
        give_back = true;
        break;
      }
      EXPECT_GT(piece.events->revision, consumer.last);
      EXPECT_GE(piece.events->revision, consumer.start);
      EXPECT_FALSE(piece.selected.empty());
      consumer.last = piece.events->revision;
      for (const std::uint32_t i : piece.selected) {
        consumer.seen.push_back(name(piece.events->events[i]));
      }
    }
    // Complete at every moment: all that it wants up to the last revision it saw, and no part of
    // one.
    EXPECT_EQ(consumer.seen, wanted(consumer, consumer.start, consumer.last));
    if (delivery.compact_revision != 0) {
      EXPECT_EQ(delivery.compact_revision, store_->compact_revision());
      EXPECT_LT(consumer.last, store_->compact_revision());
      consumers_.erase(id);
    }
    return delivery.more || give_back;
  }

  Random random_;
  StoreUnderTest store_;
  WatchHub hub_{*store_,
                {.max_pending_revisions = 4,
                 .max_recent_bytes = 1800,
                 .max_step_revisions = 5,
                 .max_step_bytes = 60,
                 .max_pages = 2}};
  std::map<WatcherId, Consumer> consumers_;
  WatcherId next_id_ = 1;
};

class WatchRandom : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(WatchRandom, IsOrderedUniqueAtomicCompleteResumable) {
  for (std::uint64_t i = 0; i < 10; ++i) {
    const std::uint64_t seed = GetParam() * 10 + i;
    WatchRun run(seed);
    for (int step = 0; step < 600; ++step) {
      run.step();
      if (HasFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
    run.finish();
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, WatchRandom, ::testing::Range<std::uint64_t>(0, 10));

}  // namespace
}  // namespace conclave::mvcc::testing
