#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/support/etcd_key_model.h"

namespace conclave::test {
namespace {

using Kind = EtcdKeyModel::Kind;
using Found = EtcdKeyModel::Found;

Verdict violation(const std::string& what, const EtcdOperation& operation,
                  const EtcdOperation& other) {
  Verdict verdict;
  verdict.answer = Verdict::Answer::not_linearizable;
  verdict.key = operation.key;
  verdict.excerpt = what + "\n  key \"" + operation.key + "\": " + describe(operation) + '\n';
  if (&other != &operation) {
    verdict.excerpt += "  key \"" + other.key + "\": " + describe(other) + '\n';
  }
  return verdict;
}

// Did it tell what the key was, and change nothing?
bool is_plain_read(const EtcdOperation& operation) {
  return operation.return_time_ns.has_value() && !is_acknowledged_write(operation);
}

class RevisionCheck {
 public:
  explicit RevisionCheck(std::span<const EtcdOperation> history)
      : history_(history), floors_(history.size()) {}

  Verdict run() {
    Verdict verdict = check_makers();
    if (verdict.linearizable()) verdict = check_real_time();
    if (verdict.linearizable()) verdict = check_reads();
    return verdict;
  }

 private:
  struct Made {
    const EtcdOperation* witness;
    std::optional<std::string> value;  // none: deleted
  };
  struct KeyWrites {
    std::map<std::int64_t, const EtcdOperation*> acknowledged;  // by revision
    std::vector<std::size_t> unknown;
  };

  Verdict check_makers();
  Verdict check_real_time();
  Verdict check_reads();
  bool explained_by_unknown(const EtcdOperation& read, const KeyWrites& writes,
                            std::int64_t last_acknowledged) const;

  const std::span<const EtcdOperation> history_;
  std::vector<std::int64_t> floors_;  // by operation: the highest revision known when it was called
};

Verdict RevisionCheck::check_makers() {
  std::map<std::int64_t, Made> made;
  for (const EtcdOperation& operation : history_) {
    if (!is_acknowledged_write(operation)) continue;
    std::optional<std::string> value;
    if (operation.kind != Kind::erase) value = operation.args.value;
    const auto [at, is_new] = made.try_emplace(operation.result.revision, Made{&operation, value});
    if (!is_new) return violation("two writes made one revision", operation, *at->second.witness);
  }
  for (const EtcdOperation& operation : history_) {
    if (!is_plain_read(operation) || !operation.result.found) continue;
    const Found& found = *operation.result.found;
    const auto [at, is_new] = made.try_emplace(found.mod_revision, Made{&operation, found.value});
    if (is_new) continue;
    if (at->second.value == found.value && at->second.witness->key == operation.key) continue;
    return violation("a revision is two things", operation, *at->second.witness);
  }
  return {};
}

Verdict RevisionCheck::check_real_time() {
  std::vector<std::size_t> by_call;
  std::vector<std::size_t> by_return;
  for (std::size_t i = 0; i < history_.size(); ++i) {
    by_call.push_back(i);
    if (history_[i].return_time_ns) by_return.push_back(i);
  }
  std::ranges::sort(by_call, {}, [&](std::size_t i) { return history_[i].call_time_ns; });
  std::ranges::sort(by_return, {}, [&](std::size_t i) { return *history_[i].return_time_ns; });
  const EtcdOperation* highest = nullptr;
  auto returned = by_return.begin();
  for (const std::size_t i : by_call) {
    const EtcdOperation& operation = history_[i];
    for (; returned != by_return.end(); ++returned) {
      const EtcdOperation& earlier = history_[*returned];
      if (*earlier.return_time_ns >= operation.call_time_ns) break;
      if (highest == nullptr || earlier.result.revision > highest->result.revision) {
        highest = &earlier;
      }
    }
    if (highest == nullptr) continue;
    floors_[i] = highest->result.revision;
    if (!operation.return_time_ns) continue;
    const std::int64_t least = floors_[i] + (is_acknowledged_write(operation) ? 1 : 0);
    if (operation.result.revision < least) {
      return violation("a revision was known before and came after", operation, *highest);
    }
  }
  return {};
}

bool RevisionCheck::explained_by_unknown(const EtcdOperation& read, const KeyWrites& writes,
                                         std::int64_t last_acknowledged) const {
  const std::optional<Found>& found = read.result.found;
  // The latest revision at which what was seen can have come about.
  const std::int64_t revision = found ? found->mod_revision : read.result.revision;
  if (revision <= last_acknowledged || revision > read.result.revision) return false;
  return std::ranges::any_of(writes.unknown, [&](std::size_t i) {
    const EtcdOperation& write = history_[i];
    if (write.call_time_ns > *read.return_time_ns || floors_[i] >= revision) return false;
    if (!found) return write.kind == Kind::erase;
    return (write.kind == Kind::put || write.kind == Kind::compare_and_put) &&
           write.args.value == found->value;
  });
}

Verdict RevisionCheck::check_reads() {
  std::map<std::string, KeyWrites> by_key;
  for (std::size_t i = 0; i < history_.size(); ++i) {
    const EtcdOperation& operation = history_[i];
    KeyWrites& writes = by_key[operation.key];
    if (is_acknowledged_write(operation)) {
      writes.acknowledged.emplace(operation.result.revision, &operation);
    } else if (!operation.return_time_ns) {
      writes.unknown.push_back(i);
    }
  }
  for (const EtcdOperation& read : history_) {
    if (!is_plain_read(read)) continue;
    const KeyWrites& writes = by_key.at(read.key);
    const auto after = writes.acknowledged.upper_bound(read.result.revision);
    const EtcdOperation* last = nullptr;
    if (after != writes.acknowledged.begin()) last = std::prev(after)->second;
    std::optional<Found> left;
    if (last != nullptr && last->kind != Kind::erase) {
      left = Found{last->args.value, last->result.revision};
    }
    if (read.result.found == left) continue;
    if (explained_by_unknown(read, writes, last == nullptr ? 0 : last->result.revision)) continue;
    return violation("a read did not see what was written last", read,
                     last == nullptr ? read : *last);
  }
  return {};
}

}  // namespace

Verdict check_revisions(std::span<const EtcdOperation> history) {
  return RevisionCheck(history).run();
}

}  // namespace conclave::test
