#include "tests/support/etcd_key_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace conclave::linearizability {
namespace {

using test::check_etcd_history;
using test::check_linearizability;
using test::check_revisions;
using test::EtcdKeyModel;
using test::EtcdOperation;
using test::Verdict;
using Kind = EtcdKeyModel::Kind;
using Found = EtcdKeyModel::Found;
using ::testing::HasSubstr;

// Each begins two after the one before and takes one, unless it is stretched.
class History {
 public:
  EtcdOperation& put(const std::string& value, std::int64_t revision) {
    EtcdOperation& operation = add(Kind::put, revision);
    operation.args.value = value;
    return operation;
  }
  EtcdOperation& get(std::optional<Found> found, std::int64_t revision) {
    EtcdOperation& operation = add(Kind::get, revision);
    operation.result.found = std::move(found);
    return operation;
  }
  EtcdOperation& compare_and_put(std::int64_t compared, const std::string& value,
                                 std::int64_t revision) {
    EtcdOperation& operation = put(value, revision);
    operation.kind = Kind::compare_and_put;
    operation.args.compare_revision = compared;
    operation.result.succeeded = true;
    return operation;
  }
  EtcdOperation& refused(std::int64_t compared, std::optional<Found> found, std::int64_t revision) {
    EtcdOperation& operation = compare_and_put(compared, "refused", revision);
    operation.result.succeeded = false;
    operation.result.found = std::move(found);
    return operation;
  }
  EtcdOperation& erase(std::int64_t deleted, std::int64_t revision) {
    EtcdOperation& operation = add(Kind::erase, revision);
    operation.result.deleted = deleted;
    return operation;
  }

  bool linearizable() const {
    return check_linearizability<EtcdKeyModel>(operations_).linearizable();
  }
  bool revisions_agree() const { return check_revisions(operations_).linearizable(); }
  Verdict decide() const { return check_etcd_history(operations_); }

 private:
  EtcdOperation& add(Kind kind, std::int64_t revision) {
    now_ns_ += 2;
    EtcdOperation& operation = operations_.emplace_back();
    operation.key = "k";
    operation.call_time_ns = now_ns_;
    operation.return_time_ns = now_ns_ + 1;
    operation.kind = kind;
    operation.result.revision = revision;
    return operation;
  }

  std::int64_t now_ns_ = 0;
  std::vector<EtcdOperation> operations_;
};

void forget(EtcdOperation& operation) {
  operation.return_time_ns.reset();
  operation.result = {};
}

TEST(EtcdKeyModel, LifeOfAKey) {
  History history;
  history.get(std::nullopt, 1);
  history.put("a", 2);
  history.get(Found{"a", 2}, 5);
  history.compare_and_put(2, "b", 6);
  history.refused(2, Found{"b", 6}, 6);
  history.erase(1, 8);
  history.erase(0, 8);
  history.refused(6, std::nullopt, 9);
  history.compare_and_put(0, "c", 10);
  history.get(Found{"c", 10}, 10);
  const Verdict verdict = history.decide();
  EXPECT_TRUE(verdict.linearizable()) << verdict.text();
}

TEST(EtcdKeyModel, StaleReadIsFound) {
  History history;
  history.put("a", 2);
  history.put("b", 3);
  history.get(Found{"a", 2}, 3);
  EXPECT_FALSE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());
}

TEST(EtcdKeyModel, ReadOfAnOlderRevisionIsFound) {
  History history;
  history.put("a", 2);
  history.put("b", 3);
  history.get(Found{"a", 2}, 2);
  EXPECT_FALSE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());
}

TEST(EtcdKeyModel, ConcurrentReadsSeeTheirRevision) {
  History history;
  EtcdOperation& first = history.put("a", 2);
  first.return_time_ns = 100;
  history.get(std::nullopt, 1);
  history.get(Found{"a", 2}, 2);
  EXPECT_TRUE(history.decide().linearizable());
  history.get(std::nullopt, 2);
  EXPECT_FALSE(history.linearizable());
}

TEST(EtcdKeyModel, LostUpdateIsFound) {
  History history;
  history.put("a", 2);
  history.compare_and_put(2, "b", 3);
  history.compare_and_put(2, "c", 4);
  EXPECT_TRUE(history.revisions_agree());
  const Verdict verdict = history.decide();
  EXPECT_EQ(verdict.answer, Verdict::Answer::not_linearizable);
  EXPECT_EQ(verdict.key, "k");
  EXPECT_THAT(verdict.excerpt, HasSubstr("compare_and_put(mod_revision 2, \"c\") -> put, "));
}

