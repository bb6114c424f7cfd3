#include "tests/linearizability/etcd_history_generator.h"

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "conclave/base/random.h"

namespace conclave::linearizability {
namespace {

using test::EtcdKeyModel;
using test::EtcdOperation;
using Kind = EtcdKeyModel::Kind;

class Generator {
 public:
  explicit Generator(const HistoryShape& shape) : shape_(shape), random_(shape.seed) {}

  std::vector<EtcdOperation> run() {
    for (std::uint64_t client = 0; client < shape_.clients; ++client) {
      at(random_.below(100'000), [this, client] { call(client); });
    }
    while (!agenda_.empty()) {
      auto event = agenda_.extract(agenda_.begin());
      now_ns_ = event.key();
      event.mapped()();
    }
    return std::move(history_);
  }

 private:
  void at(std::uint64_t delay_ns, std::function<void()> act) {
    agenda_.emplace(now_ns_ + static_cast<std::int64_t>(delay_ns), std::move(act));
  }
  std::uint64_t usual_delay_ns() { return 20'000 + random_.below(500'000); }

  void call(std::uint64_t client) {
    if (history_.size() == shape_.operations) return;
    const std::size_t i = history_.size();
    EtcdOperation& operation = history_.emplace_back();
    operation.client = static_cast<int>(client);
    operation.key = "k" + std::to_string(random_.below(shape_.keys));
    operation.call_time_ns = now_ns_;
    constexpr Kind kMix[] = {Kind::get,
                             Kind::get,
                             Kind::get,
                             Kind::get,
                             Kind::put,
                             Kind::put,
                             Kind::compare_and_put,
                             Kind::compare_and_put,
                             Kind::put,
                             Kind::erase};
    operation.kind = kMix[random_.below(std::size(kMix))];
    if (operation.kind == Kind::put || operation.kind == Kind::compare_and_put) {
      const std::uint64_t value = shape_.values == 0 ? i : random_.below(shape_.values);
      operation.args.value = "v" + std::to_string(value);
    }
    if (operation.kind == Kind::compare_and_put) {
      operation.args.compare_revision = last_known_[operation.key];
    }
    if (!random_.chance(shape_.unknown_percent, 100)) {
      at(usual_delay_ns(), [this, i] { take_effect(i); });
      return;
    }
    if (random_.chance(1, 2)) {
      const std::uint64_t delay_ns = usual_delay_ns() * (random_.chance(1, 4) ? 100 : 1);
      at(delay_ns, [this, i] { carry_out(history_[i]); });
    }
    at(2'000'000, [this, client] { call(client); });
  }

  void take_effect(std::size_t i) {
    const EtcdKeyModel::Result result = carry_out(history_[i]);
    at(usual_delay_ns(), [this, i, result] {
      EtcdOperation& operation = history_[i];
      operation.return_time_ns = now_ns_;
      operation.result = result;
      learn(operation);
      at(random_.below(100'000),
         [this, client = operation.client] { call(static_cast<std::uint64_t>(client)); });
    });
  }

  EtcdKeyModel::Result carry_out(const EtcdOperation& operation) {
    EtcdKeyModel::Result result;
    const auto at = keys_.find(operation.key);
    const bool exists = at != keys_.end();
    const std::int64_t mod_revision = exists ? at->second.mod_revision : 0;
    const auto put = [&] { keys_[operation.key] = {operation.args.value, ++revision_}; };
    switch (operation.kind) {
      case Kind::put:
        put();
        break;
      case Kind::get:
        if (exists) result.found = at->second;
        break;
      case Kind::compare_and_put:
        result.succeeded = mod_revision == operation.args.compare_revision;
        if (!result.succeeded && exists) result.found = at->second;
        if (result.succeeded) put();
        break;
      case Kind::erase:
        if (!exists) break;
        keys_.erase(at);
        ++revision_;
        result.deleted = 1;
        break;
    }
    result.revision = revision_;
    return result;
  }

  void learn(const EtcdOperation& operation) {
    std::int64_t& known = last_known_[operation.key];
    if (is_acknowledged_write(operation)) {
      known = operation.kind == Kind::erase ? 0 : operation.result.revision;
    } else {
      known = operation.result.found ? operation.result.found->mod_revision : 0;
    }
  }

  const HistoryShape shape_;
  Random random_;
  std::int64_t now_ns_ = 0;
  std::multimap<std::int64_t, std::function<void()>> agenda_;
  std::map<std::string, EtcdKeyModel::Found> keys_;
  std::map<std::string, std::int64_t> last_known_;  // mod_revision that some client saw last
  std::int64_t revision_ = 1;
  std::vector<EtcdOperation> history_;
};

}  // namespace

std::vector<EtcdOperation> generate_etcd_history(const HistoryShape& shape) {
  return Generator(shape).run();
}

}  // namespace conclave::linearizability
