#include "conclave/client/endpoint.h"

#include <gtest/gtest.h>

namespace conclave::client {
namespace {

TEST(Endpoint, TakesEveryForm) {
  auto plain = parse_endpoint("db-1.example:2379");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "db-1.example");
  EXPECT_EQ(plain->port, 2379);
  EXPECT_EQ(plain->scheme, Endpoint::Scheme::none);

  auto http = parse_endpoint("http://127.0.0.1:1/");
  ASSERT_TRUE(http);
  EXPECT_EQ(http->scheme, Endpoint::Scheme::http);

  auto six = parse_endpoint("https://[::1]:65535");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->port, 65535);
  EXPECT_EQ(six->scheme, Endpoint::Scheme::https);
}

class MalformedEndpoint : public ::testing::TestWithParam<const char*> {};

TEST_P(MalformedEndpoint, IsNamedInTheError) {
  const auto parsed = parse_endpoint(GetParam());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
  EXPECT_NE(parsed.error().message.find(GetParam()), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Forms, MalformedEndpoint,
                         ::testing::Values("", "host", ":2379", "host:", "host:0", "host:65536",
                                           "host:12a", "ftp://host:1", "::1:2379", "[::1]",
                                           "host:1/v3", "ho st:1", "http://:1", "a:1,b:1"));

}  // namespace
}  // namespace conclave::client
