#include "conclave/bench/options.h"

#include <algorithm>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "conclave/bench/floors.h"

#include "tests/support/fresh_directory.h"

namespace conclave::bench {
namespace {

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    std::ofstream(directory_.path() + "/conclaved").put('x');
    std::ofstream(directory_.path() + "/etcd").put('x');
  }
  Result<Options> parse(const std::vector<std::string>& arguments) const {
    return parse_options(arguments, directory_.path(), directory_.path());
  }

  test::FreshDirectory directory_;
};

TEST_F(OptionsTest, RunsAllOnBothUnlessToldOtherwise) {
  const auto options = parse({});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->workloads.size(), all_workloads().size());
  ASSERT_EQ(options->servers.size(), 2U);
  EXPECT_EQ(options->servers[0].name, "conclave");
  EXPECT_EQ(options->pairs, 5);
  EXPECT_FALSE(options->pairs_given);
}

TEST_F(OptionsTest, TakesTheNumbersOfWorkloads) {
  const auto options = parse({"--only", "W2,W19", "--w2-keys=7", "--quick", "--pairs=1"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->parameters["w2-keys"], 7);
  EXPECT_EQ(options->parameters["w1-operations"], Parameters(true)["w1-operations"]);
  ASSERT_EQ(options->workloads.size(), 2U);
  EXPECT_STREQ(options->workloads[1]->id, "W18");
  EXPECT_TRUE(options->pairs_given);
}

TEST_F(OptionsTest, RefusesWhatItCannotRun) {
  EXPECT_FALSE(parse({"--only", "W99"}));
  EXPECT_FALSE(parse({"--w2-keys", "0"}));
  EXPECT_FALSE(parse({"--w2-key", "1"}));
  EXPECT_FALSE(parse({"--pairs", "0"}));
  EXPECT_FALSE(parse({"--soak", "0"}));
  EXPECT_FALSE(parse({"--servers", "none"}));
  EXPECT_FALSE(parse({"stray"}));
  EXPECT_FALSE(parse({"--etcd", directory_.path() + "/missing"}));
  EXPECT_TRUE(parse({"--etcd", directory_.path() + "/missing", "--servers", "conclave"}));
}

TEST(Tables, EachFloorAndParameterBelongsToAWorkload) {
  std::set<std::string> ids{"W19"};
  for (const Workload& workload : all_workloads()) {
    ids.insert(workload.id);
    EXPECT_NE(Parameters().text(workload.parameters), "") << workload.id;
  }
  for (const Floor& floor : all_floors()) {
    const std::string row = floor.row;
    EXPECT_TRUE(ids.contains(row.substr(0, row.find('/')))) << row;
  }
}

}  // namespace
}  // namespace conclave::bench
