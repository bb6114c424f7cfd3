#pragma once

#include <chrono>

#include <grpc/support/time.h>

namespace conclave::listener {

// Shutting gRPC down after its last user can wait 10 s for a poller of some channel of this
// process, and destroying the last server or channel was seen to take nearly 1 s; that would fall
// upon whoever destroys the last one. So the library and the threads that its users share stay up
// from here on. Any thread, once or more often.
void keep_grpc_initialised();

// So long from now, as gRPC wants it, and never earlier than asked for. Nothing, or less, is a
// moment that is surely past.
gpr_timespec grpc_time(std::chrono::steady_clock::duration wait);

}  // namespace conclave::listener
