#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conclave/cli/args/parse.h"
#include "conclave/cli/args/requests.h"
#include "conclave/cli/exit_status.h"

namespace conclave::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr Flag kRunFlags[] = {{.name = "ttl", .kind = FlagKind::duration, .fallback = "10"},
                              {.name = "label", .kind = FlagKind::text}};
constexpr Verb kVerbs[] = {
    {.name = "run",
     .operands = "NAME",
     .operands_min = 1,
     .operands_max = 1,
     .takes_command = true,
     .flags = kRunFlags},
    {.name = "lease grant", .operands = "TTL", .operands_min = 1, .operands_max = 1},
    {.name = "lease list"},
    {.name = "version"},
};

class ArgumentsTest : public testing::Test {
 protected:
  Result<Arguments> parse(std::vector<std::string> words) {
    words_ = std::move(words);
    verbs_.assign(kv_verbs().begin(), kv_verbs().end());
    verbs_.insert(verbs_.end(), std::begin(kVerbs), std::end(kVerbs));
    return parse_arguments(words_, verbs_, [this](const std::string& name) {
      const auto found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    });
  }
  std::string complaint(std::vector<std::string> words) {
    const auto arguments = parse(std::move(words));
    if (arguments) return "none";
    EXPECT_EQ(arguments.error().code, Errc::invalid_argument);
    EXPECT_EQ(arguments.error().message.find('\n'), std::string::npos);
    return arguments.error().message;
  }

  std::vector<std::string> words_;
  std::vector<Verb> verbs_;
  std::map<std::string, std::string> environment_;
};

