#include "conclave/bench/leadership.h"

#include <vector>

#include <gtest/gtest.h>

namespace conclave::bench {
namespace {

MemberStatus status(std::uint64_t id, std::uint64_t leader, std::uint64_t term,
                    std::uint64_t applied = 0) {
  etcdserverpb::StatusResponse response;
  response.mutable_header()->set_member_id(id);
  response.set_leader(leader);
  response.set_raftterm(term);
  response.set_raftappliedindex(applied);
  return response;
}

TEST(AgreedLeader, IsTheOneThatAllName) {
  const std::vector<MemberStatus> members{status(7, 9, 4), status(8, 9, 4), status(9, 9, 4)};
  EXPECT_EQ(agreed_leader(members), (Leader{2, 4}));
  EXPECT_EQ(agreed_leader(std::vector{status(7, 7, 2)}), (Leader{0, 2}));
}

TEST(AgreedLeader, IsNobodyWhileOneSaysOtherwise) {
  const std::vector<MemberStatus> silent{status(7, 7, 4), std::nullopt, status(9, 7, 4)};
  const std::vector<MemberStatus> has_none{status(7, 7, 4), status(8, 0, 4), status(9, 7, 4)};
  const std::vector<MemberStatus> two{status(7, 7, 4), status(8, 8, 5), status(9, 8, 5)};
  const std::vector<MemberStatus> late{status(7, 7, 5), status(8, 7, 4), status(9, 7, 5)};
  const std::vector<MemberStatus> deposed{status(7, 8, 4), status(9, 8, 4)};
  for (const auto& members : {silent, has_none, two, late, deposed}) {
    EXPECT_EQ(agreed_leader(members), std::nullopt);
  }
}

TEST(HaveApplied, AsksEveryMember) {
  const std::vector<MemberStatus> members{status(7, 7, 1, 20), status(8, 7, 1, 18)};
  EXPECT_TRUE(have_applied(members, 18));
  EXPECT_FALSE(have_applied(members, 19));
  EXPECT_FALSE(have_applied(std::vector<MemberStatus>{status(7, 7, 1, 20), std::nullopt}, 1));
}

}  // namespace
}  // namespace conclave::bench
