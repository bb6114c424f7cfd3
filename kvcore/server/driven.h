#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

namespace conclave::server {

// A handler with work to do between requests, and a front whose thread can do it. Left alone, the
// handler uses a thread of its own; a front that attaches spares each request the way to that
// thread and back.
class Driven {
 public:
  virtual ~Driven() = default;

  struct Host {
    // Asks for a call of drive(). On any thread; neither blocks nor calls back.
    std::function<void()> wake;
    // Calls `send`, which gives so many answers, and lets them leave together. On any thread.
    std::function<void(std::size_t answers, const std::function<void()>& send)> send_together;
  };

  // From now on the calling thread drives, and no other.
  virtual void attach(Host host) = 0;

  // Does what there is to do. Returns when it wants to be called again, if nothing wakes it before.
  // May block for a sync of the log, if that is the quickest way to an answer and nobody else
  // waits.
  virtual std::chrono::steady_clock::time_point drive() = 0;

  // The handler uses its own thread again; the host is not called any more. By the thread that
  // attached. A handler that stops detaches by itself.
  virtual void detach() = 0;
};

}  // namespace conclave::server
