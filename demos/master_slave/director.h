#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "conclave/base/clock.h"
#include "conclave/master_slave/screen.h"
#include "conclave/master_slave/stage.h"
#include "conclave/master_slave/story.h"

namespace master_slave {

inline constexpr int kMasters = 3;
inline constexpr int kSlaves = 5;

// Plays the steps of the demo one after another. Each waits for what must come of it, and fails if
// that does not come in time.
class Director {
 public:
  Director(std::string server, TemporaryDirectory directory);

  // True: every step came about.
  bool play();
  // Prints what happened, and whether it was safe. True: it was.
  bool sum_up();
  // Why the story could not be shown, an errno; 0: it was.
  int output_failure() const { return screen_.failure(); }
  // The signal that asked this process to end, or 0.
  static int interrupted_by();

 private:
  struct Ending {
    StoryTime at{0};
    std::string how;
  };

  bool gather();
  bool kill_leader();
  bool pause_leader();
  bool wake_former_leader();
  bool retire_leader();

  bool start_server();
  bool start_cast();
  bool pause_between_check_and_write(const std::string& master);
  // Waits until a leader with a fence above `fence` writes, and all slaves follow it.
  bool succeeded(std::int64_t fence);
  // Lets some more writes be done.
  bool work();

  bool wait_for(const std::string& what, const std::function<bool()>& has_come);
  void hear(std::chrono::milliseconds timeout);
  bool fail(const std::string& why);
  bool checked(const conclave::Result<void>& result);
  // Notes what ends the latest term, for the timeline and, as `ending`, for the table.
  void end_term(StoryTime at, const std::string& deed, const std::string& ending);
  void show_status();
  void show_terms();

  StoryTime now() const;
  Term leader() const { return story_.term_of(story_.latest_fence()); }

  const std::string server_;
  const conclave::Instant began_;
  std::string endpoint_;
  std::string woken_;                       // who was paused
  std::int64_t woken_fence_ = 0;            // with which it led
  std::map<std::int64_t, Ending> endings_;  // by fence
  Story story_;
  Screen screen_;
  Stage stage_;
};

}  // namespace master_slave
