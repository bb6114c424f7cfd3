#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/cluster.h"
#include "tests/support/etcd_key_model.h"

namespace conclave::sim {

// What all clients together know, which makes reads and writes linearizable or not.
//
// Every answer carries the revision at which it was given, so that the order in which it must
// stand is known, and a history is checked one operation at a time:
// - An answer shows the state of its revision, which is not before any revision that anybody had
//   been told of when the call began, and not after the newest one at the time of the answer.
// - A write that was answered stands in the history at the revision of the answer, once; after the
//   call began.
// - A write without an answer stands there once or never; one that was surely refused, never.
//
// The operations themselves are kept, too, for a judge who knows nothing of the one history.
struct Knowledge {
  std::int64_t revision = 0;      // the highest that anybody was told of
  std::set<std::string> refused;  // values of writes that were surely not carried out
  std::uint64_t answered = 0;
  std::uint64_t unknown = 0;
  Instant last_write{};  // when the last write that was answered began
  std::vector<test::EtcdOperation> history;
};

// One client that puts, gets, deletes and compares, one call at a time, at whichever member.
class KvClient {
 public:
  KvClient(Cluster& cluster, ClientNetwork& network, Knowledge& knowledge, int number);

  void start();
  void stop() { stopped_ = true; }
  void set_haste(Duration pause_max) { pause_max_ = pause_max; }

 private:
  struct Began {
    Instant at;
    std::int64_t revision;
  };
  using Kind = test::EtcdKeyModel::Kind;
  using Args = test::EtcdKeyModel::Args;
  struct Write {
    std::string key;
    Kind kind{};
    Args args{};
  };
  template <class Request, class Response, class Check>
  void call(Request request, std::optional<Write> write, Check check);
  void record(const Began& began, const std::string& key, Kind kind, Args args,
              std::optional<test::EtcdKeyModel::Result> result);
  void record_put(const Began& began, const Write& write, std::int64_t revision);
  void record_read(const Began& began, const std::string& key,
                   const etcdserverpb::RangeResponse& response);
  void act();
  void go_on();
  void put();
  void get(bool serializable);
  void get_all();
  void erase();
  void compare_and_put();
  void read_in_past();

  bool check_revision(const Began& began, std::int64_t revision, const char* what);
  void check_kvs(const google::protobuf::RepeatedPtrField<mvccpb::KeyValue>& kvs,
                 const std::string& begin, const std::string& end, std::int64_t revision);
  void check_written(const Began& began, const std::string& value, std::int64_t revision);
  void check_erased(const Began& began, const std::string& key,
                    const etcdserverpb::DeleteRangeResponse& response);
  void check_compared(const Began& began, const Write& write,
                      const etcdserverpb::TxnResponse& response);
  static std::string key_of(std::uint64_t number);
  std::string any_key();
  std::string new_value();

  Cluster& cluster_;
  ClientNetwork& network_;
  Knowledge& knowledge_;
  const int number_;
  SimNode* node_ = nullptr;
  int writes_ = 0;
  bool stopped_ = false;
  Duration pause_max_ = std::chrono::milliseconds(250);
};

}  // namespace conclave::sim
