#pragma once

#include <optional>
#include <string>

#include "conclave/base/result.h"
#include "conclave/raft/log.h"

namespace conclave::server {

// The files of a member below its data directory, and the few changes of them that must survive a
// crash at any point:
//
//   log/           the Raft log
//   store/         the LMDB store
//   member         who this member is
//   incoming/      a store that is being made from a snapshot
//   replaced/      the store that the last snapshot replaced, until the log has followed
//   installing     while a snapshot takes the place of store and log: the log's new beginning
//   damaged        the log was found to lack what this member had acknowledged, and why
//   repairing      this member was damaged, and does not count until it has everything again
//   damaged-N/     what was damaged, put aside for whoever wants to look at it
//   removed        the cluster has let this member go
//
// Threads: none of its own; calls block for the disk. Errors: Errc::io with the path.
class DataDirectory {
 public:
  explicit DataDirectory(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string log() const { return path_ + "/log"; }
  std::string store() const { return path_ + "/store"; }
  std::string incoming() const { return path_ + "/incoming"; }

  // The bytes of `member`, if it is there. Errc::corrupt: they are damaged.
  Result<std::optional<std::string>> read_member() const;
  Result<void> write_member(const std::string& bytes) const;

  // With mode 0700; no error if it is there.
  Result<void> make() const;
  Result<void> clear_incoming() const;

  // incoming/ is complete and durable: makes it store/. The log still has to follow, to begin after
  // `position`; then end_installation().
  Result<void> install(raft::LogPosition position) const;
  Result<void> end_installation() const;
  // After a start: where the log has to begin if an installation was under way. store/ is the
  // snapshot's then.
  Result<std::optional<raft::LogPosition>> resume_installation() const;

  // What is found only while the member runs: the next start finds the reason here, and puts log
  // and store aside.
  Result<void> mark_damaged(const std::string& reason) const;
  Result<std::optional<std::string>> damage() const;

  // The cluster has let the member go: no start with this directory is one of a member any more.
  Result<void> mark_removed() const;
  Result<bool> is_removed() const;

  Result<bool> is_repairing() const;
  // Puts log and store aside, durably, as damaged-N; from now on is_repairing().
  Result<std::string> put_aside() const;
  Result<void> end_repair() const;

 private:
  std::string replaced() const { return path_ + "/replaced"; }
  std::string installing() const { return path_ + "/installing"; }
  std::string repairing() const { return path_ + "/repairing"; }
  std::string damaged() const { return path_ + "/damaged"; }
  std::string removed() const { return path_ + "/removed"; }
  std::string member() const { return path_ + "/member"; }
  Result<void> write_durably(const std::string& file, const std::string& bytes) const;
  Result<void> remove_durably(const std::string& file) const;
  Result<void> exchange_stores() const;

  const std::string path_;
};

}  // namespace conclave::server
