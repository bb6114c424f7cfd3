#include <gtest/gtest.h>

#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

TEST(Describe, TheFirstThatIsEnoughIsTaken) {
  Member member(1);
  member.start();
  std::string text;
  const auto asked = fetch_description({"http://127.0.0.1:1", member.url()}, {},
                                       std::chrono::seconds(30), [&](std::string answer) {
                                         text = std::move(answer);
                                         return true;
                                       });
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(text, "as the cluster is");
}

TEST(Describe, OthersAreHeardWhileItIsNotEnough) {
  Member first(1);
  Member second(2);
  first.start();
  second.start();
  int answers = 0;
  const auto asked = fetch_description({first.url(), second.url()}, {}, std::chrono::seconds(30),
                                       [&](const std::string&) { return ++answers < 0; });
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(answers, 2);
}

constexpr auto kNobody = [](const std::string&) { return true; };

TEST(Describe, NobodyThereIsKnownBeforeTheTimeout) {
  const auto begin = std::chrono::steady_clock::now();
  const auto text =
      fetch_description({"http://127.0.0.1:1"}, {}, std::chrono::seconds(60), kNobody);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::unavailable);
}

TEST(Describe, WithoutUrlsThereIsNobody) {
  const auto text = fetch_description({}, {}, std::chrono::seconds(60), kNobody);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::unavailable);
}

TEST(Describe, WhatIsNoUrlIsAnError) {
  const auto text = fetch_description({"nonsense"}, {}, std::chrono::seconds(60), kNobody);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace conclave::transport
