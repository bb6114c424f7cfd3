#include <algorithm>

#include "conclave/base/crc32c.h"
#include "conclave/mvcc/store.h"

namespace conclave::mvcc {
namespace {

// etcd's name for the table of records, which its hash begins with.
constexpr std::string_view kRecordsName = "key";

std::vector<Revision> versions_at(const KeyIndex& index, std::int64_t revision) {
  std::vector<Revision> versions;
  index.visit_all([&](std::string_view, const KeyIndex::Entry& entry) {
    if (const auto version = entry.at(revision)) versions.push_back(version->modified);
  });
  std::sort(versions.begin(), versions.end());
  return versions;
}

}  // namespace

api::Reply<etcdserverpb::HashKVResponse> Store::hash_kv(std::int64_t revision) const {
  if (revision > 0 && revision < compacted_) return api::Refusal::compacted;
  if (revision > current_) return api::Refusal::future_revision;
  if (revision <= 0) revision = current_;

  // Of the records at or below the compact revision only those count that a compaction at
  // `revision` would keep, whatever is physically removed. If it would keep none at all, etcd takes
  // what is still there.
  std::vector<Revision> kept = versions_at(index_, revision);
  if (kept.empty()) kept = versions_at(index_, compacted_);

  std::uint32_t hash = crc32c(kRecordsName);
  const auto add = [&](std::string_view key_bytes, std::string_view value) {
    const std::optional<RecordKey> key = parse_record_key(key_bytes);
    if (!key) {
      fail({Errc::corrupt, "the store holds a record whose key cannot be read"});
      return false;
    }
    if (key->revision.main > revision) return false;
    if (key->revision.main <= compacted_) {
      // Some releases of etcd remove a deletion at the compact revision, others keep it.
      if (key->deletion && key->revision.main == compacted_) return true;
      if (!std::binary_search(kept.begin(), kept.end(), key->revision)) return true;
    }
    hash = crc32c(value, crc32c(key_bytes, hash));
    return true;
  };
  const std::optional<std::int64_t> uncommitted = overlay_.first_main();
  const std::string end = uncommitted ? record_key({*uncommitted, 0}, false) : std::string();
  Result<void> scanned = storage_.scan(Table::records, {}, end, add);
  if (!scanned) return fail(scanned.error());
  if (!failure_) overlay_.visit(0, add);
  if (failure_) return api::Refusal::corrupt;

  etcdserverpb::HashKVResponse response;
  response.mutable_header()->set_revision(current_);
  response.set_hash(hash);
  response.set_compact_revision(compacted_);
  response.set_hash_revision(revision);
  return response;
}

}  // namespace conclave::mvcc
