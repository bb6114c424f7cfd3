#include "conclave/cli/args/txn_script.h"

#include <sstream>

#include <gtest/gtest.h>

namespace conclave::cli {
namespace {

using etcdserverpb::Compare;
using Words = std::vector<std::string>;

TEST(SplitWords, QuotesKeepTogether) {
  EXPECT_EQ(*split_words("put  a\t\"b c\" 'd \"e'"), (Words{"put", "a", "b c", "d \"e"}));
  EXPECT_EQ(*split_words(R"(put k "a\nb\t\"\\\x41")"), (Words{"put", "k", "a\nb\t\"\\A"}));
  EXPECT_EQ(*split_words(R"(put k a\n "")"), (Words{"put", "k", R"(a\n)", ""}));
  EXPECT_TRUE(split_words("").value().empty());
}

TEST(SplitWords, RefusesWhatItCannotRead) {
  EXPECT_FALSE(split_words("put \"a"));
  EXPECT_FALSE(split_words(R"(put "\q")"));
  EXPECT_FALSE(split_words(R"(put "\x4")"));
}

TEST(ParseCompare, KnowsTargetsAndRelations) {
  auto compare = parse_compare(R"(mod("a b") > "5")");
  ASSERT_TRUE(compare);
  EXPECT_EQ(compare->target(), Compare::MOD);
  EXPECT_EQ(compare->result(), Compare::GREATER);
  EXPECT_EQ(compare->key(), "a b");
  EXPECT_EQ(compare->mod_revision(), 5);

  compare = parse_compare(R"(value("k") != "v w")");
  ASSERT_TRUE(compare);
  EXPECT_EQ(compare->result(), Compare::NOT_EQUAL);
  EXPECT_EQ(compare->value(), "v w");

  EXPECT_EQ(parse_compare(R"(ver("k") = "1")")->version(), 1);
  EXPECT_EQ(parse_compare(R"(c("k") < "9")")->create_revision(), 9);
  EXPECT_EQ(parse_compare(R"(lease("k") = "1f")")->lease(), 0x1f);
  EXPECT_EQ(parse_compare("create(k) = 0")->target(), Compare::CREATE);
}

TEST(ParseCompare, NamesTheLineThatIsWrong) {
  for (const char* line : {"put a 1", R"(foo("b") = "0")", R"(mod("b") ~ "0")",
                           R"(create("b") = "x")", R"(mod("b" = "0")", R"(mod("b") = )", "mod("}) {
    const auto compare = parse_compare(line);
    ASSERT_FALSE(compare) << line;
    EXPECT_EQ(compare.error().code, Errc::invalid_argument);
    EXPECT_NE(compare.error().message.find(line), std::string::npos) << compare.error().message;
  }
}

TEST(ParseOperation, TakesTheFlagsOfTheCommand) {
  auto operation = parse_operation(R"(put "a" "1 2" --lease=ff)");
  ASSERT_TRUE(operation);
  EXPECT_EQ(operation->request_put().value(), "1 2");
  EXPECT_EQ(operation->request_put().lease(), 255);
  operation = parse_operation("get a --prefix --limit 3");
  ASSERT_TRUE(operation);
  EXPECT_EQ(operation->request_range().range_end(), "b");
  EXPECT_EQ(operation->request_range().limit(), 3);
  operation = parse_operation("del a c");
  ASSERT_TRUE(operation);
  EXPECT_EQ(operation->request_delete_range().range_end(), "c");
  for (const char* line : {"bogus a", "put a", "get", "--prefix", "get a --bogus"}) {
    EXPECT_FALSE(parse_operation(line)) << line;
  }
}

TEST(ReadTxn, ReadsThreeParts) {
  std::istringstream input(
      "mod(\"b\") > \"0\"\nval(\"b\") = \"q\"\n\nput c 1\n get c \n\nput d 2\n\nput ignored 1\n");
  const auto txn = read_txn(input, nullptr);
  ASSERT_TRUE(txn);
  EXPECT_EQ(txn->compare_size(), 2);
  EXPECT_EQ(txn->success_size(), 2);
  ASSERT_EQ(txn->failure_size(), 1);
  EXPECT_EQ(txn->failure(0).request_put().key(), "d");
}

TEST(ReadTxn, PartsMayBeEmpty) {
  std::istringstream only_success("\nput a 1\n\n\n");
  const auto txn = read_txn(only_success, nullptr);
  ASSERT_TRUE(txn);
  EXPECT_EQ(txn->compare_size(), 0);
  EXPECT_EQ(txn->success_size(), 1);
  EXPECT_EQ(txn->failure_size(), 0);
}

TEST(ReadTxn, HalfAScriptIsRefused) {
  for (const char* text : {"", "\n", "\n\n", "mod(\"b\") > \"0\"\n", "\nput a 1", "\nput a 1\n",
                           "\nput a 1\n\n", "\nput a 1\n\nput b 1\n"}) {
    std::istringstream input(text);
    const auto txn = read_txn(input, nullptr);
    ASSERT_FALSE(txn) << text;
    EXPECT_EQ(txn.error().code, Errc::invalid_argument);
  }
}

TEST(ReadTxn, PromptsWhenAsked) {
  std::istringstream input("\n\n\n");
  std::ostringstream prompts;
  ASSERT_TRUE(read_txn(input, &prompts));
  EXPECT_EQ(prompts.str(),
            "compares:\nsuccess requests (get, put, del):\nfailure requests (get, put, del):\n");
}

}  // namespace
}  // namespace conclave::cli
