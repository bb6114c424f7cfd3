#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/random.h"

#include "tests/linearizability/etcd_history_generator.h"
#include "tests/support/register_models.h"

// The search against the definition: on small histories, every order there is.

namespace conclave::linearizability {
namespace {

using test::check_etcd_history;
using test::check_linearizability;
using test::check_revisions;
using test::EtcdKeyModel;
using test::EtcdOperation;
using test::Operation;
using test::RegisterModel;

// Whether the operations that are left can go on from here: tries all orders. `Store` carries them
// out, saying whether the result would be the recorded one; something_elsewhere() is what may
// happen in between, if it does.
template <class Store, class Model>
bool has_order(const Store& store, const std::vector<Operation<Model>>& left) {
  if (std::ranges::none_of(left, [](const auto& o) { return o.return_time_ns.has_value(); })) {
    return true;
  }
  for (std::size_t i = 0; i < left.size(); ++i) {
    const bool may_be_next = std::ranges::none_of(left, [&](const auto& other) {
      return other.return_time_ns && *other.return_time_ns < left[i].call_time_ns;
    });
    if (!may_be_next) continue;
    Store after = store;
    if (!after.carry_out(left[i])) continue;
    std::vector<Operation<Model>> rest = left;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    if (has_order(after, rest)) return true;
  }
  Store after = store;
  return after.something_elsewhere() && has_order(after, left);
}

struct PlainRegister {
  std::optional<std::int64_t> value;

  bool carry_out(const Operation<RegisterModel>& operation) {
    const bool returned = operation.return_time_ns.has_value();
    if (operation.kind == RegisterModel::Kind::read) {
      return !returned || operation.result.value == value;
    }
    const bool sets =
        operation.kind == RegisterModel::Kind::write || value == operation.args.expected;
    if (sets) value = operation.args.value;
    return operation.kind == RegisterModel::Kind::write || !returned ||
           sets == operation.result.succeeded;
  }
  bool something_elsewhere() { return false; }
};

// A store of one key that counts its revisions; other keys are written now and then.
struct PlainStore {
  std::optional<EtcdKeyModel::Found> key;
  std::int64_t revision = 1;
  std::int64_t last_revision = 0;  // that matters

