#include "conclave/transport/links.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::vector<std::string> numbered(const std::string& name, int count, std::size_t bytes = 0) {
  std::vector<std::string> packets;
  for (int i = 0; i < count; ++i) {
    packets.push_back(name + std::to_string(i));
    packets.back().resize(std::max(bytes, packets.back().size()), '.');
  }
  return packets;
}

class LinksTest : public ::testing::Test {
 protected:
  void start() {
    a_.start();
    b_.start();
    connect(a_, b_);
  }

  Member a_{1};
  Member b_{2};
};

TEST_F(LinksTest, PacketsArriveInOrderOnBothLanes) {
  start();
  for (const Lane lane : {Lane::control, Lane::bulk}) {
    const auto sent = numbered("p", 5000);
    for (const std::string& packet : sent) b_.links->send(1, lane, packet);
    a_.events.wait_for([&] { return a_.events.packets.size() >= sent.size(); });
    EXPECT_THAT(std::exchange(a_.events.packets, {}), ElementsAreArray(sent));
  }
}

TEST_F(LinksTest, LargePacketsArriveWhole) {
  start();
  const auto sent = numbered("p", 6, 3'000'000);
  for (const std::string& packet : sent) a_.links->send(2, Lane::bulk, packet);
  const std::string largest(a_.options.packet_bytes_max, 'x');
  a_.links->send(2, Lane::bulk, largest);
  ASSERT_TRUE(b_.events.wait_for([&] { return b_.events.packets.size() == 7; }));
  EXPECT_TRUE(std::equal(sent.begin(), sent.end(), b_.events.packets.begin()));
  EXPECT_EQ(b_.events.packets.back(), largest);
}

TEST_F(LinksTest, APacketOverTheLimitIsLostAlone) {
  start();
  a_.links->send(2, Lane::bulk, std::string(a_.options.packet_bytes_max + 1, 'x'));
  a_.links->send(2, Lane::bulk, "small");
  ASSERT_TRUE(b_.events.wait_for([&] { return !b_.events.packets.empty(); }));
  EXPECT_EQ(b_.events.packets.front(), "small");
  EXPECT_TRUE(a_.events.wait_for([&] { return a_.events.losses[2] > 0; }));
}

TEST_F(LinksTest, ControlOvertakesAFullBulkLane) {
  start();
  const auto bulk = numbered("p", 60, 1'000'000);
  for (const std::string& packet : bulk) a_.links->send(2, Lane::bulk, packet);
  a_.links->send(2, Lane::control, "heartbeat");
  ASSERT_TRUE(b_.events.wait_for([&] { return b_.events.packets.size() == bulk.size() + 1; }));
  const auto& packets = b_.events.packets;
  const auto at = std::find(packets.begin(), packets.end(), "heartbeat");
  EXPECT_LT(at - packets.begin(), 50) << "of " << packets.size();
}

TEST_F(LinksTest, AFullLaneDropsAndTells) {
  a_.options.bulk_bytes_max = 2'000'000;
  start();
  const int losses = a_.events.look([&] { return a_.events.losses[2]; });
  b_.events.block();
  const auto sent = numbered("p", 100, 1'000'000);
  for (const std::string& packet : sent) a_.links->send(2, Lane::bulk, packet);
  EXPECT_TRUE(a_.events.wait_for([&] { return a_.events.losses[2] > losses; }));
  b_.events.let_go();
  // Once there is room again, the lane takes packets as before.
  while (!b_.events.look(
      [&] { return std::ranges::find(b_.events.packets, "after") != b_.events.packets.end(); })) {
    a_.links->send(2, Lane::bulk, "after");
    std::this_thread::sleep_for(milliseconds(2));
  }
  auto came = b_.events.look([&] { return b_.events.packets; });
  std::erase(came, "after");
  EXPECT_LT(came.size(), sent.size());
  EXPECT_GE(came.size(), 1U);
  // In order, none twice.
  std::size_t next = 0;
  for (const std::string& packet : came) {
    while (next < sent.size() && sent[next] != packet) ++next;
    ASSERT_LT(next, sent.size());
    ++next;
  }
  EXPECT_EQ(a_.events.look([&] { return a_.events.goings[2]; }), 0) << "it merely did not read";
}

TEST_F(LinksTest, LossesWithoutALinkAreToldAFewTimesASecond) {
  a_.start();
  const std::string nobody = "http://127.0.0.1:1";
  a_.links->set_peers({{2, {nobody}}});
  const auto begin = steady_clock::now();
  while (steady_clock::now() - begin < milliseconds(600)) {
    a_.links->send(2, Lane::control, "x");
    std::this_thread::sleep_for(milliseconds(1));
  }
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count();
  EXPECT_TRUE(a_.events.wait_for([&] { return a_.events.losses[2] >= 2; }));
  EXPECT_LE(a_.events.look([&] { return a_.events.losses[2]; }), took / 250 + 2);
  EXPECT_EQ(a_.events.look([&] { return a_.events.goings[2]; }), 0) << "it never was there";
}

