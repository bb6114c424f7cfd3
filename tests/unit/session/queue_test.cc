#include "conclave/session/queue.h"

#include <gtest/gtest.h>

#include "conclave/session/turn_key.h"
#include "conclave/session/turn_wait.h"

namespace conclave {
namespace {

TEST(HolderInfo, ReadsWhatItWrites) {
  const HolderInfo info{"two\nlines \\ one=sign", "web-3", 4711, 1760000000000};
  const auto read = HolderInfo::decode(info.encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->label, info.label);
  EXPECT_EQ(read->host, "web-3");
  EXPECT_EQ(read->pid, 4711);
  EXPECT_EQ(read->since_ms, 1760000000000);
}

TEST(HolderInfo, SkipsWhatItDoesNotKnow) {
  EXPECT_TRUE(HolderInfo::decode("colour=red\nhost=a\n"));
}

TEST(HolderInfo, DoesNotMistakeForeignValues) {
  for (const char* value : {"", "10.0.0.1:80", "host=a", "a=b\n", "host=a\npid=many\n", "\n"}) {
    EXPECT_FALSE(HolderInfo::decode(value)) << value;
  }
}

TEST(TurnKey, TellsContendersFromDeeperNames) {
  EXPECT_TRUE(session::is_contender("a/", "a/1f"));
  EXPECT_FALSE(session::is_contender("a/", "a/b/1f"));
  EXPECT_FALSE(session::is_contender("a/", "ab"));
}

TEST(TurnKey, KnowsItsOwn) {
  const std::string key = session::contender_key("a", 0x1f, "lock", 0xabc);
  EXPECT_EQ(key, "a/1f+lock-abc");
  EXPECT_TRUE(session::has_our_tag("a/", key));
  for (const char* foreign : {"a/1f", "a/1f+lock", "a/1f+other-1", "a/+lock-1", "a/xy+lock-1"}) {
    EXPECT_FALSE(session::has_our_tag("a/", foreign)) << foreign;
  }
}

TEST(QueueState, NumbersContendersAndSkipsDeeperNames) {
  GetResult read;
  read.revision = 9;
  read.kvs.push_back({.key = "a/b/1", .create_revision = 2});
  read.kvs.push_back({.key = "a/7", .value = "host=fake\n", .create_revision = 3, .lease = 7});
  read.kvs.push_back({.key = "a/8+lock-1",
                      .value = HolderInfo{"x", "h", 1, 1}.encode(),
                      .create_revision = 5,
                      .lease = 8});
  const QueueState state = session::queue_state("a", read);
  ASSERT_EQ(state.contenders.size(), 2U);
  EXPECT_EQ(state.revision, 9);
  EXPECT_EQ(state.contenders[0].position, 1);
  EXPECT_FALSE(state.contenders[0].ours);
  EXPECT_FALSE(state.contenders[0].info);
  EXPECT_EQ(state.contenders[1].position, 2);
  EXPECT_TRUE(state.contenders[1].ours);
  EXPECT_EQ(state.contenders[1].info->label, "x");
  EXPECT_GT(*state.contenders[1].age, std::chrono::hours(1));
  EXPECT_EQ(state.contenders[1].fence, Fence{5});
}

}  // namespace
}  // namespace conclave
