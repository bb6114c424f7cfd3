// When a follower's log may go: once the store's commit that has it is surely on disk.
#include <chrono>
#include <utility>
#include <vector>

#include "tests/unit/replica/one_of_three_fixture.h"

namespace conclave::replica {
namespace {

class LogReleaseTest : public OneOfThreeTest {
 protected:
  void SetUp() override {}  // start() begins

  // What is in the log comes back, and what the store has committed.
  void start() {
    Options options = options_of_first();
    options.kept_log_entries = 0;
    options.kept_log_bytes = 0;
    auto replica = Replica::create(std::move(options), storage_,
                                   {.hard_state = hard_state_, .previous = {1, 1}, .entries = log_},
                                   Random(1), now_);
    ASSERT_TRUE(replica) << replica.error().message;
    replica_ = *std::move(replica);
  }
  // Leader 2 appends one entry more, which is committed, and the store learns of it.
  void follow_and_commit() {
    const auto index = static_cast<raft::Index>(log_.size()) + 2;
    receive({.kind = raft::MessageKind::append,
             .from = 2,
             .term = 2,
             .log_index = index - 1,
             .log_term = log_.empty() ? raft::Term{1} : raft::Term{2},
             .entries = {{.term = 2, .index = index, .payload = {}}},
             .commit = index},
            now_);
    process();
    now_ += std::chrono::seconds(2);
    process();
  }
  raft::Index released() const { return released_; }
  raft::Index stored() const { return *StateMachine::stored_index(storage_); }

 private:
  // The disk does everything at once.
  void process() {
    for (bool goes_on = true; goes_on;) {
      ASSERT_TRUE(replica_->process(now_));
      const Output output = replica_->take_output();
      goes_on = !output.log_writes.empty() || output.batch != nullptr;
      for (const auto& write : output.log_writes) {
        log_.insert(log_.end(), write.entries.begin(), write.entries.end());
        if (write.hard_state) hard_state_ = *write.hard_state;
        replica_->log_persisted(write.ready_number);
      }
      if (output.batch != nullptr) {
        ASSERT_TRUE(storage_.commit(*output.batch));
        replica_->batch_committed(0, 0);
      }
      if (output.release_log) released_ = *output.release_log;
    }
  }

  Instant now_ = kStart;
  std::vector<raft::Entry> log_;
  raft::HardState hard_state_;
  raft::Index released_ = 0;
};

TEST_F(LogReleaseTest, OneCommitAfterTheStoreHasIt) {
  start();
  for (int i = 0; i < 5; ++i) {
    follow_and_commit();
    EXPECT_LT(released(), stored());
  }
  EXPECT_EQ(released(), stored() - 1);
}

// What a start finds may be in the cache only: the process before may have ended by a failed sync.
TEST_F(LogReleaseTest, TheFirstCommitAfterAStartProvesNothing) {
  start();
  for (int i = 0; i < 5; ++i) follow_and_commit();
  const raft::Index before = released();
  const raft::Index found = stored();
  start();
  follow_and_commit();
  EXPECT_EQ(released(), before);
  follow_and_commit();
  EXPECT_GT(released(), found);
}

}  // namespace
}  // namespace conclave::replica
