#include "conclave/cli/verbs/hash_agreement.h"

#include <gtest/gtest.h>

namespace conclave::cli {
namespace {

EndpointHash hash(const std::string& endpoint, std::uint32_t value, std::int64_t compacted = 0) {
  EndpointHash out{.endpoint = endpoint, .hash = {}};
  out.hash.set_hash(value);
  out.hash.set_compact_revision(compacted);
  return out;
}

TEST(HashAgreement, EqualHashesAgree) {
  EXPECT_FALSE(disagreement({}));
  EXPECT_FALSE(disagreement({hash("a", 1)}));
  EXPECT_FALSE(disagreement({hash("a", 0xffffffff, 7), hash("b", 0xffffffff, 7)}));
  EXPECT_FALSE(disagreement({hash("a", 1, -1), hash("b", 1, 0)}));
}

TEST(HashAgreement, DifferentHashesNameTheirMembers) {
  const auto error = disagreement({hash("a", 9), hash("b", 0xffffffff), hash("c", 9)});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::corrupt);
  EXPECT_EQ(error->message, "the members hold different data (9 at a, c; 4294967295 at b)");
}

TEST(HashAgreement, DifferentCompactionsSayNothingAboutTheData) {
  const auto error = disagreement({hash("a", 1, 5), hash("b", 2, 9)});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Errc::refused);
  EXPECT_NE(error->message.find("(5 at a; 9 at b)"), std::string::npos) << error->message;
}

TEST(HashAgreement, EqualHashesOfDifferentClustersAgreeByChance) {
  auto one = hash("a", 1);
  auto other = hash("b", 1);
  one.hash.mutable_header()->set_cluster_id(7);
  other.hash.mutable_header()->set_cluster_id(8);
  const auto error = disagreement({one, other});
  ASSERT_TRUE(error);
  EXPECT_NE(error->message.find("different clusters (7 at a; 8 at b)"), std::string::npos)
      << error->message;
}

}  // namespace
}  // namespace conclave::cli
