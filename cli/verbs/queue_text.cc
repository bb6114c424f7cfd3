#include "conclave/cli/verbs/queue_text.h"

#include <algorithm>
#include <cstdint>

#include "conclave/base/bytes.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

std::string ordinal(int number) {
  const int tens = number % 100;
  const char* ending = "th";
  if (tens < 11 || tens > 13) {
    if (number % 10 == 1) ending = "st";
    if (number % 10 == 2) ending = "nd";
    if (number % 10 == 3) ending = "rd";
  }
  return std::to_string(number) + ending;
}

// What others wrote must not steer the reader's terminal.
std::string harmless(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; }, '?');
  return text;
}

}  // namespace

std::string age_text(std::chrono::milliseconds age) {
  const std::int64_t seconds = std::max<std::int64_t>(0, age.count() / 1000);
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 86'400) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86'400) + " d";
}

std::string contender_text(const Contender& contender) {
  if (!contender.info) return "lease " + hex(static_cast<std::uint64_t>(contender.lease));
  std::string text = contender.info->host + ":" + std::to_string(contender.info->pid);
  if (!contender.info->label.empty()) text += " (" + contender.info->label + ")";
  return harmless(std::move(text));
}

std::string waiting_text(const std::string& name, const WaitStatus& status) {
  std::string text = "waiting for " + harmless(name) + ": ";
  if (status.holder) {
    text += "held by " + contender_text(*status.holder);
    if (status.holder->age) text += ", " + age_text(*status.holder->age);
    text += "; ";
  }
  if (status.position <= 0) return text + "joining the queue";
  return text + "you are " + ordinal(status.position);
}

std::string queue_text(const std::string& name, const QueueState& queue) {
  if (queue.contenders.empty()) return name + ": free\n";
  std::vector<std::string> who;
  std::size_t width = 0;
  for (const Contender& contender : queue.contenders) {
    who.push_back(contender_text(contender));
    width = std::max(width, who.back().size());
  }
  std::string out = name + ": held, " + std::to_string(queue.contenders.size() - 1) + " waiting\n";
  for (std::size_t i = 0; i < who.size(); ++i) {
    const Contender& contender = queue.contenders[i];
    std::string line = "  " + ordinal(contender.position) + "  ";
    line += contender.position == 1 ? "holds    " : "waits    ";
    line += who[i] + std::string(width - who[i].size() + 2, ' ');
    std::string age = contender.age ? age_text(*contender.age) : "-";
    age.resize(std::max<std::size_t>(age.size(), 8), ' ');
    out += line + age + "fence " + std::to_string(contender.fence.revision) + "  " +
           harmless(contender.key) + "\n";
  }
  return out;
}

std::string queue_json(const std::string& name, const QueueState& queue) {
  std::string out = "{\"name\":" + json_quoted(name) +
                    ",\"revision\":" + std::to_string(queue.revision) + ",\"contenders\":[";
  for (std::size_t i = 0; i < queue.contenders.size(); ++i) {
    const Contender& contender = queue.contenders[i];
    out += i == 0 ? "{" : ",{";
    out += "\"position\":" + std::to_string(contender.position);
    out += ",\"key\":" + json_quoted(contender.key);
    out += ",\"fence\":" + std::to_string(contender.fence.revision);
    out += ",\"lease\":" + std::to_string(contender.lease);
    if (contender.info) {
      out += ",\"host\":" + json_quoted(contender.info->host);
      out += ",\"pid\":" + std::to_string(contender.info->pid);
      out += ",\"label\":" + json_quoted(contender.info->label);
    }
    if (contender.age) out += ",\"age_ms\":" + std::to_string(contender.age->count());
    out += "}";
  }
  return out + "]}\n";
}

}  // namespace conclave::cli
