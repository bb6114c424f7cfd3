// Plants one bug after another in the core, and shows which check finds each.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>

#include "tests/mutants/bugs.h"
#include "tests/mutants/child.h"

namespace {

using conclave::mutants::all_bugs;
using conclave::mutants::Bug;
using conclave::mutants::Child;

constexpr char kUsage[] =
    "mutants: which check finds which bug; status 1 if one finds none, or finds one where none is\n"
    "  --seeds N     of the simulated cluster, on each, before the other checks (100)\n"
    "  --jobs N      at a time (2)\n"
    "  --only A,B    these, and the core as it is; else all\n";

struct Arguments {
  std::uint64_t seeds = 100;
  std::size_t jobs = 2;
  std::vector<const Bug*> bugs;  // first null: the core as it is
};

bool add_bugs(std::string_view names, std::vector<const Bug*>& bugs) {
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    const auto found =
        std::ranges::find_if(all_bugs(), [&](const Bug& b) { return b.name == name; });
    if (found == all_bugs().end()) return false;
    bugs.push_back(&*found);
  }
  return true;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  arguments.bugs.push_back(nullptr);
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::uint64_t number = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--only") {
      if (!add_bugs(argv[i + 1], arguments.bugs)) return false;
    } else if (name == "--seeds") {
      arguments.seeds = number;
    } else if (name == "--jobs" && number > 0) {
      arguments.jobs = number;
    } else {
      return false;
    }
  }
  if (arguments.bugs.size() == 1) {
    for (const Bug& bug : all_bugs()) arguments.bugs.push_back(&bug);
  }
  return argc % 2 == 1;
}

class Runner {
 public:
  explicit Runner(const Arguments& arguments)
      : arguments_(arguments), outcomes_(arguments.bugs.size()) {}

  int run() {
    std::printf("%-28s %-24s %7s  %s\n", "bug", "planted in", "seconds", "caught by");
    for (;;) {
      while (children_.size() < arguments_.jobs && next_ < arguments_.bugs.size()) {
        children_[next_] = std::make_unique<Child>(arguments_.bugs[next_], arguments_.seeds);
        ++next_;
      }
      if (children_.empty()) break;
      wait();
    }
    std::printf("%zu bugs, %zu survived\n", arguments_.bugs.size() - 1, survived_);
    return survived_ == 0 && !false_alarm_ ? 0 : 1;
  }

 private:
  void wait() {
    std::vector<pollfd> waited;
    for (const auto& [number, child] : children_) waited.push_back({child->output(), POLLIN, 0});
    ::poll(waited.data(), waited.size(), -1);
    std::size_t at = 0;
    for (auto child = children_.begin(); child != children_.end(); ++at) {
      if (waited[at].revents == 0 || child->second->read_some()) {
        ++child;
        continue;
      }
      outcomes_[child->first] = child->second->outcome();
      child = children_.erase(child);
    }
    for (; told_ < outcomes_.size() && outcomes_[told_]; ++told_) tell(told_);
  }

  void tell(std::size_t number) {
    const Bug* bug = arguments_.bugs[number];
    const Child::Outcome& outcome = *outcomes_[number];
    std::string by = outcome.found ? outcome.by + ": " + outcome.message : "nothing";
    if (bug == nullptr) {
      false_alarm_ = outcome.found;
    } else if (!outcome.found) {
      ++survived_;
      by = "SURVIVED";
    }
    std::printf("%-28s %-24s %7.1f  %.*s\n", bug == nullptr ? "none" : bug->name,
                bug == nullptr ? "-" : bug->where, outcome.seconds, kColumns, by.c_str());
    std::fflush(stdout);
  }

  static constexpr int kColumns = 160;

  const Arguments& arguments_;
  std::size_t next_ = 0;
  std::map<std::size_t, std::unique_ptr<Child>> children_;
  std::vector<std::optional<Child::Outcome>> outcomes_;
  std::size_t told_ = 0;
  std::size_t survived_ = 0;
  bool false_alarm_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  return Runner(arguments).run();
}
