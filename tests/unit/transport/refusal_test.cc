#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

class RefusalTest : public ::testing::Test {
 protected:
  void SetUp() override { a_.options.refused_pause = std::chrono::milliseconds(50); }
  // A dials B under that id.
  void dial(MemberId id) {
    a_.start();
    b_.start();
    a_.links->set_peers({{id, {b_.url()}}});
  }
  std::string reason() {
    auto& refusals = a_.events.refusals;
    a_.events.wait_for([&] { return !refusals.empty(); });
    return a_.events.look([&] { return refusals.empty() ? "" : refusals.front().second.reason; });
  }

  Member a_{1};
  Member b_{2};
};

TEST_F(RefusalTest, AnotherCluster) {
  a_.options.self.cluster_id = 0xff;
  dial(2);
  EXPECT_EQ(reason(), "this member is of the cluster c1, not of ff");
  EXPECT_EQ(a_.events.refusals.front().first, 2U);
}

TEST_F(RefusalTest, AnotherMemberThanWasMeant) {
  dial(7);
  EXPECT_EQ(reason(), "this is the member 2, not 7");
  EXPECT_EQ(a_.events.refusals.front().first, 7U);
}

TEST_F(RefusalTest, AMemberThatThePeerRefusesItself) {
  const LinkRefusal first{"unknown member"};
  const LinkRefusal second{"still unknown \xc3\xa9", /*is_final=*/true};
  std::atomic<int> asked{0};
  // After many refusals it changes its mind, its reason before that.
  b_.events.refusing = [&](const Identity& from, MemberId to) {
    EXPECT_EQ(from, (Identity{kCluster, 1, 10}));
    EXPECT_EQ(to, 2U);
    const int times = ++asked;
    if (times > 12) return std::optional<LinkRefusal>();
    return std::optional(times > 6 ? second : first);
  };
  dial(2);
  EXPECT_EQ(reason(), "unknown member");
  a_.reach(b_);
  const auto refusals = a_.events.look([&] { return a_.events.refusals; });
  ASSERT_EQ(refusals.size(), 2U) << "once for each reason";
  EXPECT_EQ(refusals.front().second, first);
  EXPECT_EQ(refusals.back().second, second);
  EXPECT_EQ(a_.events.look([&] { return a_.events.acceptances[2]; }), 1);
}

TEST_F(RefusalTest, ASnapshotIsRefusedAsALinkIs) {
  b_.events.refusing = [](const Identity&, MemberId) { return LinkRefusal{"not you"}; };
  dial(2);
  EXPECT_EQ(reason(), "not you");
  std::promise<Result<void>> ended;
  class Empty final : public SnapshotSource {
    Result<std::optional<std::string>> next() override { return std::optional<std::string>(); }
  };
  a_.links->send_snapshot(2, std::make_unique<Empty>(),
                          [&](const Result<void>& result) { ended.set_value(result); });
  const Result<void> result = ended.get_future().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::refused, "not you"}));
}

}  // namespace
}  // namespace conclave::transport
