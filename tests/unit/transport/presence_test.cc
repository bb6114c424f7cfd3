#include "conclave/transport/presence.h"

#include <gtest/gtest.h>

namespace conclave::transport {
namespace {

using Next = Presence::Next;

TEST(Presence, ARefusedProbeAfterABreakMeansGone) {
  Presence presence;
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe);
  EXPECT_EQ(presence.probe_ended(true), Next::gone);
}

TEST(Presence, AnyOtherEndOfTheProbeMeansNothing) {
  Presence presence;
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe);
  EXPECT_EQ(presence.probe_ended(false), Next::nothing);
  EXPECT_EQ(presence.link_closed(), Next::probe) << "the next break is looked into again";
}

TEST(Presence, GoneIsFoundOnceThoughSeveralLinksBreak) {
  Presence presence;
  presence.link_opened();
  presence.link_opened();
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe);
  EXPECT_EQ(presence.link_closed(), Next::nothing) << "a probe is on its way";
  EXPECT_EQ(presence.probe_ended(true), Next::gone);
  EXPECT_EQ(presence.link_closed(), Next::nothing);
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe) << "it was back";
  EXPECT_EQ(presence.probe_ended(true), Next::gone);
}

TEST(Presence, WhatADeadPeerSentIsDeliveredBeforeItIsGone) {
  Presence presence;
  presence.link_opened();
  presence.incoming_opened(1);
  presence.incoming_opened(2);
  EXPECT_EQ(presence.link_closed(), Next::probe);
  EXPECT_EQ(presence.incoming_closed(1), Next::nothing);
  EXPECT_EQ(presence.probe_ended(true), Next::nothing);
  EXPECT_EQ(presence.incoming_closed(0), Next::gone);
}

TEST(Presence, WhoComesBackBeforeItsOldLinksEndIsNotGone) {
  Presence presence;
  presence.incoming_opened(1);
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe);
  EXPECT_EQ(presence.probe_ended(true), Next::nothing);
  presence.incoming_opened(2);
  EXPECT_EQ(presence.incoming_closed(1), Next::probe);
  EXPECT_EQ(presence.probe_ended(false), Next::nothing);
}

TEST(Presence, ABreakDuringAProbeThatFoundSomebodyIsProbedToo) {
  Presence presence;
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe);
  EXPECT_EQ(presence.link_closed(), Next::nothing);
  EXPECT_EQ(presence.probe_ended(false), Next::probe);
  EXPECT_EQ(presence.probe_ended(true), Next::gone);
}

TEST(Presence, WhoCameBackDuringTheProbeIsNotGone) {
  Presence presence;
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe);
  presence.link_opened();
  EXPECT_EQ(presence.probe_ended(true), Next::nothing);
}

TEST(Presence, WhoCameBackAndWentAgainDuringTheProbeIsProbedAgain) {
  Presence presence;
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::probe);
  presence.link_opened();
  EXPECT_EQ(presence.link_closed(), Next::nothing);
  EXPECT_EQ(presence.probe_ended(true), Next::probe);
  EXPECT_EQ(presence.probe_ended(true), Next::gone);
}

}  // namespace
}  // namespace conclave::transport
