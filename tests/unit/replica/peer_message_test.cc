#include "conclave/replica/peer_message.h"

#include <gtest/gtest.h>

namespace conclave::replica {
namespace {

std::optional<PeerContent> there_and_back(const PeerContent& content) {
  return decode_peer_content(encode(content));
}

TEST(PeerMessage, EveryFieldOfAMessageArrives) {
  raft::Message message{.kind = raft::MessageKind::append,
                        .from = 1,
                        .to = 2,
                        .term = 3,
                        .log_index = 4,
                        .log_term = 5,
                        .entries = {{5, 5, raft::EntryKind::normal, std::string("a\0b", 3)},
                                    {5, 6, raft::EntryKind::config_change, ""}},
                        .commit = 6,
                        .rejected = true,
                        .reject_hint = 7,
                        .voteless = true,
                        .leadership_transfer = true,
                        .round = 8,
                        .context = "read 9"};
  message.snapshot = raft::SnapshotMetadata{10, 11, {{1, 2}, {3}, {4}, {5}, true}};
  EXPECT_EQ(there_and_back(message), PeerContent(message));
  EXPECT_TRUE(is_bulk(message));
}

TEST(PeerMessage, WhatConcernsForwardingArrives) {
  const Forward forward{7, 8, 9, "proposal"};
  EXPECT_EQ(there_and_back(forward), PeerContent(forward));
  EXPECT_TRUE(is_bulk(forward));
  const ForwardRefused refused{8, 9, api::Refusal::no_leader};
  EXPECT_EQ(there_and_back(refused), PeerContent(refused));
  EXPECT_FALSE(is_bulk(refused));
  EXPECT_EQ(there_and_back(LogLost{}), PeerContent(LogLost{}));
}

TEST(PeerMessage, HeartbeatsAreNotHeldUpByEntries) {
  EXPECT_FALSE(is_bulk(raft::Message{.kind = raft::MessageKind::heartbeat}));
  EXPECT_FALSE(is_bulk(raft::Message{.kind = raft::MessageKind::vote}));
}

TEST(PeerMessage, WhatCannotBeReadIsDropped) {
  EXPECT_FALSE(decode_peer_content("no packet"));
  EXPECT_FALSE(decode_peer_content(""));
  PeerPacket packet;
  packet.set_version(2);
  packet.mutable_log_lost();
  EXPECT_FALSE(decode_peer_content(packet.SerializeAsString())) << "of another version";
  packet.set_version(1);
  packet.mutable_raft()->set_kind(99);
  EXPECT_FALSE(decode_peer_content(packet.SerializeAsString())) << "an unknown kind of message";
  packet.mutable_raft()->set_kind(1);
  packet.mutable_raft()->add_entries()->set_kind(7);
  EXPECT_FALSE(decode_peer_content(packet.SerializeAsString())) << "an unknown kind of entry";
}

}  // namespace
}  // namespace conclave::replica
