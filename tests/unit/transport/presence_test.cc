#include "conclave/transport/presence.h"

#include <gtest/gtest.h>

namespace conclave::transport {
namespace {

using Verdict = Presence::Verdict;

TEST(Presence, ARefusedProbeAfterABreakMeansGone) {
  Presence presence;
  presence.link_opened();
  EXPECT_TRUE(presence.link_closed());
  EXPECT_EQ(presence.probe_ended(true), Verdict::gone);
}

TEST(Presence, AnyOtherEndOfTheProbeMeansNothing) {
  Presence presence;
  presence.link_opened();
  EXPECT_TRUE(presence.link_closed());
  EXPECT_EQ(presence.probe_ended(false), Verdict::nothing);
  EXPECT_TRUE(presence.link_closed()) << "the next break is looked into again";
}

TEST(Presence, GoneIsFoundOnceThoughSeveralLinksBreak) {
  Presence presence;
  presence.link_opened();
  presence.link_opened();
  presence.link_opened();
  EXPECT_TRUE(presence.link_closed());
  EXPECT_FALSE(presence.link_closed()) << "a probe is on its way";
  EXPECT_EQ(presence.probe_ended(true), Verdict::gone);
  EXPECT_FALSE(presence.link_closed());
  presence.link_opened();
  EXPECT_TRUE(presence.link_closed()) << "it was back";
  EXPECT_EQ(presence.probe_ended(true), Verdict::gone);
}

TEST(Presence, ABreakDuringAProbeThatFoundSomebodyIsProbedToo) {
  Presence presence;
  presence.link_opened();
  EXPECT_TRUE(presence.link_closed());
  EXPECT_FALSE(presence.link_closed());
  EXPECT_EQ(presence.probe_ended(false), Verdict::probe_again);
  EXPECT_EQ(presence.probe_ended(true), Verdict::gone);
}

TEST(Presence, WhoCameBackDuringTheProbeIsNotGone) {
  Presence presence;
  presence.link_opened();
  EXPECT_TRUE(presence.link_closed());
  presence.link_opened();
  EXPECT_EQ(presence.probe_ended(true), Verdict::nothing);
}

TEST(Presence, WhoCameBackAndWentAgainDuringTheProbeIsProbedAgain) {
  Presence presence;
  presence.link_opened();
  EXPECT_TRUE(presence.link_closed());
  presence.link_opened();
  EXPECT_FALSE(presence.link_closed());
  EXPECT_EQ(presence.probe_ended(true), Verdict::probe_again);
  EXPECT_EQ(presence.probe_ended(true), Verdict::gone);
}

}  // namespace
}  // namespace conclave::transport
