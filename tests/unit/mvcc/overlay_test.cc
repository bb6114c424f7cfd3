#include "conclave/mvcc/overlay.h"

#include <string>

#include <gtest/gtest.h>

namespace conclave::mvcc {
namespace {

TEST(Overlay, HoldsABatchUntilItIsCommitted) {
  Overlay overlay;
  EXPECT_EQ(overlay.take(), nullptr);
  overlay.add_record({2, 0}, false, "two");
  const auto first = overlay.take();
  ASSERT_NE(first, nullptr);
  ASSERT_EQ(first->writes.size(), 1U);
  EXPECT_EQ(first->writes[0].key, record_key({2, 0}, false));
  overlay.add_record({3, 0}, true, "three");
  overlay.add_record({3, 1}, false, "four");
  EXPECT_EQ(overlay.find({2, 0}), "two");
  EXPECT_EQ(overlay.find({3, 1}), "four");
  EXPECT_EQ(overlay.first_main(), 2);
  EXPECT_EQ(overlay.uncommitted_bytes(), 17U + 3 + 18 + 5 + 17 + 4);
  overlay.committed();
  EXPECT_FALSE(overlay.find({2, 0}));
  EXPECT_EQ(overlay.find({3, 0}), "three");
  EXPECT_EQ(overlay.first_main(), 3);
  EXPECT_EQ(overlay.uncommitted_bytes(), overlay.pending().byte_count);
}

TEST(Overlay, CommitsInTheOrderOfTaking) {
  Overlay overlay;
  for (int main = 2; main < 6; ++main) {
    overlay.add_write({Table::meta, "applied", std::to_string(main)});
    overlay.add_record({main, 0}, false, std::to_string(main));
    overlay.take();
  }
  overlay.committed();
  overlay.committed();
  EXPECT_FALSE(overlay.find({3, 0}));
  EXPECT_EQ(overlay.find({4, 0}), "4");
  std::string seen;
  overlay.visit(0, [&](std::string_view, std::string_view value) {
    seen += value;
    return true;
  });
  EXPECT_EQ(seen, "45");
  seen.clear();
  overlay.visit(5, [&](std::string_view, std::string_view value) {
    seen += value;
    return true;
  });
  EXPECT_EQ(seen, "5");
}

}  // namespace
}  // namespace conclave::mvcc
