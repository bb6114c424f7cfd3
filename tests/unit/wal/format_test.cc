#include "conclave/wal/format.h"

#include <string>

#include <gtest/gtest.h>

#include "conclave/base/crc32c.h"

namespace conclave::wal {
namespace {

SegmentHeader header_of(std::uint64_t segment) {
  SegmentHeader header;
  header.segment = segment;
  header.previous_end = 4096;
  header.previous_crc = 0xdeadbeef;
  header.previous_index = 41;
  header.previous_term = 3;
  header.hard_state = {.term = 4, .vote = 2, .commit = 40};
  header.metadata = "cluster and member";
  return header;
}

TEST(Header, ReadsAsWritten) {
  SegmentHeader header = header_of(9);
  const std::string bytes = encode_header(header);
  EXPECT_EQ(bytes.size(), header.size);
  EXPECT_EQ(bytes.size() % 8, 0U);
  const HeaderRead read = decode_header(bytes + "what follows");
  ASSERT_EQ(read.state, HeaderRead::State::valid);
  EXPECT_EQ(read.header.segment, 9U);
  EXPECT_EQ(read.header.previous_end, 4096U);
  EXPECT_EQ(read.header.previous_crc, 0xdeadbeefU);
  EXPECT_EQ(read.header.previous_index, 41U);
  EXPECT_EQ(read.header.previous_term, 3U);
  EXPECT_EQ(read.header.hard_state, header.hard_state);
  EXPECT_EQ(read.header.metadata, "cluster and member");
  EXPECT_EQ(read.header.size, header.size);
  EXPECT_EQ(read.header.crc, header.crc);
}

TEST(Header, OfAnotherVersionIsToldFromADamagedOne) {
  SegmentHeader header = header_of(9);
  std::string bytes = encode_header(header);
  bytes[8] = 2;
  EXPECT_EQ(decode_header(bytes).state, HeaderRead::State::invalid);
  const std::uint32_t crc = crc32c(std::string_view(bytes).substr(0, bytes.size() - 4));
  bytes.replace(bytes.size() - 4, 4, std::string(reinterpret_cast<const char*>(&crc), 4));
  const HeaderRead read = decode_header(bytes);
  EXPECT_EQ(read.state, HeaderRead::State::unknown_version);
  EXPECT_EQ(read.version, 2U);
}

TEST(Header, CutShortIsInvalid) {
  SegmentHeader header = header_of(1);
  const std::string bytes = encode_header(header);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode_header(bytes.substr(0, size)).state, HeaderRead::State::invalid);
  }
}

TEST(Record, EntryReadsAsWrittenForEachPayloadLength) {
  for (std::size_t length = 0; length < 40; ++length) {
    const raft::Entry entry{.term = 7,
                            .index = 1ULL << 40,
                            .kind = raft::EntryKind::config_change,
                            .payload = std::string(length, 'x')};
    std::string bytes;
    std::uint32_t chain = 5;
    encode_entry(bytes, 3, chain, entry);
    EXPECT_EQ(bytes.size(), encoded_bytes(entry));
    EXPECT_EQ(bytes.size() % 8, 0U);
    std::uint32_t read_chain = 5;
    const std::optional<Record> record = read_record(bytes, 0, 3, read_chain);
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(read_chain, chain);
    EXPECT_EQ(record->end, bytes.size());
    EXPECT_EQ(record->type, static_cast<std::uint8_t>(RecordType::entry));
    EXPECT_EQ(decode_entry(record->body), entry);
  }
}

TEST(Record, IsRefusedInAnotherSegmentOrAfterAnotherRecord) {
  std::string bytes;
  std::uint32_t chain = 5;
  encode_hard_state(bytes, 3, chain, {.term = 1, .vote = 2, .commit = 3});
  std::uint32_t right = 5;
  EXPECT_TRUE(read_record(bytes, 0, 3, right).has_value());
  std::uint32_t other_segment = 5;
  EXPECT_FALSE(read_record(bytes, 0, 4, other_segment).has_value());
  EXPECT_EQ(other_segment, 5U);
  std::uint32_t other_chain = 6;
  EXPECT_FALSE(read_record(bytes, 0, 3, other_chain).has_value());
}

TEST(Record, ZerosAreNoRecord) {
  std::uint32_t chain = 0;
  EXPECT_FALSE(read_record(std::string(64, '\0'), 0, 0, chain).has_value());
}

TEST(Mark, IsFoundBehindDamageButNotAsAStaleOrMovedCopy) {
  std::string bytes(128, '\xff');
  std::uint32_t chain = 99;
  encode_mark(bytes, 6, chain, Mark{.self = {6, 128}, .synced_end = {6, 100}, .closing = false});
  EXPECT_EQ(highest_synced_end(bytes, 0, 6), (Position{6, 100}));
  EXPECT_EQ(highest_synced_end(bytes, 129, 6), std::nullopt);
  EXPECT_EQ(highest_synced_end(bytes, 0, 7), std::nullopt);
  EXPECT_EQ(highest_synced_end(std::string(8, '\0') + bytes, 0, 6), std::nullopt);
}

}  // namespace
}  // namespace conclave::wal
