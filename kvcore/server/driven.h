#pragma once

#include <chrono>
#include <functional>

namespace conclave::server {

// A handler with work to do between requests, and a front whose thread can do it. Left alone, the
// handler uses a thread of its own; a front that attaches spares each request the way to that
// thread and back.
class Driven {
 public:
  virtual ~Driven() = default;

  // From now on the calling thread drives, and no other. `wake` asks it for a call of drive(); it
  // may be called on any thread, and must neither block nor call back.
  virtual void attach(std::function<void()> wake) = 0;

  // Does what there is to do. Returns when it wants to be called again, if nothing wakes it before.
  // May block for a sync of the log, if that is the quickest way to an answer and nobody else
  // waits.
  virtual std::chrono::steady_clock::time_point drive() = 0;

  // The handler uses its own thread again; `wake` is not called any more. By the thread that
  // attached. A handler that stops detaches by itself.
  virtual void detach() = 0;
};

}  // namespace conclave::server
