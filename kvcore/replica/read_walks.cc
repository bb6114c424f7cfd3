#include "conclave/replica/read_walks.h"

#include <algorithm>

namespace conclave::replica {

void ReadWalks::add(RequestId id, google::protobuf::Message* response, Walk walk, Instant now) {
  walks_.push_back(std::make_unique<Entry>(Entry{id, response, std::move(walk), {}, now}));
  made_bytes_ += walks_.back()->byte_count();
}

void ReadWalks::add_later(RequestId id, google::protobuf::Message* response, Begin begin,
                          Instant now) {
  walks_.push_back(
      std::make_unique<Entry>(Entry{id, response, std::nullopt, std::move(begin), now}));
}

bool ReadWalks::count_short(std::uint64_t held_bytes) {
  if (sent_bytes_ >= limits_.bytes_of_short) return false;
  sent_bytes_ += held_bytes;
  return true;
}

std::optional<std::size_t> ReadWalks::next() const {
  const std::size_t under_way = std::min(walks_.size(), limits_.count);
  for (std::size_t i = 0; i < under_way; ++i) {
    const std::size_t position = (turn_ + i) % under_way;
    const bool has_room =
        made_bytes_ + sent_bytes_ < limits_.bytes || (position == 0 && sent_bytes_ < limits_.bytes);
    if (has_room || !walks_[position]->needs_room()) return position;
  }
  return std::nullopt;
}

void ReadWalks::erase(std::size_t position) {
  made_bytes_ -= walks_[position]->byte_count();
  walks_.erase(walks_.begin() + static_cast<std::ptrdiff_t>(position));
  if (position < turn_) --turn_;
}

std::optional<ReadWalks::Done> ReadWalks::step(Instant now) {
  const std::optional<std::size_t> position = next();
  if (!position) return std::nullopt;
  Entry& entry = *walks_[*position];
  entry.last_step = now;
  turn_ = *position + 1;
  if (!entry.walk) entry.walk.emplace(entry.begin());
  const std::uint64_t before = entry.byte_count();
  mvcc::WalkBudget budget = budget_of_step();
  const api::Reply<bool> done =
      std::visit([&](auto& walk) { return walk.step(budget); }, *entry.walk);
  made_bytes_ += entry.byte_count() - before;
  if (done && !*done) return std::nullopt;
  Done result{entry.id, entry.response, std::nullopt, 0};
  if (done) {
    result.held_bytes = entry.byte_count();
    sent_bytes_ += result.held_bytes;
  } else {
    result.refusal = done.error();
  }
  erase(*position);
  return result;
}

std::optional<RequestId> ReadWalks::take(const google::protobuf::Message* response) {
  for (std::size_t i = 0; i < walks_.size(); ++i) {
    if (walks_[i]->response != response) continue;
    const RequestId id = walks_[i]->id;
    erase(i);
    return id;
  }
  return std::nullopt;
}

std::vector<RequestId> ReadWalks::take_overdue(Instant now) {
  std::vector<RequestId> overdue;
  for (std::size_t i = walks_.size(); i-- > 0;) {
    if (now - walks_[i]->last_step < limits_.patience) continue;
    overdue.push_back(walks_[i]->id);
    erase(i);
  }
  return overdue;
}

std::vector<RequestId> ReadWalks::take_all() {
  std::vector<RequestId> all;
  for (const auto& entry : walks_) all.push_back(entry->id);
  walks_.clear();
  made_bytes_ = 0;
  return all;
}

}  // namespace conclave::replica