TEST(EtcdKeyModel, AcknowledgedWriteTakesEffectOnce) {
  History history;
  history.put("a", 2);
  history.get(Found{"a", 5}, 5);
  EXPECT_FALSE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());
}

TEST(EtcdKeyModel, UnknownWriteTakesEffectOnce) {
  History history;
  forget(history.put("a", 0));
  history.get(Found{"a", 3}, 3);
  history.put("b", 4);
  EXPECT_TRUE(history.decide().linearizable());
  history.get(Found{"a", 5}, 5);
  EXPECT_FALSE(history.linearizable());
}

TEST(EtcdKeyModel, UnknownWriteMayTakeEffectLateOrNever) {
  History history;
  history.put("a", 2);
  forget(history.put("b", 0));
  forget(history.erase(0, 0));
  history.get(Found{"a", 2}, 7);
  EXPECT_TRUE(history.decide().linearizable());
  history.get(Found{"b", 8}, 8);
  EXPECT_TRUE(history.decide().linearizable());
  history.get(std::nullopt, 9);
  EXPECT_TRUE(history.decide().linearizable());
}

TEST(EtcdKeyModel, UnknownWriteMakesARevisionOfItsOwn) {
  History history;
  history.put("a", 2);
  forget(history.put("b", 0));
  history.get(Found{"b", 2}, 3);
  EXPECT_FALSE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());

  History erased;
  erased.put("a", 2);
  forget(erased.erase(0, 0));
  erased.get(std::nullopt, 2);
  EXPECT_FALSE(erased.linearizable());
  EXPECT_FALSE(erased.revisions_agree());
}

TEST(EtcdKeyModel, UnknownWritesNeedRoomForTheirRevisions) {
  History history;
  history.put("a", 5);
  forget(history.erase(0, 0));
  forget(history.compare_and_put(0, "b", 0));
  history.get(Found{"b", 7}, 7);
  EXPECT_TRUE(history.decide().linearizable());

  History tight;
  tight.put("a", 5);
  forget(tight.erase(0, 0));
  forget(tight.compare_and_put(0, "b", 0));
  tight.get(Found{"b", 6}, 6);
  EXPECT_FALSE(tight.linearizable());
}

TEST(EtcdKeyModel, ComparisonTellsTheRevisionOfAnUnknownWrite) {
  History history;
  forget(history.put("a", 0));
  history.compare_and_put(4, "b", 6);
  EXPECT_TRUE(history.decide().linearizable());
  history.compare_and_put(4, "c", 7);
  EXPECT_FALSE(history.linearizable());
}

TEST(Revisions, AreMadeOnce) {
  History history;
  history.put("a", 2).return_time_ns = 100;
  history.put("b", 2).key = "other";
  EXPECT_TRUE(history.linearizable());
  const Verdict verdict = history.decide();
  EXPECT_EQ(verdict.answer, Verdict::Answer::not_linearizable);
  EXPECT_THAT(verdict.excerpt, HasSubstr("two writes made one revision"));
}

TEST(Revisions, BelongToOneKey) {
  History history;
  history.put("a", 2).key = "other";
  forget(history.put("a", 0));
  history.get(Found{"a", 2}, 2);
  EXPECT_TRUE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());
}

TEST(Revisions, OfWritesGoTheWayOfTimeOverAllKeys) {
  History history;
  history.put("a", 3).key = "other";
  history.put("b", 2);
  EXPECT_TRUE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());
}

TEST(Revisions, OfReadsGoTheWayOfTimeOverAllKeys) {
  History history;
  history.put("a", 2).key = "other";
  EtcdOperation& read = history.get(std::nullopt, 1);
  EXPECT_TRUE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());
  read.result.revision = 2;
  EXPECT_TRUE(history.revisions_agree());
}

TEST(Revisions, OfConcurrentWritesGoAnyWay) {
  History history;
  history.put("a", 3).return_time_ns = 100;
  history.put("b", 2).key = "other";
  EXPECT_TRUE(history.revisions_agree());
}

TEST(Revisions, UnknownWriteExplainsNothingFromBeforeItsCall) {
  History history;
  history.put("a", 3).key = "other";
  forget(history.put("b", 0));
  EtcdOperation& read = history.get(Found{"b", 2}, 3);
  EXPECT_TRUE(history.linearizable());
  EXPECT_FALSE(history.revisions_agree());
  read.result = {.revision = 4, .found = Found{"b", 4}};
  EXPECT_TRUE(history.revisions_agree());
}

}  // namespace
}  // namespace conclave::linearizability
