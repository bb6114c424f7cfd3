#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conclave/master_slave/verdict.h"

namespace master_slave {

// Since the demo began.
using StoryTime = std::chrono::milliseconds;

// A master's time in office, as far as the reports of all processes tell: they come through pipes
// of their own, so that the resource's report of a write can be read before the master's that it
// leads.
struct Term {
  std::string master{};
  StoryTime since{0};
  int accepted = 0;
  int refused = 0;
  // How long each slave that has come to it had been without an answering master.
  std::map<std::string, StoryTime> gaps{};
  StoryTime longest_gap() const;
};

// What has happened, put together from the lines that report.h lists. Pure: no clock, no process.
// Not thread-safe.
class Story {
 public:
  explicit Story(int slaves) : slaves_(slaves) {}

  // Takes one line of `source`, and returns what a person should read of it, if anything.
  std::optional<std::string> hear(StoryTime at, const std::string& source, const std::string& line);

  // By fence, so in the order in which they led.
  const std::map<std::int64_t, Term>& terms() const { return terms_; }
  // The highest fence of all that lead or led; 0: none yet.
  std::int64_t latest_fence() const { return terms_.empty() ? 0 : terms_.rbegin()->first; }
  // A term without a master if nothing is known of that fence.
  Term term_of(std::int64_t fence) const;
  // How many slaves get answers from the leader with that fence now.
  int followers_of(std::int64_t fence) const;
  const std::vector<Attempt>& journal() const { return journal_; }
  int accepted() const { return accepted_; }
  int refused() const { return static_cast<int>(journal_.size()) - accepted_; }

  // Where a process listens; empty: not yet.
  std::string address_of(const std::string& source) const;
  // The write that a master has announced last, and whether the resource has not seen it.
  bool has_write_pending(const std::string& master) const;
  // How often a master has begun to wait in line.
  int campaigns_of(const std::string& master) const;

 private:
  std::optional<std::string> hear_attempt(StoryTime at, const Attempt& attempt);
  std::optional<std::string> hear_slave(const std::string& source, std::int64_t fence,
                                        StoryTime gap);
  Term& master_leads(StoryTime at, const std::string& master, std::int64_t fence);

  const int slaves_;
  int accepted_ = 0;
  std::map<std::int64_t, Term> terms_;
  std::vector<Attempt> journal_;
  std::map<std::string, std::string> addresses_;
  std::map<std::string, std::int64_t> announced_;  // number of the last announced write, by master
  std::map<std::string, std::int64_t> arrived_;    // number of the last write in the journal
  std::map<std::string, int> campaigns_;
  std::map<std::string, std::int64_t> heard_fence_;  // by slave; 0: silence
};

// "2.31 s"
std::string seconds(StoryTime time);

}  // namespace master_slave
