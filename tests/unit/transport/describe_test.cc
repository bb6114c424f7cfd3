#include <gtest/gtest.h>

#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

TEST(Describe, TheFirstThatAnswersIsTaken) {
  Member member(1);
  member.start();
  const auto text =
      fetch_description({"http://127.0.0.1:1", member.url()}, {}, std::chrono::seconds(30));
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "as the cluster is");
}

TEST(Describe, NobodyThereIsKnownBeforeTheTimeout) {
  const auto begin = std::chrono::steady_clock::now();
  const auto text = fetch_description({"http://127.0.0.1:1"}, {}, std::chrono::seconds(60));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::unavailable);
}

TEST(Describe, WithoutUrlsThereIsNobody) {
  const auto text = fetch_description({}, {}, std::chrono::seconds(60));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::unavailable);
}

TEST(Describe, WhatIsNoUrlIsAnError) {
  const auto text = fetch_description({"nonsense"}, {}, std::chrono::seconds(60));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace conclave::transport
