#include "conclave/master_slave/screen.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

namespace master_slave {
namespace {

constexpr std::size_t kColumns = 80;
constexpr char kClearLine[] = "\r\x1b[K";

bool wants_colours() {
  const char* refused = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): one thread
  return refused == nullptr || *refused == '\0';
}

// A line that fills the last column would wrap, so one is left free.
std::size_t status_width() {
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return std::min<std::size_t>(known ? size.ws_col : kColumns, kColumns) - 1;
}

const char* colour_of(Tone tone) {
  switch (tone) {
    case Tone::plain:
      return "";
    case Tone::good:
      return "\x1b[32m";
    case Tone::bad:
      return "\x1b[31m";
    case Tone::heading:
      return "\x1b[1m";
  }
  return "";
}

}  // namespace

Screen::Screen()
    : terminal_(::isatty(STDOUT_FILENO) != 0), colours_(terminal_ && wants_colours()) {}

Screen::~Screen() {
  status("");
}

void Screen::heading(std::string_view text) {
  line("", Tone::plain);
  line(text, Tone::heading);
}

void Screen::event(StoryTime at, std::string_view who, std::string_view what, Tone tone) {
  char start[40];
  const int indent = std::snprintf(start, sizeof(start), "%9s  %-9.*s ", seconds(at).c_str(),
                                   static_cast<int>(who.size()), who.data());
  std::string margin(start);
  while (!what.empty()) {
    const std::size_t room = kColumns - margin.size();
    std::size_t end = what.size() <= room ? what.size() : what.rfind(' ', room);
    if (end == std::string_view::npos || end == 0) end = room;
    line(margin + std::string(what.substr(0, end)), tone);
    what.remove_prefix(std::min(what.size(), what.substr(end).starts_with(' ') ? end + 1 : end));
    margin.assign(static_cast<std::size_t>(indent), ' ');
  }
}

void Screen::text(std::string_view text, Tone tone) {
  line(text, tone);
}

void Screen::status(std::string_view text) {
  if (!terminal_) return;
  std::cout << kClearLine << text.substr(0, status_width());
  flush();
}

void Screen::flush() {
  errno = 0;
  if (!std::cout.flush() && failure_ == 0) failure_ = errno != 0 ? errno : EIO;
}

void Screen::line(std::string_view text, Tone tone) {
  if (terminal_) std::cout << kClearLine;
  const bool coloured = colours_ && tone != Tone::plain;
  if (coloured) std::cout << colour_of(tone);
  std::cout << text;
  if (coloured) std::cout << "\x1b[0m";
  std::cout << '\n';
  flush();
}

}  // namespace master_slave
