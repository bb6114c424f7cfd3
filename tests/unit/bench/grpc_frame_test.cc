#include "conclave/bench/grpc_frame.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/api/rpc.pb.h"

namespace conclave::bench {
namespace {

std::vector<std::string> cut(Deframer& deframer, const std::string& bytes, std::size_t step) {
  std::vector<std::string> messages;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    EXPECT_TRUE(deframer.feed(std::string_view(bytes).substr(at, step),
                              [&](std::string_view message) { messages.emplace_back(message); }));
  }
  return messages;
}

TEST(Frame, HasALengthInFourBytesBigEndFirst) {
  std::string bytes;
  append_frame(bytes, std::string(0x010203, 'x'));
  EXPECT_EQ(bytes.substr(0, 5), std::string("\0\0\1\2\3", 5));
  EXPECT_EQ(bytes.size(), 5U + 0x010203);
}

TEST(Deframer, CutsHoweverTheBytesArrive) {
  const std::vector<std::string> sent{"one", "", std::string(300, 'y'), "four"};
  std::string bytes;
  for (const std::string& message : sent) append_frame(bytes, message);
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    Deframer deframer;
    EXPECT_EQ(cut(deframer, bytes, step), sent) << step;
    EXPECT_FALSE(deframer.in_message());
  }
}

TEST(Deframer, KnowsThatAMessageHasBegun) {
  std::string bytes;
  append_frame(bytes, "unfinished");
  bytes.pop_back();
  Deframer deframer;
  EXPECT_TRUE(cut(deframer, bytes, bytes.size()).empty());
  EXPECT_TRUE(deframer.in_message());
  deframer.clear();
  EXPECT_FALSE(deframer.in_message());
}

TEST(Deframer, RefusesWhatIsCompressedOrTooLong) {
  const auto ignore = [](std::string_view) {};
  EXPECT_FALSE(Deframer().feed(std::string_view("\1\0\0\0\0", 5), ignore));
  EXPECT_FALSE(Deframer().feed(std::string_view("\0\xff\xff\xff\xff", 5), ignore));
}

TEST(WatchSummary, CountsWhatTheMessageHas) {
  etcdserverpb::WatchResponse response;
  response.mutable_header()->set_revision(1'000'000);
  response.set_watch_id(-1);
  response.set_created(true);
  response.set_canceled(true);
  response.set_compact_revision(7);
  response.set_cancel_reason("because");
  for (int i = 0; i < 300; ++i) {
    response.add_events()->mutable_kv()->set_key(std::string(static_cast<std::size_t>(i), 'k'));
  }
  const WatchSummary summary = summarize_watch_response(response.SerializeAsString());
  EXPECT_TRUE(summary.valid);
  EXPECT_TRUE(summary.created);
  EXPECT_TRUE(summary.canceled);
  EXPECT_EQ(summary.events, 300);
}

TEST(WatchSummary, OfNothingIsNothing) {
  const WatchSummary summary = summarize_watch_response("");
  EXPECT_TRUE(summary.valid);
  EXPECT_FALSE(summary.created);
  EXPECT_EQ(summary.events, 0);
}

TEST(WatchSummary, SeesBytesThatAreNoMessage) {
  etcdserverpb::WatchResponse response;
  response.add_events()->mutable_kv()->set_key("key");
  const std::string whole = response.SerializeAsString();
  for (std::size_t size = 1; size < whole.size(); ++size) {
    EXPECT_FALSE(summarize_watch_response(whole.substr(0, size)).valid) << size;
  }
  EXPECT_FALSE(summarize_watch_response(std::string(12, '\xff')).valid);
  EXPECT_FALSE(summarize_watch_response("\x0b").valid);  // a group, which proto3 has not
}

}  // namespace
}  // namespace conclave::bench
