#include "conclave/mvcc/watcher_index.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "conclave/base/check.h"

namespace conclave::mvcc {

// A treap: ordered by (begin, end), heap by priority.
struct WatcherIndex::Node {
  using Ptr = std::unique_ptr<Node>;

  std::string begin;
  std::string end;  // as on the wire: "\0" is no end
  std::uint64_t priority;
  Group watchers;
  Ptr left;
  Ptr right;
  const Node* farthest = this;  // the node with the greatest end among this one and those below

  Node(std::string_view range_begin, std::string_view range_end, std::uint64_t rank)
      : begin(range_begin), end(range_end), priority(rank) {}

  KeyRange range() const { return {begin, end}; }
  bool unbounded() const { return end.size() == 1 && end[0] == '\0'; }
  bool is_before(std::string_view other_begin, std::string_view other_end) const {
    return std::tuple<std::string_view, std::string_view>(begin, end) <
           std::tuple(other_begin, other_end);
  }
  bool is_at(std::string_view other_begin, std::string_view other_end) const {
    return begin == other_begin && end == other_end;
  }

  void update() {
    farthest = this;
    for (const Node* child : {left.get(), right.get()}) {
      if (child == nullptr || farthest->unbounded()) continue;
      const Node* other = child->farthest;
      if (other->unbounded() || other->end > farthest->end) farthest = other;
    }
  }

  static Ptr merge(Ptr lower, Ptr upper) {
    if (!lower) return upper;
    if (!upper) return lower;
    Ptr& top = lower->priority >= upper->priority ? lower : upper;
    if (&top == &lower) {
      top->right = merge(std::move(top->right), std::move(upper));
    } else {
      top->left = merge(std::move(lower), std::move(top->left));
    }
    top->update();
    return std::move(top);
  }

  // Into the nodes before (begin, end) and the others.
  static std::pair<Ptr, Ptr> split(Ptr tree, std::string_view begin, std::string_view end) {
    if (!tree) return {};
    if (tree->is_before(begin, end)) {
      auto [lower, upper] = split(std::move(tree->right), begin, end);
      tree->right = std::move(lower);
      tree->update();
      return {std::move(tree), std::move(upper)};
    }
    auto [lower, upper] = split(std::move(tree->left), begin, end);
    tree->left = std::move(upper);
    tree->update();
    return {std::move(lower), std::move(tree)};
  }

  static Node* find(Node* node, std::string_view begin, std::string_view end) {
    while (node != nullptr && !node->is_at(begin, end)) {
      node = node->is_before(begin, end) ? node->right.get() : node->left.get();
    }
    return node;
  }

  static Ptr erase(Ptr tree, std::string_view begin, std::string_view end) {
    if (!tree) return tree;
    if (tree->is_at(begin, end)) return merge(std::move(tree->left), std::move(tree->right));
    Ptr& child = tree->is_before(begin, end) ? tree->right : tree->left;
    child = erase(std::move(child), begin, end);
    tree->update();
    return tree;
  }

  static void collect(Node* node, std::string_view key, std::int64_t question,
                      std::vector<WatcherId>& found) {
    if (node == nullptr) return;
    if (!node->farthest->unbounded() && node->farthest->end <= key) return;
    collect(node->left.get(), key, question, found);
    if (node->begin > key) return;
    if (node->range().contains(key)) node->watchers.append_to(question, found);
    collect(node->right.get(), key, question, found);
  }
};

void WatcherIndex::Group::add(WatcherId id) {
  CONCLAVE_CHECK(ids_.empty() || ids_.back().id < id, "watchers are added in the order of ids");
  ids_.push_back({id, false});
}

void WatcherIndex::Group::remove(WatcherId id) {
  const auto found =
      std::lower_bound(ids_.begin(), ids_.end(), id,
                       [](const Member& member, WatcherId wanted) { return member.id < wanted; });
  if (found == ids_.end() || found->id != id || found->removed) return;
  found->removed = true;
  ++removed_count_;
  if (2 * removed_count_ <= ids_.size()) return;
  std::erase_if(ids_, [](const Member& member) { return member.removed; });
  removed_count_ = 0;
}

void WatcherIndex::Group::append_to(std::int64_t question, std::vector<WatcherId>& found) {
  if (std::exchange(answered_, question) == question) return;
  for (const Member& member : ids_) {
    if (!member.removed) found.push_back(member.id);
  }
}

WatcherIndex::WatcherIndex() = default;
WatcherIndex::~WatcherIndex() = default;

void WatcherIndex::add(WatcherId id, std::string_view key, std::string_view range_end) {
  if (range_end.empty()) {
    single_[std::string(key)].add(id);
    return;
  }
  if (Node* node = Node::find(ranges_.get(), key, range_end)) {
    node->watchers.add(id);
    return;
  }
  auto node = std::make_unique<Node>(key, range_end, priorities_.next());
  node->watchers.add(id);
  auto [lower, upper] = Node::split(std::move(ranges_), key, range_end);
  ranges_ = Node::merge(Node::merge(std::move(lower), std::move(node)), std::move(upper));
}

void WatcherIndex::remove(WatcherId id, std::string_view key, std::string_view range_end) {
  if (range_end.empty()) {
    const auto it = single_.find(key);
    if (it == single_.end()) return;
    it->second.remove(id);
    if (it->second.empty()) single_.erase(it);
    return;
  }
  Node* node = Node::find(ranges_.get(), key, range_end);
  if (node == nullptr) return;
  node->watchers.remove(id);
  if (node->watchers.empty()) ranges_ = Node::erase(std::move(ranges_), key, range_end);
}

void WatcherIndex::find(std::string_view key, std::int64_t question,
                        std::vector<WatcherId>& found) {
  if (const auto it = single_.find(key); it != single_.end()) {
    it->second.append_to(question, found);
  }
  Node::collect(ranges_.get(), key, question, found);
}

}  // namespace conclave::mvcc
