#include "tests/sim/turn_checker.h"

#include <algorithm>

#include "conclave/session/turn_key.h"

namespace conclave::sim {
namespace {

const std::vector<std::string>& names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = TurnChecker::locks();
    all.push_back(TurnChecker::election());
    return all;
  }();
  return names;
}

}  // namespace

const std::vector<std::string>& TurnChecker::locks() {
  static const std::vector<std::string> locks{"lock/a", "lock/b"};
  return locks;
}

const std::string& TurnChecker::election() {
  static const std::string election = "elect/master";
  return election;
}

std::int64_t TurnChecker::head(const std::string& name) const {
  const auto queue = queues_.find(name);
  return queue == queues_.end() || queue->second.empty() ? 0 : queue->second.begin()->first;
}

bool TurnChecker::queues_are_empty() const {
  return std::ranges::all_of(names(), [this](const auto& name) { return head(name) == 0; });
}

void TurnChecker::start() {
  cluster_.ledger().on_change.emplace_back([this] { changed(); });
}

void TurnChecker::changed() {
  const auto& history = cluster_.ledger().events();
  for (auto at = history.upper_bound(seen_); at != history.end(); ++at) {
    take(*at->second);
    seen_ = at->first;
  }
  check_held();
}

void TurnChecker::take(const mvcc::RevisionEvents& events) {
  for (const mvccpb::Event& event : events.events) {
    const mvccpb::KeyValue& kv = event.kv();
    const bool is_put = event.type() == mvccpb::Event::PUT;
    for (const std::string& name : names()) {
      if (is_put && kv.key() == resource_of(name)) check_write(name, kv);
      if (!session::is_contender(session::queue_prefix(name), kv.key())) continue;
      if (is_put && kv.version() > 1 && kv.create_revision() != head(name)) {
        cluster_.trace().violation(kv.key(), " proclaims, the head of ", name, " is ", head(name));
      }
      if (is_put) {
        queues_[name].emplace(kv.create_revision(), kv.key());
      } else {
        std::erase_if(queues_[name], [&](const auto& entry) { return entry.second == kv.key(); });
      }
    }
  }
  for (const std::string& name : names()) were_head_.insert(head(name));
}

void TurnChecker::check_write(const std::string& name, const mvccpb::KeyValue& kv) {
  const std::int64_t fence = std::stoll(kv.value());
  ++write_count_;
  if (fence != head(name) || fence < last_fence_[name]) {
    cluster_.trace().violation("a guarded write under fence ", fence, " got through, the head of ",
                               name, " is ", head(name));
  }
  last_fence_[name] = fence;
}

void TurnChecker::granted(const std::string& name, const std::shared_ptr<session::TurnCore>& turn) {
  ++granted_count_;
  if (!were_head_.contains(turn->fence().revision)) {
    cluster_.trace().violation(turn->key(), " was granted and never had its turn");
  }
  held_.emplace_back(name, turn);
  check_held();
}

void TurnChecker::check_held() {
  std::erase_if(held_, [](const auto& entry) { return entry.second.expired(); });
  if (cluster_.plan().has(Fault::clock_jump)) return;
  for (const auto& [name, weak] : held_) {
    const auto turn = weak.lock();
    if (!turn || !turn->valid() || turn->fence().revision == head(name)) continue;
    cluster_.trace().violation(turn->key(), " is held and valid at fence ", turn->fence().revision,
                               ", but the head of ", name, " is ", head(name));
  }
}

}  // namespace conclave::sim
