#pragma once

#include "conclave/transport/reception.h"

namespace conclave::transport {

// Answers whoever asks for the description: waits for the next call, and when that has come for the
// next one again.
void await_describe(Reception& reception);

}  // namespace conclave::transport
