#include <cstdio>

#include "conclave/master_slave/director.h"
#include "conclave/master_slave/verdict.h"

namespace master_slave {

void Director::hear(std::chrono::milliseconds timeout) {
  for (const auto& [who, line] : stage_.listen(timeout)) {
    if (who == "server") continue;  // not one of ours: what it prints is no report
    const int refused = story_.refused();
    const auto told = story_.hear(now(), who, line);
    if (!told) continue;
    const bool is_slave = who.starts_with("slave");
    screen_.event(now(), is_slave ? "slaves" : who, *told,
                  story_.refused() > refused ? Tone::bad : Tone::plain);
  }
  show_status();
}

void Director::show_status() {
  const std::int64_t fence = story_.latest_fence();
  const auto ending = endings_.find(fence);
  std::string leads = "nobody leads yet";
  if (ending != endings_.end()) {
    leads = "nobody leads for " + seconds(now() - ending->second.at);
  } else if (fence != 0) {
    leads = leader().master + " leads for " + seconds(now() - leader().since) + ", fence " +
            std::to_string(fence);
  }
  screen_.status(leads + " | writes: " + std::to_string(story_.accepted()) +
                 ", refused: " + std::to_string(story_.refused()) + " | slaves: " +
                 std::to_string(story_.followers_of(fence)) + " of " + std::to_string(kSlaves));
}

void Director::end_term(StoryTime at, const std::string& deed, const std::string& ending) {
  endings_[story_.latest_fence()] = {at, ending};
  screen_.event(at, "director", deed);
}

bool Director::fail(const std::string& why) {
  screen_.event(now(), "director", why, Tone::bad);
  return false;
}

bool Director::checked(const conclave::Result<void>& result) {
  return result ? true : fail(result.error().message);
}

bool Director::sum_up() {
  if (story_.terms().empty()) return true;
  show_terms();
  const Verdict verdict = judge(story_.journal());
  screen_.text("");
  for (const std::string& violation : verdict.violations) screen_.text(violation, Tone::bad);
  screen_.text(std::to_string(verdict.accepted) + " writes accepted, " +
               std::to_string(verdict.refused) + " refused by fence.");
  if (verdict.safe()) {
    screen_.text("Never did two masters both get a write through.", Tone::good);
  } else {
    screen_.text("NOT SAFE: the journal holds writes that should not be there.", Tone::bad);
  }
  return verdict.safe();
}

void Director::show_terms() {
  screen_.heading("fence  master    leads since  writes  refused  slaves waited  ended");
  for (const auto& [fence, term] : story_.terms()) {
    const auto ending = endings_.find(fence);
    const StoryTime waited = term.longest_gap();
    char row[100];
    std::snprintf(row, sizeof(row), "%5lld  %-8s  %11s  %6d  %7d  %13s  %s",
                  static_cast<long long>(fence), term.master.c_str(), seconds(term.since).c_str(),
                  term.accepted, term.refused, waited.count() == 0 ? "-" : seconds(waited).c_str(),
                  ending == endings_.end() ? "leads" : ending->second.how.c_str());
    screen_.text(row);
  }
}

}  // namespace master_slave
