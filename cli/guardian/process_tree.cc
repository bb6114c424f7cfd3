#include "conclave/cli/guardian/process_tree.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conclave::cli {
namespace {

struct ProcessLine {
  pid_t pid;
  pid_t parent;
  bool zombie;
};

// /proc/<pid>/stat is "pid (comm) state ppid …"; comm may hold anything, so the last ')' counts.
std::optional<ProcessLine> read_process(const char* pid_text) {
  const std::string path = std::string("/proc/") + pid_text + "/stat";
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  char text[512];
  const ssize_t size = ::read(file, text, sizeof(text) - 1);
  ::close(file);
  if (size <= 0) return std::nullopt;
  text[size] = '\0';
  const char* after_name = std::strrchr(text, ')');
  if (after_name == nullptr || after_name[1] != ' ' || after_name[2] == '\0') return std::nullopt;
  const char state = after_name[2];
  const auto parent = static_cast<pid_t>(std::strtol(after_name + 3, nullptr, 10));
  return ProcessLine{static_cast<pid_t>(std::strtol(pid_text, nullptr, 10)), parent,
                     state == 'Z' || state == 'X'};
}

}  // namespace

bool adopt_orphans() {
  return ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

std::vector<pid_t> descendants() {
  std::vector<ProcessLine> processes;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
  if (!folder) return {};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): each DIR is used by one thread
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (const auto line = read_process(entry->d_name)) processes.push_back(*line);
  }
  // Parents may come after their children in the list: sweep until nothing is added.
  std::unordered_set<pid_t> family{::getpid()};
  std::vector<pid_t> found;
  for (bool grown = true; grown;) {
    grown = false;
    for (const ProcessLine& process : processes) {
      if (!family.contains(process.parent) || !family.insert(process.pid).second) continue;
      grown = true;
      if (!process.zombie) found.push_back(process.pid);
    }
  }
  return found;
}

std::optional<pid_t> signal_descendants(int signal) {
  std::optional<pid_t> out_of_reach;
  for (const pid_t pid : descendants()) {
    if (::kill(pid, signal) != 0 && errno == EPERM) out_of_reach = pid;
    if (signal == SIGTERM) ::kill(pid, SIGCONT);
  }
  return out_of_reach;
}

void kill_all_descendants() {
  for (;;) {
    signal_descendants(SIGKILL);
    pid_t reaped = 0;
    do {
      reaped = ::waitpid(-1, nullptr, WNOHANG);
    } while (reaped > 0);
    if (reaped < 0 && errno == ECHILD) return;
    const timespec pause{.tv_sec = 0, .tv_nsec = 2'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace conclave::cli
