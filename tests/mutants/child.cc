#include "tests/mutants/child.h"

#include <array>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#include "conclave/base/check.h"

#include "tests/mutants/checks.h"

namespace conclave::mutants {
namespace {

// A check that never ends has found something, too.
constexpr unsigned kLongestSeconds = 900;
constexpr std::string_view kInvariant = "conclave: broken invariant at ";

// The rest of the line at which `mark` stands; empty if that is nowhere.
std::string rest_of_line(std::string_view text, std::size_t at, std::string_view mark) {
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + mark.size());
  return std::string(rest.substr(0, rest.find('\n')));
}

}  // namespace

Child::Child(const Bug* bug, std::uint64_t sim_seeds) {
  std::array<int, 2> ends{};
  CONCLAVE_CHECK(::pipe(ends.data()) == 0, "no pipe");
  pid_ = ::fork();
  CONCLAVE_CHECK(pid_ >= 0, "no process");
  if (pid_ == 0) {
    ::alarm(kLongestSeconds);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    if (bug != nullptr) planted_bugs.*(bug->switched_on_by) = true;
    ::_exit(run_checks(sim_seeds) ? 1 : 0);
  }
  ::close(ends[1]);
  output_ = ends[0];
}

Child::~Child() {
  if (output_ >= 0) ::close(output_);
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Child::read_some() {
  std::array<char, 4096> buffer{};
  const ssize_t size = ::read(output_, buffer.data(), buffer.size());
  if (size <= 0) return false;
  text_.append(buffer.data(), static_cast<std::size_t>(size));
  return true;
}

Child::Outcome Child::outcome() {
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
  Outcome outcome;
  outcome.seconds = took.count();
  outcome.found = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  if (!outcome.found) return outcome;
  const std::size_t finding = text_.find(kFound);
  outcome.by = rest_of_line(text_, text_.rfind(kAt, finding), kAt);
  outcome.message = rest_of_line(text_, finding, kFound);
  if (!outcome.message.empty()) return outcome;
  outcome.message = rest_of_line(text_, text_.rfind(kInvariant), kInvariant);
  if (const std::size_t path = outcome.message.find("kvcore/"); path != std::string::npos) {
    outcome.message.erase(0, path);
  }
  if (outcome.message.empty()) {
    outcome.message = WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "it ended";
  }
  return outcome;
}

}  // namespace conclave::mutants
