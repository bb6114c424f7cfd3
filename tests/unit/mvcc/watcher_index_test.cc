#include "conclave/mvcc/watcher_index.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

namespace conclave::mvcc {
namespace {

std::vector<WatcherId> find(WatcherIndex& index, std::string_view key) {
  static std::int64_t question = 0;
  std::vector<WatcherId> found;
  index.find(key, ++question, found);
  std::sort(found.begin(), found.end());
  return found;
}

using Ids = std::vector<WatcherId>;

TEST(WatcherIndex, FindsByKeyAndRange) {
  WatcherIndex index;
  index.add(1, "b", "");
  index.add(2, "a", "c");
  index.add(3, "a", "c");
  index.add(4, "b", std::string(1, '\0'));
  EXPECT_EQ(find(index, "a"), (Ids{2, 3}));
  EXPECT_EQ(find(index, "b"), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(find(index, "c"), Ids{4});
  index.remove(2, "a", "c");
  index.remove(1, "b", "");
  EXPECT_EQ(find(index, "b"), (Ids{3, 4}));
  index.remove(3, "a", "c");
  index.remove(9, "x", "y");
  index.remove(9, "x", "");
  EXPECT_EQ(find(index, "b"), Ids{4});
}

TEST(WatcherIndex, FindsEachWatcherOnceForAllKeysOfAQuestion) {
  WatcherIndex index;
  index.add(1, "a", "z");
  index.add(2, "b", "");
  index.add(3, "a", "z");
  Ids found;
  for (const char* key : {"a", "b", "b", "c"}) index.find(key, 7, found);
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, (Ids{1, 2, 3}));
  found.clear();
  index.find("c", 8, found);
  EXPECT_EQ(found, (Ids{1, 3}));
}

TEST(WatcherIndex, FindsWhatALinearSearchFinds) {
  Random random(1);
  WatcherIndex index;
  std::map<WatcherId, std::pair<std::string, std::string>> all;
  const auto word = [&] {
    std::string made;
    for (std::uint64_t i = 1 + random.below(3); i > 0; --i) {
      made.push_back(static_cast<char>('a' + random.below(5)));
    }
    return made;
  };
  for (WatcherId id = 1; id <= 5000; ++id) {
    const std::uint64_t dice = random.below(10);
    if (dice < 4 && !all.empty()) {
      auto victim = all.lower_bound(random.below(id));
      if (victim == all.end()) victim = all.begin();
      index.remove(victim->first, victim->second.first, victim->second.second);
      all.erase(victim);
    } else {
      std::string end;
      const std::string begin = word();
      if (dice < 8) end = std::max(word(), begin + "a");
      if (dice == 8) end.assign(1, '\0');
      index.add(id, begin, end);
      all[id] = {begin, end};
    }
    if (id % 10 != 0) continue;
    const std::string key = word();
    Ids wanted;
    for (const auto& [watcher, range] : all) {
      if (KeyRange(range.first, range.second).contains(key)) wanted.push_back(watcher);
    }
    ASSERT_EQ(find(index, key), wanted) << key;
  }
}

}  // namespace
}  // namespace conclave::mvcc
