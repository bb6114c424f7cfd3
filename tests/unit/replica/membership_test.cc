#include "conclave/replica/membership.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "conclave/replica/forwarded_once.h"

namespace conclave::replica {
namespace {

Member member(std::uint64_t id) {
  Member made;
  made.id = id;
  made.peer_urls = {"http://127.0.0.1:" + std::to_string(id)};
  return made;
}

MemberChange change(MemberChange::Kind kind, std::uint64_t id, const std::string& url = "") {
  MemberChange made;
  made.set_kind(kind);
  made.mutable_member()->set_id(id);
  if (!url.empty()) made.mutable_member()->add_peerurls(url);
  return made;
}

MemberPublish publish(std::uint64_t id, std::uint64_t incarnation) {
  MemberPublish made;
  made.set_id(id);
  made.set_name("m" + std::to_string(id));
  made.add_client_urls("http://c");
  made.set_data_incarnation(incarnation);
  return made;
}

TEST(Membership, AMemberTellsAboutItself) {
  Membership members({member(1), member(2)});
  EXPECT_EQ(members.apply(publish(2, 77)), std::nullopt);
  EXPECT_EQ(members.find(2)->name, "m2");
  EXPECT_EQ(members.find(2)->client_urls, std::vector<std::string>{"http://c"});
  EXPECT_EQ(members.apply(publish(3, 77)), api::Refusal::member_not_found);
}

TEST(Membership, AMemberThatComesBackWithoutItsDataIsNotHeard) {
  Membership members({member(1), member(2)});
  EXPECT_TRUE(members.accepts(2, 77)) << "nothing is known of its data yet";
  EXPECT_EQ(members.apply(publish(2, 77)), std::nullopt);
  EXPECT_TRUE(members.accepts(2, 77));
  EXPECT_FALSE(members.accepts(2, 78));
  EXPECT_EQ(members.apply(publish(2, 78)), api::Refusal::unhealthy);
  EXPECT_TRUE(members.accepts(9, 1)) << "the log here may not have come to its addition";
}

TEST(Membership, ARemovedMemberIsNeverHeardAgain) {
  Membership members({member(1), member(2)});
  members.apply(change(MemberChange::REMOVE, 2), {.voters = {1}});
  EXPECT_EQ(members.find(2), nullptr);
  EXPECT_TRUE(members.removed(2));
  EXPECT_FALSE(members.accepts(2, 0));
}

TEST(Membership, ALearnerIsOneUntilItIsPromoted) {
  Membership members({member(1)});
  members.apply(change(MemberChange::ADD, 2, "http://two"), {.voters = {1}, .learners = {2}});
  EXPECT_TRUE(members.find(2)->learner);
  EXPECT_TRUE(members.has_peer_url("http://two"));
  EXPECT_FALSE(members.has_peer_url("http://two", 2)) << "its own";
  members.apply(change(MemberChange::UPDATE, 2, "http://deux"), {.voters = {1}, .learners = {2}});
  EXPECT_TRUE(members.has_peer_url("http://deux"));
  EXPECT_TRUE(members.find(2)->learner);
  members.apply(change(MemberChange::PROMOTE, 2), {.voters = {1, 2}});
  EXPECT_FALSE(members.find(2)->learner);
}

TEST(Membership, WhatIsStoredComesBack) {
  Membership members({member(1), member(2), member(3)});
  members.apply(change(MemberChange::REMOVE, 3), {.voters = {1}, .learners = {2}});
  EXPECT_EQ(members.apply(publish(2, 5)), std::nullopt);
  const auto stored = members.take_write();
  ASSERT_TRUE(stored);
  EXPECT_FALSE(members.take_write()) << "nothing changed since";
  Membership restored;
  ASSERT_TRUE(restored.restore(*stored));
  EXPECT_EQ(restored.all(), members.all());
  EXPECT_EQ(restored.config(), members.config());
  EXPECT_TRUE(restored.removed(3));
  EXPECT_EQ(restored.encode(), *stored);
  EXPECT_EQ(restored.restore("rubbish").error().code, Errc::corrupt);
}

TEST(Membership, AVersionThatIsNotKnownIsRefusedAndNoDamage) {
  MembershipRecord later;
  later.set_version(99);
  EXPECT_EQ(Membership().restore(later.SerializeAsString()).error().code, Errc::refused);
}

// Whoever follows the membership looks at its version only.
TEST(Membership, WhatASnapshotBringsIsAChange) {
  Membership now({member(1), member(2)});
  Membership brought;
  ASSERT_TRUE(brought.restore(Membership({member(1), member(3)}).encode()));
  const std::uint64_t before = std::max(now.version(), brought.version());
  now.take_over(std::move(brought));
  EXPECT_GT(now.version(), before);
  EXPECT_NE(now.find(3), nullptr);
  EXPECT_EQ(now.find(2), nullptr);
}

TEST(ForwardedOnce, WhatTheNetworkDoubledIsSeenOnce) {
  ForwardedOnce once;
  EXPECT_TRUE(once.first(1, 10, 5));
  EXPECT_FALSE(once.first(1, 10, 5));
  EXPECT_TRUE(once.first(1, 10, 4)) << "out of order";
  EXPECT_FALSE(once.first(1, 10, 4));
  EXPECT_TRUE(once.first(1, 11, 5)) << "of another life of the member";
  EXPECT_TRUE(once.first(2, 10, 5)) << "of another member";
}

TEST(ForwardedOnce, WhatIsVeryOldCountsAsSeen) {
  ForwardedOnce once;
  for (std::uint64_t sequence = 10; sequence < 10000; ++sequence) {
    ASSERT_TRUE(once.first(1, 1, sequence));
  }
  EXPECT_FALSE(once.first(1, 1, 9));
  EXPECT_FALSE(once.first(1, 1, 5000));
  once.clear();
  EXPECT_TRUE(once.first(1, 1, 9)) << "of a new term";
}

}  // namespace
}  // namespace conclave::replica
