#pragma once

#include <string>
#include <string_view>

#include "conclave/master_slave/story.h"

namespace master_slave {

enum class Tone { plain, good, bad, heading };

// Standard output as a timeline of at most 80 columns, with a line of status below it that is
// rewritten in place. Without a terminal there is no status line and no colour; with NO_COLOR in
// the environment, no colour. Not thread-safe.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void heading(std::string_view text);
  void event(StoryTime at, std::string_view who, std::string_view what, Tone tone = Tone::plain);
  void text(std::string_view text, Tone tone = Tone::plain);
  // Cut to the terminal's width.
  void status(std::string_view text);

  // Why standard output cannot be written, an errno; 0: it can.
  int failure() const { return failure_; }

 private:
  void line(std::string_view text, Tone tone);
  void flush();

  const bool terminal_;
  const bool colours_;
  int failure_ = 0;
};

}  // namespace master_slave
