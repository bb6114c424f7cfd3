#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/base/url.h"

namespace conclave {

// Takes connections on one address, for servers whose library stops listening for good as soon as
// accept() finds no file descriptor (gRPC does).
//
// Caveats: where descriptors run out, connections wait in the system's queue until one is free; it
// looks ten times a second. A host that is a name is resolved, which blocks.
//
// Threads: bind(), start() and stop() from one thread; connections are handed over on a thread of
// its own.
//
//   auto acceptor = Acceptor::bind(url);
//   if (!acceptor) return acceptor.error();
//   auto started = (*acceptor)->start([](int listener, int connection) { serve(connection); });
class Acceptor {
 public:
  // Who gets the connection closes it; it does not block. The listener is for telling ports apart.
  using Take = std::function<void(int listener, int connection)>;

  // The port is taken; connections are refused until start(). Errors: Errc::io, naming the URL and
  // the system's reason.
  // So many descriptors of the process are left for others, or a quarter of them, if that is less.
  static Result<std::unique_ptr<Acceptor>> bind(const Url& url, int descriptors_left = 0);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // What it listens on, with the port that was taken where 0 was asked for.
  const Url& url() const { return url_; }

  // Errors: Errc::io, if somebody else listens there by now.
  Result<void> start(Take take);
  // The port is closed and nothing is handed over afterwards. Once or more often.
  void stop();

 private:
  Acceptor(Url url, int descriptors_left)
      : descriptors_left_(descriptors_left), url_(std::move(url)) {}

  Result<void> bind_all();
  Error failure(int why) const;
  void run(const Take& take) const;
  bool has_room(int listener) const;
  void accept_all(int listener, const Take& take, bool& exhausted) const;

  const int descriptors_left_;
  Url url_;
  std::vector<int> listeners_;
  int stop_fd_ = -1;
  std::thread thread_;
};

}  // namespace conclave