TEST_F(ArgumentsTest, FlagsMayStandAnywhere) {
  const auto arguments =
      parse({"-w", "json", "get", "--prefix", "a", "--endpoints=h:1,h:2", "--limit", "5"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->verb->name, "get");
  EXPECT_THAT(arguments->operands, ElementsAre("a"));
  EXPECT_EQ(arguments->text("write-out"), "json");
  EXPECT_EQ(arguments->text("endpoints"), "h:1,h:2");
  EXPECT_TRUE(arguments->is_set("prefix"));
  EXPECT_FALSE(arguments->is_set("keys-only"));
  EXPECT_EQ(arguments->number("limit"), 5);
  EXPECT_EQ(arguments->duration("command-timeout"), 5s);
}

TEST_F(ArgumentsTest, ABooleanDoesNotEatTheNextWord) {
  const auto arguments = parse({"get", "--prefix", "true"});
  ASSERT_TRUE(arguments);
  EXPECT_THAT(arguments->operands, ElementsAre("true"));
  EXPECT_FALSE(parse({"get", "a", "--prefix=false"})->is_set("prefix"));
}

TEST_F(ArgumentsTest, EmptyWordsAreOperands) {
  const auto arguments = parse({"get", "--prefix", ""});
  ASSERT_TRUE(arguments);
  EXPECT_THAT(arguments->operands, ElementsAre(""));
  const auto put = parse({"put", "a", ""});
  ASSERT_TRUE(put);
  EXPECT_THAT(put->operands, ElementsAre("a", ""));
}

TEST_F(ArgumentsTest, VerbsOfTwoWords) {
  const auto arguments = parse({"lease", "-w", "json", "grant", "60"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->verb->name, "lease grant");
  EXPECT_THAT(arguments->operands, ElementsAre("60"));
  EXPECT_THAT(complaint({"lease"}), HasSubstr("grant, list"));
  EXPECT_THAT(complaint({"lease", "bogus"}), HasSubstr("\"bogus\""));
  const auto help = parse({"lease", "--help"});
  ASSERT_TRUE(help);
  EXPECT_TRUE(help->help);
  EXPECT_EQ(help->group, "lease");
  EXPECT_THAT(help_text(kVerbs, "lease"), HasSubstr("lease list"));
  EXPECT_THAT(help_text(kVerbs, "lease"), Not(HasSubstr("  run")));
}

TEST_F(ArgumentsTest, TheVersionIsAFlagToo) {
  const auto arguments = parse({"-w", "json", "--version"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->verb->name, "version");
  EXPECT_THAT(complaint({"get", "a", "--version"}), HasSubstr("--version"));
}

TEST_F(ArgumentsTest, WhatFollowsTwoDashesIsTheCommand) {
  auto arguments = parse({"run", "deploy", "--label", "x", "--", "sh", "-c", "exit 1", "--", "y"});
  ASSERT_TRUE(arguments);
  EXPECT_THAT(arguments->operands, ElementsAre("deploy"));
  EXPECT_THAT(arguments->command, ElementsAre("sh", "-c", "exit 1", "--", "y"));
  arguments = parse({"run", "deploy", "true", "now"});
  ASSERT_TRUE(arguments);
  EXPECT_THAT(arguments->command, ElementsAre("true", "now"));
  EXPECT_THAT(complaint({"run", "deploy", "--"}), HasSubstr("no command"));
  EXPECT_THAT(complaint({"run", "deploy", "sh", "-c", "x"}), HasSubstr("stand after --"));
  EXPECT_THAT(parse({"put", "--", "-key", "-value"})->operands, ElementsAre("-key", "-value"));
}

TEST_F(ArgumentsTest, TheEnvironmentFillsInAndTheCommandLineWins) {
  environment_ = {{"CONCLAVE_ENDPOINTS", "env:1"}, {"CONCLAVE_COMMAND_TIMEOUT", "250ms"}};
  auto arguments = parse({"get", "a"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->text("endpoints"), "env:1");
  EXPECT_EQ(arguments->duration("command-timeout"), 250ms);
  EXPECT_EQ(parse({"get", "a", "--endpoints", "line:2"})->text("endpoints"), "line:2");
  environment_ = {{"CONCLAVE_COMMAND_TIMEOUT", "soon"}};
  EXPECT_THAT(complaint({"get", "a"}), HasSubstr("CONCLAVE_COMMAND_TIMEOUT"));
}

TEST_F(ArgumentsTest, ComplaintsNameTheWord) {
  EXPECT_THAT(complaint({"bogus"}), HasSubstr("\"bogus\""));
  EXPECT_THAT(complaint({"get", "a", "--bogus"}), HasSubstr("--bogus"));
  EXPECT_THAT(complaint({"--comand-timeout", "5s", "get", "a"}), HasSubstr("--comand-timeout"));
  for (const char* flag : {"--help", "--version", "--prefix", "--ttl=5s"}) {
    EXPECT_THAT(complaint({flag, "-w", "json", "bogus"}), HasSubstr("\"bogus\"")) << flag;
  }
  EXPECT_THAT(complaint({"get", "a", "--limit", "foo"}), HasSubstr("--limit"));
  EXPECT_THAT(complaint({"get", "a", "--limit", "foo"}), HasSubstr("\"foo\""));
  EXPECT_THAT(complaint({"get", "a", "--limit"}), HasSubstr("limit"));
  EXPECT_THAT(complaint({"get", "a", "--prefix=perhaps"}), HasSubstr("--prefix"));
  EXPECT_THAT(complaint({"run", "a", "--ttl", "long"}), HasSubstr("--ttl"));
  EXPECT_THAT(complaint({"get"}), HasSubstr("KEY"));
  EXPECT_THAT(complaint({"get", "a", "b", "c"}), HasSubstr("\"c\""));
  EXPECT_THAT(complaint({"get", "a", "--prefi"}), HasSubstr("--prefi"));
}

TEST_F(ArgumentsTest, HelpNamesFlagsStatusesAndAnExample) {
  parse({"get", "a"}).value();
  const std::string whole = help_text(verbs_);
  for (const Verb& verb : verbs_) EXPECT_THAT(whole, HasSubstr(std::string(verb.name)));
  EXPECT_THAT(whole, HasSubstr("CONCLAVE_ENDPOINTS"));
  EXPECT_THAT(whole, HasSubstr("121  lost"));
  for (const Verb& verb : kv_verbs()) {
    const std::string text = help_text(verb);
    for (const Flag& flag : verb.flags) EXPECT_THAT(text, HasSubstr("--" + std::string(flag.name)));
    EXPECT_THAT(text, HasSubstr(std::string(verb.example)));
  }
}

TEST_F(ArgumentsTest, RangesFollowPrefixAndFromKey) {
  const std::string zero(1, '\0');
  EXPECT_EQ(range_request(*parse({"get", "a"}))->range_end(), "");
  EXPECT_EQ(range_request(*parse({"get", "a", "c"}))->range_end(), "c");
  EXPECT_EQ(range_request(*parse({"get", "a", "--prefix"}))->range_end(), "b");
  EXPECT_EQ(range_request(*parse({"get", "a", "--from-key"}))->range_end(), zero);
  EXPECT_EQ(range_request(*parse({"get", "", "--prefix"}))->key(), zero);
  EXPECT_EQ(range_request(*parse({"get", "", "--prefix"}))->range_end(), zero);
  EXPECT_FALSE(range_request(*parse({"get", "a", "--prefix", "--from-key"})));
  EXPECT_FALSE(range_request(*parse({"get", "a", "b", "--prefix"})));
}

TEST_F(ArgumentsTest, RangesCarrySortingAndConsistency) {
  using etcdserverpb::RangeRequest;
  const auto request = range_request(
      *parse({"get", "a", "--order", "descend", "--sort-by=MODIFY", "--consistency=s"}));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->sort_order(), RangeRequest::DESCEND);
  EXPECT_EQ(request->sort_target(), RangeRequest::MOD);
  EXPECT_TRUE(request->serializable());
  EXPECT_FALSE(range_request(*parse({"get", "a", "--order=foo"})));
  EXPECT_FALSE(range_request(*parse({"get", "a", "--sort-by=foo"})));
  EXPECT_FALSE(range_request(*parse({"get", "a", "--consistency=x"})));
}

TEST_F(ArgumentsTest, PutsTakeTheirValueFromTheInputIfNoneIsGiven) {
  const auto from_input = [] { return std::string("typed\n"); };
  EXPECT_EQ(put_request(*parse({"put", "a", "v"}), from_input)->value(), "v");
  EXPECT_EQ(put_request(*parse({"put", "a"}), from_input)->value(), "typed\n");
  EXPECT_EQ(put_request(*parse({"put", "a", "--ignore-value"}), from_input)->value(), "");
  EXPECT_EQ(put_request(*parse({"put", "a", "v", "--lease=ff"}), from_input)->lease(), 255);
  EXPECT_FALSE(put_request(*parse({"put", "a", "v", "--lease=zz"}), from_input));
  EXPECT_FALSE(put_request(*parse({"put", "a", "v", "--ignore-value"}), from_input));
}

TEST(ParseDuration, ReadsGoFormsAndBareSeconds) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("1m30s"), 90s);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("30"), 30s);
  EXPECT_EQ(parse_duration("0"), 0ms);
  for (const char* wrong : {"", "s", "5x", "-1s", "1s5", "nan", "1e99h"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
}

TEST(ExitStatus, OwnStatusesAreToldApartFromACommands) {
  EXPECT_TRUE(is_ambiguous(120));
  EXPECT_TRUE(is_ambiguous(123));
  EXPECT_FALSE(is_ambiguous(1));
  EXPECT_FALSE(is_ambiguous(124));
  EXPECT_EQ(status_of(Errc::unavailable), ExitStatus::unreachable);
  EXPECT_EQ(status_of(Errc::invalid_argument), ExitStatus::usage);
  EXPECT_EQ(status_of(Errc::session_lost), ExitStatus::lost);
}

}  // namespace
}  // namespace conclave::cli
