#include "conclave/base/url.h"

#include <gtest/gtest.h>

namespace conclave {
namespace {

TEST(Url, TakesSchemeHostAndPort) {
  EXPECT_EQ(*parse_url("http://127.0.0.1:2379"), (Url{"http", "127.0.0.1", 2379}));
  EXPECT_EQ(*parse_url("https://host.example:1/"), (Url{"https", "host.example", 1}));
  EXPECT_EQ(*parse_url("http://[::1]:65535"), (Url{"http", "::1", 65535}));
}

TEST(Url, ComesOutAsItWentIn) {
  for (const char* text : {"http://127.0.0.1:2379", "https://[::1]:80", "http://localhost:0"}) {
    EXPECT_EQ(parse_url(text)->text(), text);
  }
  EXPECT_EQ(parse_url("http://[::]:9")->address(), "[::]:9");
}

TEST(Url, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "\"\" is not of the form http://host:port"},
      {"127.0.0.1:2379", "\"127.0.0.1:2379\" is not of the form http://host:port"},
      {"ftp://a:1", "\"ftp://a:1\" has a scheme that is neither http nor https"},
      {"http://a", "\"http://a\" is not of the form http://host:port"},
      {"http://:1", "\"http://:1\" is not of the form http://host:port"},
      {"http://a:b:1", "\"http://a:b:1\" is not of the form http://host:port"},
      {"http://[::1:1", "\"http://[::1:1\" is not of the form http://host:port"},
      {"http://[zz]:1", "\"http://[zz]:1\" is not of the form http://host:port"},
      {"http://a:1/path", "\"http://a:1/path\" has more than a host and a port"},
      {"http://u@a:1", "\"http://u@a:1\" has more than a host and a port"},
      {"http://a:", "\"http://a:\" has a port that is not a number from 0 to 65535"},
      {"http://a:65536", "\"http://a:65536\" has a port that is not a number from 0 to 65535"},
      {"http://a:1x", "\"http://a:1x\" has a port that is not a number from 0 to 65535"},
  };
  for (const auto& [text, message] : cases) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error(), (Error{Errc::invalid_argument, message}));
  }
}

TEST(Url, ListsAreSeparatedByCommas) {
  EXPECT_EQ(parse_urls("http://a:1,https://b:2")->size(), 2U);
  EXPECT_FALSE(parse_urls("http://a:1,"));
  EXPECT_FALSE(parse_urls(""));
}

TEST(Url, NamesMayHaveSeveral) {
  const auto named = parse_named_urls("a=http://h:1,b=http://i:2,a=http://j:3");
  ASSERT_TRUE(named);
  ASSERT_EQ(named->size(), 2U);
  EXPECT_EQ((*named)[0].name, "a");
  EXPECT_EQ((*named)[0].urls.size(), 2U);
  EXPECT_EQ((*named)[1].urls[0].text(), "http://i:2");
  EXPECT_TRUE(parse_named_urls("")->empty());
  for (const char* wrong : {"a", "=http://h:1", "a=h", "a=http://h:1,,b=http://i:2"}) {
    EXPECT_FALSE(parse_named_urls(wrong)) << wrong;
  }
}

TEST(Url, KnowsWhatNeedsNoResolver) {
  for (const char* host : {"localhost", "127.0.0.1", "0.0.0.0", "::", "fe80::1"}) {
    EXPECT_TRUE(is_bindable_host(host)) << host;
  }
  for (const char* host : {"example.org", "127.0.0", "1.2.3.4.5", ""}) {
    EXPECT_FALSE(is_bindable_host(host)) << host;
  }
  EXPECT_TRUE(is_wildcard_host("0.0.0.0"));
  EXPECT_TRUE(is_wildcard_host("::"));
  EXPECT_FALSE(is_wildcard_host("127.0.0.1"));
  EXPECT_EQ(advertised({"http", "::", 2379}).text(), "http://localhost:2379");
  EXPECT_EQ(advertised({"https", "10.0.0.1", 2379}).text(), "https://10.0.0.1:2379");
}

}  // namespace
}  // namespace conclave
