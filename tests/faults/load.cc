#include "tests/faults/load.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <sstream>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/base/random.h"

namespace conclave::test {
namespace {

using Kind = EtcdKeyModel::Kind;

constexpr const char* kPrefix = "load/";

std::string key_of(std::uint64_t number) {
  return kPrefix + std::to_string(number);
}

std::optional<EtcdKeyModel::Found> found_in(const GetResult& got) {
  if (got.kvs.empty()) return std::nullopt;
  return EtcdKeyModel::Found{got.kvs[0].value, got.kvs[0].mod_revision};
}

Txn compare_and_put(const EtcdOperation& operation) {
  Txn txn;
  Compare compare;
  compare.key = operation.key;
  compare.target = Compare::Target::mod_revision;
  compare.number = operation.args.compare_revision;
  txn.compares.push_back(compare);
  txn.success.push_back(Put{.key = operation.key, .value = operation.args.value});
  txn.failure.push_back(Get{.key = operation.key});
  return txn;
}

}  // namespace

std::int64_t steady_now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

int write_many(const std::vector<std::string>& endpoints, int count, std::size_t value_bytes) {
  Client client = *Client::connect({.endpoints = endpoints});
  std::atomic<int> accepted = 0;
  std::atomic<int> next = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 64; ++i) {
    callers.emplace_back([&] {
      for (int n = next++; n < count; n = next++) {
        std::string value = std::to_string(n);
        value.resize(std::max(value.size(), value_bytes), 'x');
        if (client.put("many/" + std::to_string(n % 1000), std::move(value))) ++accepted;
      }
    });
  }
  callers.clear();
  return accepted;
}

Load::Load(Options options) : options_(std::move(options)) {
  for (int i = 0; i < options_.callers; ++i) {
    callers_.emplace_back([this, i](const std::stop_token& stop) { call(i, stop); });
  }
}

Load::~Load() {
  stop();
}

void Load::stop() {
  for (std::jthread& caller : callers_) caller.request_stop();
  callers_.clear();
}

void Load::record(Operation operation) {
  const std::lock_guard lock(mutex_);
  if (is_acknowledged_write(operation)) ++accepted_;
  history_.push_back(std::move(operation));
  recorded_.notify_all();
}

// What the answer says is for the caller to fill in; an error is dealt with here.
template <class Answer>
std::optional<Answer> Load::take(Operation& operation, Result<Answer> result) {
  operation.return_time_ns = steady_now_ns();
  if (result) {
    operation.result.revision = result->revision;
    return *std::move(result);
  }
  {
    const std::lock_guard lock(mutex_);
    ++error_texts_[std::string(name_of(result.error().code)) + ": " + result.error().message];
    if (operation.kind != Kind::get) ++mutation_errors_[result.error().code];
  }
  const bool unknown = result.error().code == Errc::unknown_outcome;
  if (operation.kind == Kind::get || !unknown) return std::nullopt;
  operation.return_time_ns.reset();
  record(std::move(operation));
  return std::nullopt;
}

void Load::call(int caller, const std::stop_token& stop) {
  std::vector<std::string> endpoints = options_.endpoints;
  const auto first =
      static_cast<std::ptrdiff_t>(static_cast<std::size_t>(caller) % endpoints.size());
  std::ranges::rotate(endpoints, endpoints.begin() + first);
  Client client = *Client::connect({.endpoints = endpoints, .request_timeout = options_.timeout});
  Random random(static_cast<std::uint64_t>(caller) + 1);
  std::map<std::string, std::int64_t> last_seen;
  for (int n = 0; !stop.stop_requested(); ++n) {
    Operation operation;
    operation.client = caller;
    operation.key = key_of(random.below(static_cast<std::uint64_t>(options_.keys)));
    operation.args.value = std::to_string(caller) + "." + std::to_string(n);
    operation.call_time_ns = steady_now_ns();
    std::int64_t& seen = last_seen[operation.key];
    const std::uint64_t choice = random.below(10);
    if (choice < 4) {
      operation.kind = Kind::put;
      const auto put = take(operation, client.put(operation.key, operation.args.value));
      if (put) seen = put->revision;
      if (put) record(std::move(operation));
    } else if (choice < 7) {
      operation.kind = Kind::get;
      const auto got = take(operation, client.get(operation.key));
      if (got) operation.result.found = found_in(*got);
      if (got) seen = got->kvs.empty() ? 0 : got->kvs[0].mod_revision;
      if (got) record(std::move(operation));
    } else if (choice < 9) {
      operation.kind = Kind::compare_and_put;
      operation.args.compare_revision = seen;
      const auto done = take(operation, client.txn(compare_and_put(operation)));
      if (done) {
        operation.result.succeeded = done->succeeded;
        seen = done->revision;
        if (!done->succeeded) {
          const auto& got = std::get<GetResult>(done->results.at(0));
          operation.result.found = found_in(got);
          seen = got.kvs.empty() ? 0 : got.kvs[0].mod_revision;
        }
        record(std::move(operation));
      }
    } else {
      operation.kind = Kind::erase;
      const auto erased = take(operation, client.erase(operation.key));
      if (erased) operation.result.deleted = erased->deleted;
      if (erased) seen = 0;
      if (erased) record(std::move(operation));
    }
    std::this_thread::sleep_for(options_.pause);
  }
}

