#pragma once

#include <chrono>
#include <string>

#include "conclave/session/queue.h"

namespace conclave::cli {

// The queue of a lock or an election, for people (and, as JSON, for programs).

// "3 s", "12 min", "5 h", "2 d"
std::string age_text(std::chrono::milliseconds age);
// "web-3:4711 (rollout)", or the lease of somebody whose value says nothing of that kind.
std::string contender_text(const Contender& contender);
// "waiting for deploy: held by web-3:4711 (rollout), 3 min; you are 2nd"
std::string waiting_text(const std::string& name, const WaitStatus& status);
// One line for the name and one for each contender.
std::string queue_text(const std::string& name, const QueueState& queue);
std::string queue_json(const std::string& name, const QueueState& queue);

}  // namespace conclave::cli
