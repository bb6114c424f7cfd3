#include "conclave/bench/machine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace conclave::bench {
namespace {

// The rest of the first line that begins so.
std::string line_after(const std::string& path, const std::string& beginning) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(beginning)) continue;
    const std::size_t start = line.find_first_not_of(" \t:", beginning.size());
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

double first_number(const std::string& text) {
  double value = 0;
  std::istringstream(text) >> value;
  return value;
}

std::string filesystem_of(const std::filesystem::path& directory) {
  struct statfs found {};
  if (statfs(directory.c_str(), &found) != 0) return "unknown";
  switch (static_cast<std::uint64_t>(found.f_type)) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x01021994:
      return "tmpfs";
    case 0x794C7630:
      return "overlayfs";
    default: {
      char text[32];
      std::snprintf(text, sizeof(text), "type 0x%llx",
                    static_cast<unsigned long long>(found.f_type));
      return text;
    }
  }
}

double cpu_clock_seconds(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace

Machine describe_machine(const std::filesystem::path& directory) {
  Machine machine;
  machine.processor = line_after("/proc/cpuinfo", "model name");
  machine.cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  utsname system{};
  if (uname(&system) == 0) machine.kernel = system.release;
  machine.memory_gib = first_number(line_after("/proc/meminfo", "MemTotal")) / (1 << 20);
  machine.load_1m = first_number(line_after("/proc/loadavg", ""));
  machine.filesystem = filesystem_of(directory);
  return machine;
}

void settle_machine() {
  constexpr auto kLook = std::chrono::milliseconds(500);
  constexpr int kLooksMax = 20;
  constexpr double kQuietCores = 0.1;
  sync();
  for (int looks = 0; looks < kLooksMax; ++looks) {
    const double before = machine_cpu_seconds();
    std::this_thread::sleep_for(kLook);
    const double busy = machine_cpu_seconds() - before;
    if (busy < kQuietCores * std::chrono::duration<double>(kLook).count()) return;
  }
}

std::string why_not_quiet(const Machine& machine) {
  if (machine.filesystem == "tmpfs") {
    return "the data lies on a tmpfs, where a sync costs nothing: choose another --dir";
  }
  char text[120];
  if (machine.load_1m > 0.3 * machine.cores) {
    std::snprintf(text, sizeof(text),
                  "the machine is not quiet: load %.2f on %d cores. Figures will be noise",
                  machine.load_1m, machine.cores);
    return text;
  }
  return "";
}

Memory memory_of(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/status";
  return {first_number(line_after(path, "VmRSS")) / 1024,
          first_number(line_after(path, "RssAnon")) / 1024};
}

double process_cpu_seconds(pid_t pid) {
  clockid_t clock{};
  return clock_getcpuclockid(pid, &clock) == 0 ? cpu_clock_seconds(clock) : 0;
}

double own_cpu_seconds() {
  return cpu_clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

double machine_cpu_seconds() {
  std::istringstream fields(line_after("/proc/stat", "cpu "));
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0, steal = 0;
  fields >> user >> nice >> system >> idle >> waiting >> interrupts >> soft >> steal;
  return (user + nice + system + interrupts + soft + steal) /
         static_cast<double>(sysconf(_SC_CLK_TCK));
}

UsageMeter::UsageMeter(std::vector<pid_t> servers)
    : servers_(std::move(servers)),
      start_ns_(now_ns()),
      servers_start_(servers_cpu_seconds()),
      client_start_(own_cpu_seconds()),
      machine_start_(machine_cpu_seconds()) {}

Usage UsageMeter::stop() const {
  Usage usage;
  usage.seconds = static_cast<double>(now_ns() - start_ns_) / 1e9;
  usage.server_cpu_seconds = servers_cpu_seconds() - servers_start_;
  usage.client_cpu_seconds = own_cpu_seconds() - client_start_;
  usage.others_cpu_seconds = std::max(0.0, machine_cpu_seconds() - machine_start_ -
                                               usage.server_cpu_seconds - usage.client_cpu_seconds);
  return usage;
}

double UsageMeter::servers_cpu_seconds() const {
  double seconds = 0;
  for (const pid_t server : servers_) seconds += process_cpu_seconds(server);
  return seconds;
}

}  // namespace conclave::bench