  bool carry_out(const EtcdOperation& operation) {
    EtcdKeyModel::Result result;
    const auto put = [&] { key = {operation.args.value, ++revision}; };
    switch (operation.kind) {
      case EtcdKeyModel::Kind::put:
        put();
        break;
      case EtcdKeyModel::Kind::get:
        result.found = key;
        break;
      case EtcdKeyModel::Kind::compare_and_put:
        result.succeeded = (key ? key->mod_revision : 0) == operation.args.compare_revision;
        if (result.succeeded) {
          put();
        } else {
          result.found = key;
        }
        break;
      case EtcdKeyModel::Kind::erase:
        result.deleted = key ? 1 : 0;
        if (key) ++revision;
        key.reset();
        break;
    }
    if (!operation.return_time_ns) return true;
    return operation.result.revision == revision && operation.result.found == result.found &&
           operation.result.succeeded == result.succeeded &&
           operation.result.deleted == result.deleted;
  }
  bool something_elsewhere() { return ++revision <= last_revision; }
};

std::vector<Operation<RegisterModel>> random_register_history(Random& random) {
  std::vector<Operation<RegisterModel>> history(1 + random.below(7));
  for (Operation<RegisterModel>& operation : history) {
    operation.kind = static_cast<RegisterModel::Kind>(random.below(3));
    operation.call_time_ns = static_cast<std::int64_t>(random.below(12));
    if (random.chance(3, 4)) {
      operation.return_time_ns =
          operation.call_time_ns + static_cast<std::int64_t>(random.below(6));
    }
    operation.args.value = static_cast<std::int64_t>(random.below(3));
    operation.args.expected = static_cast<std::int64_t>(random.below(3));
    if (random.chance(5, 6)) operation.result.value = static_cast<std::int64_t>(random.below(3));
    operation.result.succeeded = random.chance(1, 2);
  }
  return history;
}

// Makes something of a result that is likely wrong.
void spoil(EtcdOperation& operation, Random& random) {
  EtcdKeyModel::Result& result = operation.result;
  const std::int64_t step = random.chance(1, 2) ? 1 : -1;
  switch (random.below(5)) {
    case 0:
      result.revision += step;
      break;
    case 1:
      if (result.found) result.found->mod_revision += step;
      break;
    case 2:
      if (result.found) result.found->value = "v" + std::to_string(random.below(2));
      break;
    case 3:
      if (operation.kind == EtcdKeyModel::Kind::get) result.found.reset();
      break;
    default:
      if (operation.kind == EtcdKeyModel::Kind::erase) result.deleted = 1 - result.deleted;
      break;
  }
}

// One key of a small history of three, sometimes spoiled, sometimes with outcomes forgotten.
std::vector<EtcdOperation> random_etcd_history(Random& random) {
  std::vector<EtcdOperation> history = generate_etcd_history({.seed = random.next(),
                                                              .operations = 5 + random.below(10),
                                                              .keys = 1 + random.below(3),
                                                              .clients = 1 + random.below(5),
                                                              .unknown_percent = random.below(60),
                                                              .values = 2});
  std::erase_if(history, [](const EtcdOperation& operation) { return operation.key != "k0"; });
  if (history.size() > 7) history.resize(7);
  for (EtcdOperation& operation : history) {
    if (random.chance(1, 6)) spoil(operation, random);
    if (random.chance(1, 10)) operation.return_time_ns.reset();
  }
  return history;
}

TEST(EveryOrder, AgreesOnRegisters) {
  Random random(1);
  int linearizable = 0;
  constexpr int kHistories = 40'000;
  for (int n = 0; n < kHistories; ++n) {
    const auto history = random_register_history(random);
    const bool expected = has_order(PlainRegister{}, history);
    const test::Verdict verdict = check_linearizability<RegisterModel>(history);
    ASSERT_EQ(verdict.linearizable(), expected) << "history " << n << ": " << verdict.text();
    linearizable += expected ? 1 : 0;
  }
  EXPECT_GT(linearizable, kHistories / 20);
  EXPECT_LT(linearizable, kHistories * 19 / 20);
}

TEST(EveryOrder, AgreesOnEtcdKeys) {
  Random random(2);
  int linearizable = 0;
  int told_by_revisions = 0;
  constexpr int kHistories = 40'000;
  for (int n = 0; n < kHistories; ++n) {
    const std::vector<EtcdOperation> history = random_etcd_history(random);
    PlainStore store;
    for (const EtcdOperation& operation : history) {
      store.last_revision = std::max(store.last_revision, operation.result.revision);
    }
    const bool expected = has_order(store, history);
    const test::Verdict verdict = check_linearizability<EtcdKeyModel>(history);
    std::string all;
    for (const EtcdOperation& operation : history) all += describe(operation) + '\n';
    ASSERT_EQ(verdict.linearizable(), expected) << n << ": " << verdict.text() << all;
    const test::Verdict by_revisions = check_revisions(history);
    ASSERT_TRUE(by_revisions.linearizable() || !expected) << n << ": " << by_revisions.text();
    if (by_revisions.linearizable()) {
      ASSERT_EQ(check_etcd_history(history).linearizable(), expected) << n << ": " << all;
    }
    linearizable += expected ? 1 : 0;
    told_by_revisions += by_revisions.linearizable() ? 0 : 1;
  }
  EXPECT_GT(linearizable, kHistories / 20);
  EXPECT_LT(linearizable, kHistories * 19 / 20);
  EXPECT_GT(told_by_revisions, kHistories / 20);
}

}  // namespace
}  // namespace conclave::linearizability