TEST_F(LinksTest, APeerThatStoppedIsGoneOnceAndItsLinkComesBack) {
  start();
  for (int round = 1; round <= 3; ++round) {
    b_.stop();
    ASSERT_TRUE(a_.events.wait_for([&] { return a_.events.goings[2] == round; }));
    EXPECT_TRUE(a_.events.wait_for([&] { return a_.events.losses[2] > 0; }));
    b_.start();
    connect(a_, b_);
  }
  EXPECT_EQ(a_.events.look([&] { return a_.events.goings[2]; }), 3);
  EXPECT_EQ(b_.events.look([&] { return b_.events.goings[1]; }), 0);
}

TEST_F(LinksTest, ALinkComesBackThoughThePeerDoesNotDial) {
  a_.start();
  b_.start();
  a_.links->set_peers({b_.as_peer()});
  a_.reach(b_);
  b_.stop();
  ASSERT_TRUE(a_.events.wait_for([&] { return a_.events.goings[2] == 1; }));
  b_.start();
  a_.reach(b_);
}

TEST_F(LinksTest, AnIncomingLinkAloneShowsThatThePeerIsGone) {
  b_.events.refusing = [](const Identity&, MemberId) { return LinkRefusal{"not you"}; };
  a_.start();
  b_.start();
  a_.links->set_peers({b_.as_peer()});
  b_.links->set_peers({a_.as_peer()});
  b_.reach(a_);
  ASSERT_TRUE(a_.events.wait_for([&] { return !a_.events.refusals.empty(); }));
  b_.stop();
  EXPECT_TRUE(a_.events.wait_for([&] { return a_.events.goings[2] == 1; }));
}

TEST_F(LinksTest, LinksToAndFromAPeerThatIsRemovedClose) {
  start();
  a_.links->set_peers({});
  // B's own link was cut; it dials again and is let in, since nothing here refuses it.
  EXPECT_TRUE(b_.events.wait_for([&] { return b_.events.losses[1] > 0; }));
  b_.reach(a_);
  a_.links->send(2, Lane::control, "to nobody");
  a_.links->set_peers({b_.as_peer()});
  a_.reach(b_);
  EXPECT_EQ(a_.events.look([&] { return a_.events.goings[2]; }), 0);
  EXPECT_EQ(b_.events.look([&] { return b_.events.goings[1]; }), 0);
}

TEST_F(LinksTest, TheSamePeersAgainChangeNothing) {
  start();
  for (int i = 0; i < 10; ++i) a_.links->set_peers({b_.as_peer(), a_.as_peer()});
  a_.reach(b_);
  EXPECT_EQ(b_.events.look([&] { return b_.events.losses[1]; }), 0);
  const int losses = a_.events.look([&] { return a_.events.losses[2]; });
  for (int i = 0; i < 10; ++i) a_.links->set_peers({b_.as_peer()});
  const auto sent = numbered("p", 100);
  for (const std::string& packet : sent) a_.links->send(2, Lane::bulk, packet);
  b_.events.wait_for([&] { return b_.events.packets.size() >= sent.size(); });
  EXPECT_THAT(b_.events.packets, ElementsAreArray(sent));
  EXPECT_EQ(a_.events.look([&] { return a_.events.losses[2]; }), losses);
}

TEST_F(LinksTest, SeveralUrlsOfAPeerAreTriedInTurn) {
  a_.options.dial_timeout = milliseconds(100);
  a_.start();
  b_.start();
  a_.links->set_peers({{2, {"http://127.0.0.1:1", b_.url()}}});
  a_.reach(b_);
}

TEST_F(LinksTest, APortInUseIsAnErrorThatNamesIt) {
  a_.start();
  b_.options.listen_urls = {a_.url()};
  const auto links = Links::start(b_.options, b_.events);
  ASSERT_FALSE(links);
  EXPECT_EQ(links.error().code, Errc::io);
  EXPECT_THAT(links.error().message, HasSubstr(a_.url()));
}

TEST_F(LinksTest, WhatIsNoUrlIsAnError) {
  a_.options.listen_urls = {"nonsense"};
  const auto links = Links::start(a_.options, a_.events);
  ASSERT_FALSE(links);
  EXPECT_EQ(links.error().code, Errc::invalid_argument);
}

TEST_F(LinksTest, AfterStopNothingIsSentOrTold) {
  start();
  a_.links->stop();
  a_.links->stop();
  const int losses = a_.events.look([&] { return a_.events.losses[2]; });
  a_.links->send(2, Lane::bulk, "x");
  a_.links->set_peers({b_.as_peer()});
  bool was_told = false;
  a_.links->send_snapshot(2, nullptr, [&](const Result<void>& result) {
    was_told = true;
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::cancelled);
  });
  EXPECT_TRUE(was_told);
  EXPECT_EQ(a_.events.losses[2], losses);
}

}  // namespace
}  // namespace conclave::transport
