#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace conclave::replica {

// Which requests of other members a leader has seen in its term, so that one that the network
// doubled is appended once. Numbers may come out of order, but not by more than kWindow: what is
// older than that counts as seen.
class ForwardedOnce {
 public:
  // A new term: nothing forwarded to the last leader is appended in this one.
  void clear() { seen_.clear(); }

  bool first(std::uint64_t member, std::uint64_t incarnation, std::uint64_t sequence) {
    Seen& seen = seen_[{member, incarnation}];
    if (sequence <= seen.all_up_to || !seen.above.insert(sequence).second) return false;
    while (seen.above.size() > kWindow) {
      seen.all_up_to = *seen.above.begin();
      seen.above.erase(seen.above.begin());
    }
    return true;
  }

 private:
  static constexpr std::size_t kWindow = 4096;

  struct Seen {
    std::uint64_t all_up_to = 0;
    std::set<std::uint64_t> above;
  };
  std::map<std::pair<std::uint64_t, std::uint64_t>, Seen> seen_;
};

}  // namespace conclave::replica
