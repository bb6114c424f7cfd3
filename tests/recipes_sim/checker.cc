#include <algorithm>

#include "conclave/session/turn_key.h"

#include "tests/recipes_sim/lock_simulation.h"

namespace conclave::sim {

std::string resource_of(const std::string& name) {
  return "resource:" + name;
}

Checker::Checker(ModelServer& server, std::vector<std::string> names)
    : server_(server), names_(std::move(names)) {
  server_.on_change = [this](const std::vector<Event>& events) { changed(events); };
}

void Checker::fail(const std::string& what) {
  const auto at = std::chrono::duration_cast<std::chrono::microseconds>(
      server_.world().now().time_since_epoch() - std::chrono::hours(1));
  violations_.push_back("at " + std::to_string(at.count()) + " us: " + what);
}

const KeyValue* Checker::head(const std::string& name) const {
  const std::string prefix = session::queue_prefix(name);
  const KeyValue* lowest = nullptr;
  const auto& keys = server_.store().keys();
  for (auto it = keys.lower_bound(prefix); it != keys.end() && it->first.starts_with(prefix);
       ++it) {
    if (!session::is_contender(prefix, it->first)) continue;
    if (lowest == nullptr || it->second.create_revision < lowest->create_revision) {
      lowest = &it->second;
    }
  }
  return lowest;
}

void Checker::changed(const std::vector<Event>& events) {
  for (const std::string& name : names_) {
    const KeyValue* first = head(name);
    if (first != nullptr) were_head_.insert(first->create_revision);
    for (const Event& event : events) {
      if (event.type != Event::Type::put || event.kv.key != resource_of(name)) continue;
      const std::int64_t fence = std::stoll(event.kv.value);
      ++tally.writes;
      if (first == nullptr || first->create_revision != fence) {
        fail("a guarded write under fence " + event.kv.value + ", which is not the holder's of " +
             name);
      }
      if (fence < last_fence_[name])
        fail("the fence of " + name + " went back to " + event.kv.value);
      last_fence_[name] = fence;
    }
  }
}

void Checker::granted(const std::string& name, const std::shared_ptr<session::TurnCore>& turn) {
  ++tally.granted;
  if (!were_head_.contains(turn->fence().revision)) {
    fail(turn->key() + " was granted and never had its turn");
  }
  held_.emplace_back(name, turn);
}

void Checker::released(const session::TurnCore& turn, const Result<void>& result) {
  if (!result) return;
  const KeyValue* left = server_.store().find(turn.key());
  if (left != nullptr && left->create_revision == turn.fence().revision) {
    fail(turn.key() + " was released and is still there");
  }
}

void Checker::operator_deletes(const KeyValue& kv) {
  broken_.insert(kv.create_revision);
}

void Checker::operator_revokes(LeaseId id) {
  for (const auto& [key, kv] : server_.store().keys()) {
    if (kv.lease == id) broken_.insert(kv.create_revision);
  }
}

void Checker::check_held() {
  std::erase_if(held_, [](const auto& entry) { return entry.second.expired(); });
  for (const auto& [name, weak] : held_) {
    const auto turn = weak.lock();
    if (!turn || !turn->valid() || broken_.contains(turn->fence().revision)) continue;
    const KeyValue* first = head(name);
    if (first == nullptr || first->create_revision != turn->fence().revision) {
      fail(turn->key() + " is held and valid at fence " + std::to_string(turn->fence().revision) +
           ", but the head of " + name + " is " + (first == nullptr ? "nobody" : first->key));
      broken_.insert(turn->fence().revision);  // once is enough
    }
  }
}

}  // namespace conclave::sim
