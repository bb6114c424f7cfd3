#include "conclave/master_slave/stage.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include <poll.h>
#include <stdlib.h>

#include "conclave/base/check.h"

namespace master_slave {
namespace {

using conclave::Errc;
using conclave::Error;
using conclave::Result;

}  // namespace

Result<TemporaryDirectory> TemporaryDirectory::make() {
  std::error_code error;
  std::string form = (std::filesystem::temp_directory_path(error) / "master_slave.XXXXXX").string();
  if (error || ::mkdtemp(form.data()) == nullptr) {
    return Error{Errc::io, "cannot make a temporary directory " + form};
  }
  return TemporaryDirectory(form);
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<void> Stage::start(const std::string& name, const std::vector<std::string>& command) {
  Result<Child> child = Child::start(name, command, log_of(name));
  if (!child) return child.error();
  children_.push_back(std::make_unique<Child>(std::move(*child)));
  return {};
}

Result<void> Stage::start_role(const std::string& name, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "/proc/self/exe");
  return start(name, arguments);
}

void Stage::remove(const std::string& name) {
  std::erase_if(children_, [&name](const auto& child) { return child->name() == name; });
}

Child& Stage::child(const std::string& name) {
  const auto found =
      std::ranges::find_if(children_, [&name](const auto& child) { return child->name() == name; });
  CONCLAVE_CHECK(found != children_.end(), "no such process on the stage");
  return **found;
}

std::vector<Stage::Said> Stage::listen(std::chrono::milliseconds timeout) {
  std::vector<pollfd> waiting;
  for (const auto& child : children_) waiting.push_back({child->output(), POLLIN, 0});
  // A signal ends the wait early, as something said does.
  ::poll(waiting.data(), waiting.size(), static_cast<int>(timeout.count()));
  std::vector<Said> said;
  for (const auto& child : children_) {
    for (std::string& line : child->read_lines()) said.push_back({child->name(), std::move(line)});
  }
  return said;
}

std::string Stage::first_ended() {
  for (const auto& child : children_) {
    if (!child->is_running()) return child->name();
  }
  return {};
}

std::vector<std::string> Stage::last_words(const std::string& name, std::size_t lines_max) const {
  std::vector<std::string> lines;
  std::ifstream log(log_of(name));
  for (std::string line; std::getline(log, line);) {
    if (lines.size() == lines_max) lines.erase(lines.begin());
    lines.push_back(line);
  }
  return lines;
}

std::filesystem::path Stage::log_of(const std::string& name) const {
  return directory_.path() / (name + ".log");
}

}  // namespace master_slave
