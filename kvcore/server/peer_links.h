#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "conclave/lmdb/store.h"
#include "conclave/replica/replica.h"
#include "conclave/server/data_directory.h"
#include "conclave/transport/links.h"

namespace conclave::server {

// A snapshot that has come from another member: its store, and the state that was loaded from it.
struct ArrivedSnapshot {
  std::uint64_t data_incarnation = 0;
  replica::SnapshotHead head;
  std::shared_ptr<lmdb::Store> store;
  std::unique_ptr<replica::StateMachine> state;
};

// Carries out what the replica wants of other members, and brings it what they say.
//
// Threads: the functions of the core are called on threads of the links; the public members by the
// thread that drives the replica, except stop().
class PeerLinks final : private transport::Events {
 public:
  struct Core {
    // Runs it where the replica is driven; false, and dropped, once nothing runs any more.
    std::function<bool(std::function<void(replica::Replica&)>)> post;
    std::function<bool(std::shared_ptr<ArrivedSnapshot>)> arrived;
    // What an operator should read; must not block.
    std::function<void(const std::string&)> notice;
  };

  PeerLinks(DataDirectory directory, std::uint64_t quota_bytes, Core core);
  ~PeerLinks();

  // `others`: whom to have links to for as long as the replica knows no members, because it waits
  // for their snapshot. Errors: Errc::io, naming the URL.
  Result<void> start(transport::Options options, const replica::Membership& others);
  void stop();
  const std::vector<std::string>& urls() const { return links_->urls(); }

  // Whom to have links to and whom to listen to, and who leads; does nothing if neither changed.
  void follow(const replica::Replica& replica);
  void send(std::vector<replica::Output::PeerMessage> messages);
  void send_snapshot(replica::Output::Snapshot snapshot,
                     std::shared_ptr<const mvcc::Storage> storage);
  // The snapshot that had arrived is installed or dropped: another one may come.
  void arrival_over() { arriving_.store(false); }

 private:
  class Arrival;

  void set_peers(const replica::Membership& membership);
  void notice_leader(const replica::Replica& replica);
  std::string name_of(transport::MemberId member);

  void received(const transport::Identity& from, std::string packet) override;
  void unreachable(transport::MemberId peer) override;
  void gone(transport::MemberId peer) override;
  void not_reached(transport::MemberId peer, std::string reason) override;
  void refused(transport::MemberId peer, transport::LinkRefusal refusal) override;
  void accepted(transport::MemberId peer) override;
  std::optional<transport::LinkRefusal> refuse(const transport::Identity& from,
                                               transport::MemberId to) override;
  std::unique_ptr<transport::SnapshotSink> snapshot_begins(
      const transport::Identity& from) override;
  std::string description() override;

  const DataDirectory directory_;
  const std::uint64_t quota_bytes_;
  const Core core_;
  transport::Identity self_;
  std::unique_ptr<transport::Links> links_;
  std::atomic<bool> arriving_{false};
  std::uint64_t followed_ = 0;  // version of the membership
  raft::NodeId leader_ = 0;

  // Protected by mutex_.
  std::mutex mutex_;
  replica::Membership membership_;
};

// What a member that is about to join is told, and what it finds in it.
struct ClusterDescription {
  std::uint64_t cluster_id = 0;
  replica::Membership membership;
};
std::string encode(const ClusterDescription& description);
Result<ClusterDescription> decode_description(std::string_view bytes);

}  // namespace conclave::server
