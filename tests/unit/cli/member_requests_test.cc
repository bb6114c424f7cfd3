#include "conclave/cli/args/member_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conclave/cli/verbs/verb_table.h"

namespace conclave::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Arguments parse(std::vector<std::string> words) {
  words.insert(words.begin(), "member");
  const auto nothing = [](const std::string&) { return std::optional<std::string>(); };
  return parse_arguments(words, all_verbs(), nothing).value();
}

template <class Request>
std::string complaint(const Result<Request>& request) {
  if (request) return "none";
  EXPECT_EQ(request.error().code, Errc::invalid_argument);
  return request.error().message;
}

TEST(MemberRequests, Add) {
  const auto request = member_add_request(
      parse({"add", "m3", "--peer-urls", "http://10.0.0.4:2380,,https://[::1]:2381", "--learner"}));
  ASSERT_TRUE(request);
  EXPECT_THAT(request->peerurls(), ElementsAre("http://10.0.0.4:2380", "https://[::1]:2381"));
  EXPECT_TRUE(request->islearner());
  EXPECT_FALSE(member_add_request(parse({"add", "m3", "--peer-urls=http://h:1"}))->islearner());
}

TEST(MemberRequests, AddSaysWhatIsWrong) {
  const auto says = [](std::vector<std::string> words) {
    return complaint(member_add_request(parse(std::move(words))));
  };
  EXPECT_THAT(says({"add", "m3"}), HasSubstr("--peer-urls is missing"));
  EXPECT_THAT(says({"add", "m3", "--peer-urls", ","}), HasSubstr("--peer-urls is missing"));
  for (const char* url : {"10.0.0.4:2380", "http://10.0.0.4", "ftp://h:1"}) {
    EXPECT_THAT(says({"add", "m3", "--peer-urls", url}),
                HasSubstr("not \"" + std::string(url) + "\""));
  }
  for (const char* name : {"", "a=b", "a,b"}) {
    EXPECT_THAT(says({"add", name, "--peer-urls", "http://h:1"}), HasSubstr("NAME is"));
  }
}

TEST(MemberRequests, IdsAreHexadecimal) {
  EXPECT_EQ(*member_operand(parse({"remove", "88985041d1fe51f8"})), 0x88985041d1fe51f8U);
  EXPECT_EQ(*member_operand(parse({"promote", "5"})), 5U);
  for (const char* id : {"", "m3", "0x5", "188985041d1fe51f8"}) {
    EXPECT_THAT(complaint(member_operand(parse({"remove", id}))), HasSubstr("hexadecimal")) << id;
  }
}

TEST(MemberRequests, Update) {
  const auto request =
      member_update_request(parse({"update", "ff", "--peer-urls", "http://10.0.0.4:2380"}));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->id(), 255U);
  EXPECT_THAT(request->peerurls(), ElementsAre("http://10.0.0.4:2380"));
  EXPECT_THAT(complaint(member_update_request(parse({"update", "ff"}))), HasSubstr("is missing"));
  EXPECT_THAT(complaint(member_update_request(parse({"update", "zz"}))), HasSubstr("hexadecimal"));
}

TEST(VerbTable, EveryVerbHasAnExampleThatNamesIt) {
  for (const Verb& verb : all_verbs()) {
    const std::string text = help_text(verb);
    EXPECT_THAT(text, HasSubstr("conclave " + std::string(verb.name)));
    EXPECT_THAT(verb.example, HasSubstr(verb.name));
    EXPECT_FALSE(verb.summary.empty()) << verb.name;
    EXPECT_LE(verb.name.size(), 20U) << "a column of --help";
  }
}

}  // namespace
}  // namespace conclave::cli
