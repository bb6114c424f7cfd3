#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/api/fuzz/steps.h"
#include "tests/api/peer.h"

namespace conclave::test {

struct Difference {
  std::size_t step = 0;
  std::string asked;      // the step, or "in the end"
  std::string conclaved;  // what each said
  std::string etcd;
};

// conclaved and etcd side by side, and what has come on their watch streams.
class ServerPair {
 public:
  ServerPair();

  // Carries out those of the steps 0 to `count` - 1 that `chosen` names (all if it is empty), on
  // an emptied store, each on both servers, and compares the answers and, after each step, what
  // the watches say. A step is a function of seed, its number and the revision it is drawn at.
  // With `trace`, every step is printed. After a difference the pair is of no more use.
  std::optional<Difference> run(std::uint64_t seed, std::size_t count,
                                const std::vector<std::size_t>& chosen, bool trace);

  // How many requests each server has been sent, watches' included.
  std::uint64_t calls() const { return calls_; }

 private:
  // One watch stream of one server: what each watch has said since the last comparison.
  struct Stream {
    std::unique_ptr<WatchCall> call;
    std::map<std::int64_t, std::vector<std::string>> said;
    std::size_t responses = 0;

    void take(const etcdserverpb::WatchResponse& response);
    std::string text() const;
  };
  struct StreamPair {
    Stream conclaved;
    Stream etcd;
    bool in_use = false;
    std::int64_t future_start = 0;  // the latest that a watch of it waits for
  };
  struct Answers {
    std::string conclaved;
    std::string etcd;
  };

  Answers carry_out(const Step& step);
  template <class Request, class Response>
  Answers carry_out_call(const Request& request);
  void ask(StreamPair& stream, const etcdserverpb::WatchRequest& request);
  void reopen(StreamPair& stream);
  // Empty if they agree.
  std::optional<Answers> compare_streams();
  void settle(StreamPair& stream) const;
  // After the last step: what watches say late, and the hashes of the two stores.
  std::optional<Difference> compare_ends(std::size_t step);

  ServerProcess conclaved_{ServerKind::conclaved};
  ServerProcess etcd_{ServerKind::etcd};
  Calls conclaved_calls_{conclaved_.channel()};
  Calls etcd_calls_{etcd_.channel()};
  std::array<StreamPair, kStreams> streams_;
  StoreState state_;
  std::uint64_t calls_ = 0;
  std::chrono::steady_clock::time_point last_old_watch_{};
  std::chrono::steady_clock::time_point last_compaction_{};
};

}  // namespace conclave::test
