#include "conclave/transport/handshake.h"

#include <gtest/gtest.h>

namespace conclave::transport {
namespace {

std::multimap<grpc::string_ref, grpc::string_ref> whole() {
  return {{"conclave-cluster", "18446744073709551615"},
          {"conclave-member", "1"},
          {"conclave-incarnation", "7"},
          {"conclave-to", "2"},
          {"user-agent", "any"}};
}

TEST(Handshake, ReadsWhatTheCallerSays) {
  const auto hello = read_hello(whole());
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->from, (Identity{UINT64_MAX, 1, 7}));
  EXPECT_EQ(hello->to, 2U);
}

TEST(Handshake, TakesNothingThatIsNotWhole) {
  for (const char* key :
       {"conclave-cluster", "conclave-member", "conclave-incarnation", "conclave-to"}) {
    auto metadata = whole();
    metadata.erase(key);
    EXPECT_FALSE(read_hello(metadata)) << key;
    for (const char* value : {"", "x", "1x", "-1", "18446744073709551616"}) {
      auto wrong = metadata;
      wrong.emplace(key, value);
      EXPECT_FALSE(read_hello(wrong)) << key << " " << value;
    }
  }
}

TEST(Handshake, RefusesAnotherClusterAndACallForAnotherMember) {
  const Identity self{0xabc, 2, 9};
  EXPECT_EQ(refusal_of({{0xabc, 1, 7}, 2}, self), std::nullopt);
  EXPECT_EQ(refusal_of({{0xdef, 1, 7}, 2}, self),
            LinkRefusal{"this member is of the cluster abc, not of def"});
  EXPECT_EQ(refusal_of({{0xabc, 1, 7}, 0x3f}, self), LinkRefusal{"this is the member 2, not 3f"});
}

TEST(Handshake, OnlyARefusalIsOne) {
  for (const LinkRefusal& refusal : {LinkRefusal{"why"}, LinkRefusal{"why", true}}) {
    EXPECT_EQ(refusal_in(refusal_status(refusal)), refusal);
  }
  EXPECT_EQ(refusal_in(grpc::Status::OK), std::nullopt);
  EXPECT_EQ(refusal_in(grpc::Status(grpc::StatusCode::UNAVAILABLE, "")), std::nullopt);
}

}  // namespace
}  // namespace conclave::transport
