#include "conclave/bench/parameters.h"

namespace conclave::bench {
namespace {

constexpr Parameter kParameters[] = {
    {"value-bytes", 256, 256, "size of a value; keys have 8 bytes"},
    {"w1-operations", 4'000, 200, "puts of the one client"},
    {"w2-keys", 100'000, 1'000, "different keys that are put"},
    {"w2-operations-100", 60'000, 2'000, "puts by 100 clients on 10 connections"},
    {"w2-operations-1000", 100'000, 4'000, "puts by 1000 clients on 50 connections"},
    {"w3-keys", 100'000, 1'000, "keys in the store"},
    {"w3-operations", 6'000, 200, "ranges of the one client, for each kind"},
    {"w4-keys", 100'000, 2'000, "keys in the store"},
    {"w4-operations", 30'000, 4'000, "ranges by 1000 clients on 50 connections, for each kind"},
    {"w4-prefix-keys", 1'000, 100, "keys of one ranged prefix"},
    {"w4-prefix-operations", 1'000, 100, "ranges of that prefix by 16 clients"},
    {"w5-keys", 100'000, 1'000, "keys of the transactions that hardly ever meet"},
    {"w5-hot-keys", 10, 10, "keys of the transactions that often meet"},
    {"w5-operations", 20'000, 2'000, "transactions by 100 clients, for each kind"},
    {"w6-connections", 100, 10, "connections, with 10 streams each"},
    {"w6-watchers", 10, 5, "watchers on each stream, all of one prefix"},
    {"w6-steady-puts", 15, 5, "puts below that prefix that leave the server time"},
    {"w6-steady-puts-per-second", 3, 5, "at which rate they come"},
    {"w6-puts", 50, 20, "puts faster than all their events can be delivered"},
    {"w6-puts-per-second", 100, 100, "at which rate they come"},
    {"w7-puts", 2'000, 200, "puts that the one watcher sees"},
    {"w7-puts-per-second", 1'000, 500, "at which rate they come"},
    {"w8-revisions-behind", 100'000, 5'000, "how far back the watcher begins"},
    {"w8-puts-per-second", 5'000, 1'000, "puts meanwhile"},
    {"w8-seconds", 2, 1, "of puts before the watcher comes"},
    {"w8-limit-seconds", 15, 10, "how long the watcher may take; then what was seen counts"},
    {"w9-leases", 20'000, 1'000,
     "leases granted by 100 clients, each followed by a put of its key"},
    {"w10-leases-few", 10'000, 500, "live leases on 1000 streams"},
    {"w10-leases-many", 100'000, 1'000, "live leases on 1000 streams"},
    {"w10-ttl-seconds", 30, 9, "of each; renewed every third of that"},
    {"w10-seconds", 10, 3, "for how long they are kept alive"},
    {"w11-leases", 100'000, 1'000, "leases that nobody renews, each with one key"},
    {"w11-ttl-seconds", 40, 5, "of each; long enough to grant them all and put the keys"},
    {"w11-limit-seconds", 300, 30, "how long to wait for the last key to go"},
    {"w15-kills", 20, 2, "kills of the leader, for each setting of the timers"},
    {"w15-stops", 10, 1, "SIGSTOPs of the leader, for each setting of the timers"},
    {"w15-heartbeat-ms", 100, 100, "--heartbeat-interval of both servers"},
    {"w15-election-ms", 1'000, 1'000, "--election-timeout of both servers"},
    {"w15-fast-heartbeat-ms", 20, 20, "the same in the rows with fast timers"},
    {"w15-fast-election-ms", 150, 150, "the same in the rows with fast timers"},
    {"w15-clients", 8, 4, "clients that put at all members in turn"},
    {"w15-pause-ms", 10, 10, "of a client between a put that was accepted and the next"},
    {"w15-attempt-ms", 50, 200, "after which, at most, a put is tried at the next member"},
    {"w15-settle-ms", 300, 50, "from when all have caught up to the next fault"},
    {"w18-keys", 1'000'000, 20'000, "keys in the store, one revision each (W18 and W19)"},
    {"w20-keys", 100'000, 1'000, "different keys that are put, and as many that are read"},
    {"w20-operations-1", 4'000, 200, "puts of one client, on the leader and through a follower"},
    {"w20-operations-100", 30'000, 2'000, "puts by 100 clients on 10 connections, the same"},
    {"w20-ranges", 30'000, 4'000, "ranges by 1000 clients on 50 connections"},
    {"soak-puts-per-second", 2'000, 500, "steady puts over 100,000 keys"},
    {"soak-watchers", 1'000, 50, "watchers of one prefix, which gets 10 puts a second"},
    {"soak-leases", 10'000, 200, "leases kept alive, TTL 30"},
    {"soak-compaction-seconds", 10, 2, "time between compactions of all that is past"},
};

}  // namespace

std::span<const Parameter> all_parameters() {
  return kParameters;
}

Parameters::Parameters(bool quick) {
  for (const Parameter& parameter : kParameters) {
    values_.emplace(parameter.name, quick ? parameter.quick : parameter.value);
  }
}

std::string Parameters::text(std::string_view prefix) const {
  std::string text;
  for (const auto& [name, value] : values_) {
    if (!name.starts_with(prefix)) continue;
    if (!text.empty()) text += ' ';
    text += name + '=' + std::to_string(value);
  }
  return text;
}

}  // namespace conclave::bench
