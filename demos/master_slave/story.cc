#include "conclave/master_slave/story.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

namespace master_slave {

std::string seconds(StoryTime time) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f s", static_cast<double>(time.count()) / 1000.0);
  return text;
}

StoryTime Term::longest_gap() const {
  StoryTime longest{0};
  for (const auto& [slave, gap] : gaps) longest = std::max(longest, gap);
  return longest;
}

std::optional<std::string> Story::hear(StoryTime at, const std::string& source,
                                       const std::string& line) {
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  std::int64_t fence = 0;
  if (kind == "listens") {
    words >> addresses_[source];
  } else if (kind == "campaigns") {
    if (++campaigns_[source] > 1) return "campaigns again";
  } else if (kind == "leads") {
    words >> fence;
    master_leads(at, source, fence);
    return "leads, with fence " + std::to_string(fence);
  } else if (kind == "prepares") {
    words >> fence >> announced_[source];
  } else if (kind == "steps_down") {
    std::string reason;
    words >> fence >> std::ws;
    std::getline(words, reason);
    return "steps down: " + reason;
  } else if (kind == "attempt") {
    Attempt attempt;
    std::string answer;
    words >> attempt.master >> attempt.fence >> attempt.number >> answer;
    attempt.accepted = answer == "accepted";
    return hear_attempt(at, attempt);
  } else if (kind == "hears") {
    StoryTime::rep gap = 0;
    words >> fence >> gap;
    return hear_slave(source, fence, StoryTime(gap));
  } else if (kind == "silence") {
    heard_fence_[source] = 0;
    const bool all_silent =
        std::ranges::all_of(heard_fence_, [](const auto& heard) { return heard.second == 0; });
    if (all_silent) return "none of them gets an answer from a master";
  } else {
    return line;
  }
  return std::nullopt;
}

Term& Story::master_leads(StoryTime at, const std::string& master, std::int64_t fence) {
  Term& term = terms_[fence];
  if (term.master.empty()) {
    term.master = master;
    term.since = at;
  }
  return term;
}

std::optional<std::string> Story::hear_attempt(StoryTime at, const Attempt& attempt) {
  journal_.push_back(attempt);
  arrived_[attempt.master] = attempt.number;
  Term& term = master_leads(at, attempt.master, attempt.fence);
  if (!attempt.accepted) {
    ++term.refused;
    return "REFUSES write " + std::to_string(attempt.number) + " of " + attempt.master +
           ": fence " + std::to_string(attempt.fence) + " is old";
  }
  ++accepted_;
  if (++term.accepted > 1) return std::nullopt;
  return "accepts the first write of " + attempt.master + ", fence " +
         std::to_string(attempt.fence);
}

std::optional<std::string> Story::hear_slave(const std::string& source, std::int64_t fence,
                                             StoryTime gap) {
  heard_fence_[source] = fence;
  Term& term = terms_[fence];
  term.gaps.try_emplace(source, gap);
  if (followers_of(fence) < slaves_) return std::nullopt;
  const std::string all = "all " + std::to_string(slaves_) + " follow " + term.master;
  const StoryTime longest = term.longest_gap();
  if (longest.count() == 0) return all;
  return all + "; without a master for " + seconds(longest) + " at most";
}

Term Story::term_of(std::int64_t fence) const {
  const auto found = terms_.find(fence);
  return found == terms_.end() ? Term() : found->second;
}

int Story::followers_of(std::int64_t fence) const {
  return static_cast<int>(std::ranges::count_if(
      heard_fence_, [fence](const auto& heard) { return heard.second == fence; }));
}

std::string Story::address_of(const std::string& source) const {
  const auto found = addresses_.find(source);
  return found == addresses_.end() ? std::string() : found->second;
}

bool Story::has_write_pending(const std::string& master) const {
  const auto announced = announced_.find(master);
  if (announced == announced_.end()) return false;
  const auto arrived = arrived_.find(master);
  return arrived == arrived_.end() || arrived->second < announced->second;
}

int Story::campaigns_of(const std::string& master) const {
  const auto found = campaigns_.find(master);
  return found == campaigns_.end() ? 0 : found->second;
}

}  // namespace master_slave
