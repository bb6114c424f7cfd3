// The tree against std::map, over keys of many shapes.
#include "conclave/mvcc/key_tree.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/random.h"

namespace conclave::mvcc {
namespace {

using Model = std::map<std::string, std::int64_t, std::less<>>;

// Short ones over few letters, zero bytes among them, so that heads and prefixes tie; or numbered
// ones under a long prefix.
std::string random_key(Random& random) {
  constexpr std::string_view kLetters("\0ab\xff", 4);
  std::string key;
  if (random.chance(1, 3)) key = "/registry/pods/default/" + std::to_string(random.below(3000));
  for (std::uint64_t i = random.below(14); i > 0; --i) key += kLetters[random.below(4)];
  return key;
}

void insert(KeyTree& tree, Model& model, const std::string& key, std::int64_t revision) {
  if (!model.emplace(key, revision).second) return;
  tree.insert(tree.locate(key), KeyEntry::make(key, {{revision, 0}, revision, 1}, 0));
}

Model contents(const KeyTree& tree, const KeyRange& range) {
  Model found;
  std::string previous;
  tree.visit(range, [&](std::string_view key, const KeyEntry& entry) {
    EXPECT_TRUE(found.empty() || previous < key) << "out of order";
    previous = key;
    found.emplace(key, entry.head().modified.main);
    return true;
  });
  return found;
}

void expect_equal(const KeyTree& tree, const Model& model, Random& random) {
  ASSERT_EQ(tree.size(), model.size());
  const std::string everything(1, '\0');
  ASSERT_EQ(contents(tree, KeyRange("", everything)), model);
  for (int i = 0; i < 50; ++i) {
    const std::string begin = random_key(random);
    const std::string end = random_key(random);
    const auto it = model.find(begin);
    const KeyEntry* found = tree.find(begin);
    ASSERT_EQ(found != nullptr, it != model.end());
    if (found != nullptr) {
      ASSERT_EQ(found->head().modified.main, it->second);
    }
    if (begin >= end || end == everything) continue;
    ASSERT_EQ(contents(tree, KeyRange(begin, end)),
              Model(model.lower_bound(begin), model.lower_bound(end)));
  }
}

TEST(KeyTree, IsAsAMapWhateverComesAndGoes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    KeyTree tree;
    Model model;
    for (std::int64_t step = 1; step <= 6000; ++step) {
      // It grows in the first half and shrinks in the second.
      if (random.chance(step < 3000 ? 4 : 1, 5)) {
        insert(tree, model, random_key(random), step);
      } else if (!model.empty()) {
        auto it = model.lower_bound(random_key(random));
        if (it == model.end()) it = model.begin();
        tree.erase(*tree.find(it->first));
        model.erase(it);
      }
      if (step % 1000 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(expect_equal(tree, model, random));
    }
    while (!model.empty()) {
      tree.erase(*tree.find(model.begin()->first));
      model.erase(model.begin());
    }
    expect_equal(tree, model, random);
  }
}

TEST(KeyTree, TakesKeysInAscendingAndDescendingOrder) {
  Random random(7);
  for (const bool ascending : {true, false}) {
    KeyTree tree;
    Model model;
    for (std::int64_t i = 0; i < 5000; ++i) {
      insert(tree, model, "key" + std::to_string(100000 + (ascending ? i : 5000 - i)), i + 1);
    }
    expect_equal(tree, model, random);
  }
}

TEST(KeyTree, AnEntryStaysWhereItIs) {
  KeyTree tree;
  const KeyEntry& first = tree.insert(tree.locate("m"), KeyEntry::make("m", {{2, 0}, 2, 1}, 0));
  const std::string_view key = first.key();
  for (int i = 0; i < 3000; ++i) {
    const std::string each = (i % 2 == 0 ? "a" : "z") + std::to_string(i);
    tree.insert(tree.locate(each), KeyEntry::make(each, {{3 + i, 0}, 3 + i, 1}, 0));
  }
  EXPECT_EQ(tree.find("m"), &first);
  EXPECT_EQ(key, "m");
}

}  // namespace
}  // namespace conclave::mvcc
