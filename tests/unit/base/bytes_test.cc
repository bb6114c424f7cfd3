#include "conclave/base/bytes.h"

#include <gtest/gtest.h>

namespace conclave {
namespace {

TEST(Bytes, FixedWidthFormsReadBackWhatWasWritten) {
  std::string out;
  append_le<std::uint32_t>(out, 0x01020304);
  append_be<std::int64_t>(out, -2);
  append_be<std::int64_t>(out, 7);
  ByteReader reader(out);
  EXPECT_EQ(reader.le<std::uint32_t>(), 0x01020304U);
  EXPECT_EQ(reader.be<std::int64_t>(), -2);
  EXPECT_EQ(reader.be<std::int64_t>(), 7);
  EXPECT_EQ(reader.le<std::uint8_t>(), std::nullopt);
}

TEST(Bytes, BigEndianFormsSortAsTheirNumbers) {
  std::string small;
  std::string large;
  append_be<std::int64_t>(small, 255);
  append_be<std::int64_t>(large, 256);
  EXPECT_LT(small, large);
}

TEST(Bytes, TakeRefusesMoreThanThereIs) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.take(2), "ab");
  EXPECT_EQ(reader.take(2), std::nullopt);
  EXPECT_EQ(reader.rest(), "c");
}

TEST(Bytes, HexHasNoLeadingZeros) {
  EXPECT_EQ(hex(0), "0");
  EXPECT_EQ(hex(0x694d7f05a3b1c20eULL), "694d7f05a3b1c20e");
}

TEST(Bytes, PrefixEndRaisesTheLastByteThatCanBeRaised) {
  EXPECT_EQ(prefix_end("key"), "kez");
  EXPECT_EQ(prefix_end(std::string("a\xff\xff")), "b");
  EXPECT_EQ(prefix_end(std::string("\xff")), std::string(1, '\0'));
  EXPECT_EQ(prefix_end(""), std::string(1, '\0'));
}

}  // namespace
}  // namespace conclave
