#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "conclave/base/random.h"
#include "conclave/client/caller.h"
#include "conclave/client/endpoints.h"
#include "conclave/client/store.h"

namespace conclave::client {

// The renewals of all of a client's leases, on one stream.
//
// A server answers the renewals of one lease in their order, which is how replies find their
// requests. A request that was given up keeps its place in that order until its reply or the end of
// the stream: else its reply would be taken for a later request's, and the lease be trusted longer
// than it lives.
//
// A renewal is harmless to repeat, so those without a reply are sent again when the stream is lost;
// sent_at stays that of the first sending.
//
// Threads: the executor's tasks.
class Renewer {
 public:
  using Done = std::function<void(Result<Renewal> renewal)>;

  Renewer(Executor& executor, Endpoints& endpoints, Caller& caller, Random& random,
          Duration dial_timeout);
  ~Renewer();

  Renewer(const Renewer&) = delete;
  Renewer& operator=(const Renewer&) = delete;

  void renew(LeaseId id, Instant deadline, Done done);

 private:
  struct Request {
    LeaseId lease = 0;
    Instant sent_at;
    Duration patience{};  // with a server that does not answer
    Done done;            // empty: given up
    Executor::TimerId deadline_timer = 0;
    Executor::TimerId silence_timer = 0;
  };
  using RequestId = std::uint64_t;

  void open_stream();
  void open_with(const std::string& token);
  void send(RequestId id);
  void reopen(bool endpoint_failed);
  void drop_stream();
  void received(std::string_view bytes);
  void stream_closed(const CallStatus& status);
  void deadline_passed(RequestId id);
  void silent(RequestId id);
  void finish(RequestId id, const Result<Renewal>& result);
  void fail_all(const Error& error);

  Executor* executor_;
  Endpoints* endpoints_;
  Caller* caller_;
  Random* random_;
  Duration silence_limit_;

  std::map<RequestId, Request> requests_;  // in the order of their making
  RequestId next_id_ = 1;
  // Sent on the stream that now stands, oldest first.
  std::unordered_map<LeaseId, std::deque<RequestId>> unanswered_;

  std::unique_ptr<Stream> stream_;
  Instant stream_opened_at_;
  Endpoints::Index stream_endpoint_ = 0;
  std::string stream_token_;
  bool opening_ = false;  // waits for a token or for the end of a pause
  Backoff backoff_;
  std::size_t failures_ = 0;  // in a row
  std::string last_failure_;
  Executor::TimerId reopen_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace conclave::client
