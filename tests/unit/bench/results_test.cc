#include "conclave/bench/results.h"

#include <gtest/gtest.h>

#include "conclave/bench/report.h"

namespace conclave::bench {
namespace {

Row put_row(double rate, double cpu_us) {
  return {"W2/100",
          "put, 100 clients",
          {{kRate, "/s", rate, Better::higher},
           {kServerCpu, "µs/op", cpu_us, Better::lower},
           {"others' CPU", "% of a core", 1, Better::lower, true}}};
}

Results three_pairs() {
  Results results(2);
  for (const double noise : {-1, 0, 1}) {
    results.add(0, put_row(200 + noise, 30 + noise));
    results.add(1, put_row(100 + noise, 45 + noise));
  }
  return results;
}

Preface preface_of_two() {
  Preface preface;
  preface.servers = {"conclave", "etcd"};
  preface.programs = {"/bin/a", "/bin/b"};
  preface.pairs = 3;
  return preface;
}

TEST(Condense, HoldsMediansAgainstFloors) {
  const Results results = three_pairs();
  const std::vector<Line> lines = condense(results);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].spreads[0].median, 200);
  EXPECT_EQ(lines[0].spreads[1].min, 99);
  EXPECT_EQ(lines[0].ratio, 2);
  EXPECT_EQ(lines[0].verdict, Verdict::met);
  EXPECT_EQ(lines[1].ratio, 1.5);
  EXPECT_EQ(lines[1].verdict, Verdict::missed);
  EXPECT_EQ(lines[2].ratio, 0) << "context is not compared";
  EXPECT_EQ(lines[2].verdict, Verdict::none);
}

TEST(Condense, WithoutTheOtherServerNoRatioIsJudged) {
  Results results(1);
  results.add(0, put_row(200, 30));
  results.add(0, {"W18", "start", {{"to first read", "s", 3, Better::lower}}});
  const std::vector<Line> lines = condense(results);
  EXPECT_EQ(lines[0].ratio, 0);
  EXPECT_EQ(lines[0].verdict, Verdict::none);
  EXPECT_EQ(lines.back().verdict, Verdict::missed) << "this floor is about us alone";
}

TEST(Condense, AServerThatFailedHasNoVerdict) {
  Results results(2);
  results.add(1, put_row(100, 45));
  const std::vector<Line> lines = condense(results);
  EXPECT_EQ(lines[0].ratio, 0);
  EXPECT_EQ(lines[0].verdict, Verdict::none);
}

TEST(Report, ShowsVerdictsParametersAndFailures) {
  Results results = three_pairs();
  results.add_failure("W3 on etcd: it fell over");
  Preface preface = preface_of_two();
  preface.warning = "the machine is not quiet";
  for (const std::string& text : {table_text(preface, results), markdown(preface, results)}) {
    EXPECT_NE(text.find("2.00x"), std::string::npos) << text;
    EXPECT_NE(text.find("200 [199..201]"), std::string::npos) << text;
    EXPECT_NE(text.find("MISSED"), std::string::npos) << text;
    EXPECT_NE(text.find("w2-operations-100=60000"), std::string::npos) << text;
    EXPECT_NE(text.find("it fell over"), std::string::npos) << text;
    EXPECT_NE(text.find("not quiet"), std::string::npos) << text;
  }
  EXPECT_NE(csv(preface, results).find("W2/100,rate,/s,etcd,3,101.000\n"), std::string::npos);
  EXPECT_NE(json(preface, results).find("\"times_better\": 2.0"), std::string::npos);
}

TEST(Plot, HasABarForEachRatioAndAMarkForEachFloor) {
  const std::string svg = plot_svg(preface_of_two(), three_pairs());
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
  EXPECT_NE(svg.find("W2/100  rate"), std::string::npos);
  EXPECT_EQ(svg.find("others"), std::string::npos);
  EXPECT_NE(svg.find("stroke=\"black\""), std::string::npos);
}

}  // namespace
}  // namespace conclave::bench