std::optional<std::int64_t> Load::accepted_after(std::int64_t time_ns,
                                                 std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  std::size_t from = 0;
  std::optional<std::int64_t> found;
  recorded_.wait_for(lock, limit, [&] {
    for (; from < history_.size() && !found; ++from) {
      const Operation& operation = history_[from];
      if (operation.call_time_ns > time_ns && is_acknowledged_write(operation)) {
        found = operation.return_time_ns;
      }
    }
    return found.has_value();
  });
  return found;
}

std::size_t Load::count(Errc code) const {
  const std::lock_guard lock(mutex_);
  const auto found = mutation_errors_.find(code);
  return found == mutation_errors_.end() ? 0 : found->second;
}

std::size_t Load::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

std::string Load::summary() const {
  const std::lock_guard lock(mutex_);
  std::ostringstream out;
  out << history_.size() << " operations, " << accepted_ << " accepted writes";
  for (const auto& [text, count] : error_texts_) out << "\n  " << count << " times " << text;
  return out.str();
}

std::string Load::findings(Client& witness) {
  for (int i = 0; i < options_.keys; ++i) {
    Operation operation;
    operation.client = options_.callers;
    operation.kind = Kind::get;
    operation.key = key_of(static_cast<std::uint64_t>(i));
    operation.call_time_ns = steady_now_ns();
    const auto got = witness.get(operation.key);
    if (!got) return "cannot read " + operation.key + ": " + got.error().message;
    operation.return_time_ns = steady_now_ns();
    operation.result.revision = got->revision;
    operation.result.found = found_in(*got);
    record(std::move(operation));
  }
  if (std::string lost = compare_with_events(witness); !lost.empty()) return lost;
  const Verdict verdict = check_etcd_history(history_);
  return verdict.linearizable() ? "" : verdict.text();
}

// Every accepted write is an event of its revision.
std::string Load::compare_with_events(Client& witness) {
  const auto end = witness.put(std::string(kPrefix) + "end", "");
  if (!end) return "cannot write the end: " + end.error().message;
  Watcher watcher =
      witness.watch({.key = kPrefix, .range_end = prefix_end(kPrefix), .start_revision = 1});
  std::map<std::int64_t, Event> events;
  while (events.empty() || events.rbegin()->first < end->revision) {
    const Result<WatchNotice> notice = watcher.next({}, std::chrono::seconds(20));
    if (!notice) return "the events do not come: " + notice.error().message;
    for (const Event& event : notice->events) events[event.kv.mod_revision] = event;
  }
  for (const Operation& operation : history_) {
    if (!is_acknowledged_write(operation)) continue;
    const auto at = events.find(operation.result.revision);
    const bool erases = operation.kind == Kind::erase;
    if (at == events.end() || at->second.kv.key != operation.key ||
        (at->second.type == Event::Type::erase) != erases ||
        (!erases && at->second.kv.value != operation.args.value)) {
      return "lost: " + operation.key + " " + EtcdKeyModel::describe_operation(operation);
    }
  }
  return "";
}

}  // namespace conclave::test
