#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "conclave/cli/args/parse.h"
#include "conclave/cli/exit_status.h"
#include "conclave/cli/verbs/verb_table.h"

namespace {

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): one thread yet
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

// The arguments' bytes, which the kernel lays out in one piece.
std::span<char> command_line(int argc, char** argv) {
  char* end = argv[0] + std::strlen(argv[0]) + 1;
  for (int i = 1; i < argc && argv[i] == end; ++i) end += std::strlen(argv[i]) + 1;
  return {argv[0], end};
}

}  // namespace

int main(int argc, char** argv) {
  using namespace conclave::cli;  // NOLINT: the command's own main
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto arguments = parse_arguments(words, all_verbs(), variable);
  if (!arguments) return fail(arguments.error());
  if (arguments->help || words.empty()) {
    const std::string text = arguments->verb != nullptr  ? help_text(*arguments->verb)
                             : !arguments->group.empty() ? help_text(all_verbs(), arguments->group)
                                                         : help_text(all_verbs());
    std::fputs(text.c_str(), words.empty() ? stderr : stdout);
    return static_cast<int>(words.empty() ? ExitStatus::usage : ExitStatus::success);
  }
  if (arguments->verb == nullptr) {
    return fail({conclave::Errc::invalid_argument, "no command is named; see conclave --help"});
  }
  return run_verb({*arguments, command_line(argc, argv)});
}
