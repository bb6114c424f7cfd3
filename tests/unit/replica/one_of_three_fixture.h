#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "conclave/replica/replica.h"

#include "tests/support/memory_storage.h"

namespace conclave::replica {

// Member 1 of three, just begun; what the others say is made up.
class OneOfThreeTest : public testing::Test {
 protected:
  static constexpr Instant kStart{std::chrono::hours(1)};

  static Options options_of_first() {
    Options options;
    options.self = member(1);
    options.initial_members = {member(1), member(2), member(3)};
    options.incarnation = 9;
    return options;
  }
  void SetUp() override {
    Replica::Recovered recovered;
    recovered.previous = {1, 1};
    auto replica =
        Replica::create(options_of_first(), storage_, std::move(recovered), Random(1), kStart);
    ASSERT_TRUE(replica) << replica.error().message;
    replica_ = *std::move(replica);
  }

  // From whom it says, to this member.
  void receive(raft::Message message, Instant now) {
    message.to = 1;
    const raft::NodeId from = message.from;
    replica_->receive(from, data_incarnation_of(from), std::move(message), now);
  }

  test::MemoryStorage storage_;
  std::unique_ptr<Replica> replica_;

 private:
  static std::uint64_t data_incarnation_of(std::uint64_t id) { return 100 + id; }
  static Member member(std::uint64_t id) {
    const std::string name = "n" + std::to_string(id);
    return {id, name, {"http://" + name}, {}, false, data_incarnation_of(id)};
  }
};

}  // namespace conclave::replica
