#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/errors.h"
#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"
#include "conclave/raft/config.h"
#include "conclave/replica/proposal.pb.h"

namespace conclave::replica {

struct Member {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls;
  std::vector<std::string> client_urls;
  bool learner = false;
  // Of the member's data directory, drawn when that was made; 0: the member has not said it yet.
  std::uint64_t data_incarnation = 0;

  friend bool operator==(const Member&, const Member&) = default;
};

void show(const Member& member, etcdserverpb::Member& shown);

// Who belongs to the cluster, as replicated state: the consensus's configuration, and what the
// members have told about themselves.
//
// A member whose data directory is not the one that it was known by has lost what it promised: it
// counts as gone until it is removed and added again (see accepts()).
class Membership {
 public:
  // Of a new cluster.
  Membership() = default;
  explicit Membership(const std::vector<Member>& members);

  bool empty() const { return members_.empty(); }
  const Member* find(std::uint64_t id) const;
  bool removed(std::uint64_t id) const { return removed_.contains(id); }
  std::vector<Member> all() const;  // by id
  const raft::ConfigState& config() const { return config_; }
  // Grows with every change.
  std::uint64_t version() const { return version_; }
  bool has_peer_url(std::string_view url, std::uint64_t except = 0) const;

  // Whether messages of this member are to be heard. One that is not known (yet) is: the log may
  // not have come that far here.
  bool accepts(std::uint64_t id, std::uint64_t data_incarnation) const;

  // `config` is the configuration that the consensus made of it.
  void apply(const MemberChange& change, const raft::ConfigState& config);
  void set_config(const raft::ConfigState& config);
  // Whose data directory is another one than was known is refused: unhealthy.
  std::optional<api::Refusal> apply(const MemberPublish& publish);

  // Becomes what a snapshot brought, which is a change, too.
  void take_over(Membership&& other);

  // What is stored, if it changed since the last call.
  std::optional<std::string> take_write();
  std::string encode() const;
  // Errc::corrupt: not what encode() gave. Errc::refused: a version that is not known.
  Result<void> restore(std::string_view stored);

 private:
  void changed();

  std::map<std::uint64_t, Member> members_;
  std::set<std::uint64_t> removed_;
  raft::ConfigState config_;
  std::uint64_t version_ = 0;
  bool unsaved_ = false;
};

}  // namespace conclave::replica
