#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/server/driven.h"
#include "conclave/server/request_handler.h"
#include "conclave/transport/links.h"

namespace conclave::server {

struct NodeOptions {
  std::string name = "default";
  std::string data_dir;                  // made if absent, with mode 0700
  std::vector<std::string> client_urls;  // what this member advertises
  std::vector<std::string> peer_urls;    // the same for other members
  // The members of a new cluster, this one among them, or of the one to join; empty: this member
  // alone, which then listens for no others until listen_peer_urls says where.
  struct InitialMember {
    std::string name;
    std::vector<std::string> peer_urls;
  };
  std::vector<InitialMember> initial_cluster;
  bool joins = false;  // the cluster exists, and this member was added to it
  std::vector<std::string> listen_peer_urls;
  listener::TlsFiles peer_tls;
  grpc::CompletionQueue* links_host = nullptr;  // see transport::Options::host
  bool pre_vote = true;
  bool strict_reconfig_check = true;
  std::string cluster_token = "conclave-cluster";  // with the peer URLs it makes the cluster's id
  std::chrono::milliseconds heartbeat_interval{100};
  std::chrono::milliseconds election_timeout{1000};
  std::uint64_t quota_bytes = std::uint64_t{2} << 30;
  std::uint64_t max_request_bytes = 1572864;
  std::uint64_t max_txn_operations = 128;
  std::size_t max_watch_streams = 100000;
  std::size_t max_watchers_per_stream = 100000;
  // Automatic compaction: history that is older goes. Zero: none.
  std::chrono::seconds history_retention{300};
  std::int64_t history_revisions = 0;  // or all but the last so many; zero: not by count
  std::chrono::milliseconds watch_progress_interval{std::chrono::minutes(10)};
  std::size_t max_waiting_requests = 100000;
  // Gets what an operator should read; on any thread, must not block. May be empty.
  std::function<void(const std::string&)> notice;
  std::uint64_t seed = 0;  // of election jitter and chosen lease ids; 0: drawn from the system
};

// One running member: the replica object on a core thread, or on the thread of whoever drives it,
// its log on a second thread and its store on a third. It listens on nothing; see grpc_front.h for
// that.
//
// Lifetime: every request's `done` has run, and every watch sink was closed, when stop() returns.
//
// Failure: a failed write or sync stops the node for good (requests end with Refusal::stopped) and
// calls `on_failure` once with the reason, on a thread of the node, where stop() must not be called
// from; the process lives on.
class Node : public RequestHandler, public Driven {
 public:
  using OnFailure = std::function<void(const Error&)>;

  // Blocks until the stored state is loaded. Errors, each with the path and what to do: Errc::io
  // (the directory cannot be made or written), Errc::unavailable (another process has it open),
  // Errc::refused (it is of a member that was removed, or of a later version), Errc::corrupt
  // (stored bytes are damaged; a member alone changes nothing, one with others puts them aside).
  static Result<std::unique_ptr<Node>> start(NodeOptions options, OnFailure on_failure);

  // Requests are refused from now on, while those under way are still answered; one that leads
  // others hands over to one of them. Does not block. For a front that is about to close: stop()
  // does it, too.
  virtual void begin_stop() = 0;

  // Refuses new requests with Refusal::stopped, answers those that were proposed, makes the store
  // and the log durable, ends the threads. Blocks. Calling it again does nothing; the destructor
  // calls it.
  virtual void stop() = 0;

  // True once this member knows a leader and has applied an entry of its own term's beginning.
  virtual bool is_ready() const = 0;
};

}  // namespace conclave::server
