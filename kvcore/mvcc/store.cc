#include "conclave/mvcc/store.h"

#include <algorithm>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/mvcc/walk.h"

namespace conclave::mvcc {
namespace {

// In Table::meta: the compact revision, 8 bytes, little-endian.
constexpr std::string_view kCompactRevisionKey = "compact_revision";

Error corrupt_record(std::string_view key) {
  std::string digits;
  for (const char byte : key) digits += hex(static_cast<unsigned char>(byte)) + " ";
  return {Errc::corrupt, "the store holds a record that cannot be read, under key " + digits};
}

std::shared_ptr<RevisionEvents> start_revision(std::int64_t revision) {
  auto events = std::make_shared<RevisionEvents>();
  events->revision = revision;
  return events;
}

}  // namespace

Store::Store(const Storage& storage) : storage_(&storage) {}

void Store::take_over(Store&& other) {
  storage_ = other.storage_;
  index_ = std::move(other.index_);
  overlay_ = std::move(other.overlay_);
  current_ = other.current_;
  compacted_ = other.compacted_;
  failure_ = other.failure_;
}

api::Refusal Store::fail(Error error) const {
  if (!failure_) failure_ = std::move(error);
  return api::Refusal::corrupt;
}

Result<void> Store::load() {
  CONCLAVE_CHECK(current_ == 1 && index_.size() == 0, "load() comes first, and once");
  Result<std::optional<std::string>> stored = storage_->get(Table::meta, kCompactRevisionKey);
  if (!stored) return stored.error();
  if (stored->has_value()) {
    const std::optional<std::int64_t> revision = ByteReader(**stored).le<std::int64_t>();
    if (!revision) return Error{Errc::corrupt, "the stored compact revision cannot be read"};
    if (!CONCLAVE_PLANTED(compaction_forgotten)) compacted_ = *revision;
  }
  std::optional<Error> problem;
  mvccpb::KeyValue record;
  Result<void> scanned = storage_->scan(
      Table::records, {}, {}, [&](std::string_view key_bytes, std::string_view value) {
        const std::optional<RecordKey> key = parse_record_key(key_bytes);
        if (!key || !record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
          problem = corrupt_record(key_bytes);
          return false;
        }
        KeyVersion version{key->revision, record.create_revision(), record.version()};
        if (key->deletion) version = {key->revision, 0, 0};
        index_.add(record.key(), version, record.lease());
        current_ = std::max(current_, key->revision.main);
        return true;
      });
  if (!scanned) return scanned.error();
  if (problem) return *problem;
  // The records of the last change are never removed: it is at or above every compact revision.
  if (current_ < compacted_) {
    return Error{Errc::corrupt,
                 "the store has no record of its last changes: it is compacted at revision " +
                     std::to_string(compacted_) + " but ends at " + std::to_string(current_)};
  }
  return {};
}

void Store::visit_attached(
    const std::function<void(std::int64_t lease_id, std::string_view key)>& visit) const {
  index_.visit_all([&](std::string_view key, const KeyIndex::Entry& entry) {
    if (entry.is_live() && entry.lease() != 0) visit(entry.lease(), key);
  });
}

bool Store::read_record(Revision revision, mvccpb::KeyValue& record) const {
  std::optional<std::string> stored;
  std::optional<std::string_view> bytes = overlay_.find(revision);
  if (!bytes) {
    Result<std::optional<std::string>> read =
        storage_->get(Table::records, record_key(revision, false));
    if (!read) {
      fail(read.error());
      return false;
    }
    stored = std::move(*read);
    bytes = stored;
  }
  if (!bytes || !record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
    fail(corrupt_record(record_key(revision, false)));
    return false;
  }
  return true;
}

std::optional<mvccpb::KeyValue> Store::value_before(std::string_view key,
                                                    std::int64_t revision) const {
  if (revision - 1 < compacted_) return std::nullopt;
  const std::int64_t before = revision - (CONCLAVE_PLANTED(previous_value_is_own) ? 0 : 1);
  const std::optional<KeyVersion> version = index_.find(key, before);
  mvccpb::KeyValue record;
  if (!version || !read_record(version->modified, record)) return std::nullopt;
  return record;
}

api::Reply<Store::EventPage> Store::events_from(std::int64_t from, std::size_t max_revisions,
                                                std::uint64_t max_bytes) const {
  if (from < compacted_) return api::Refusal::compacted;
  EventPage page;
  page.next = std::max(from, current_ + 1);
  std::shared_ptr<RevisionEvents> events;
  std::uint64_t byte_count = 0;
  bool full = false;
  const auto add = [&](std::string_view key_bytes, std::string_view value) {
    const std::optional<RecordKey> key = parse_record_key(key_bytes);
    if (key && (!events || events->revision != key->revision.main)) {
      full = page.revisions.size() >= max_revisions || byte_count >= max_bytes;
      if (full) {
        page.next = key->revision.main;
        return false;
      }
      events = start_revision(key->revision.main);
      page.revisions.push_back(events);
    }
    mvccpb::Event event;
    if (!key || !event.mutable_kv()->ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      fail(corrupt_record(key_bytes));
      return false;
    }
    if (key->deletion) {
      event.set_type(mvccpb::Event::DELETE);
      event.mutable_kv()->set_mod_revision(key->revision.main);
    }
    events->events.push_back(std::move(event));
    events->byte_count += value.size();
    byte_count += value.size();
    return true;
  };
  const std::optional<std::int64_t> uncommitted = overlay_.first_main();
  if (!uncommitted || from < *uncommitted) {
    const std::string end = uncommitted ? record_key({*uncommitted, 0}, false) : std::string();
    Result<void> scanned = storage_->scan(
        Table::records, record_key({std::max<std::int64_t>(from, 0), 0}, false), end, add);
    if (!scanned) return fail(scanned.error());
  }
  if (!full && !failure_ && !CONCLAVE_PLANTED(catch_up_reads_store_alone)) {
    overlay_.visit(from, add);
  }
  if (failure_) return api::Refusal::corrupt;
  return page;
}

api::Reply<etcdserverpb::RangeResponse> Store::range(
    const etcdserverpb::RangeRequest& request) const {
  etcdserverpb::RangeResponse response;
  RangeWalk walk(*this, request, response, current_, compacted_, response_bytes_max_);
  WalkBudget budget = WalkBudget::unlimited();
  const api::Reply<bool> done = walk.step(budget);
  if (!done) return done.error();
  return response;
}

api::Reply<etcdserverpb::TxnResponse> Store::read_txn(
    const etcdserverpb::TxnRequest& request) const {
  etcdserverpb::TxnResponse response;
  ReadWalk walk(*this, request, response);
  WalkBudget budget = WalkBudget::unlimited();
  const api::Reply<bool> done = walk.step(budget);
  if (!done) return done.error();
  return response;
}

api::Reply<etcdserverpb::HashKVResponse> Store::hash_kv(std::int64_t revision) const {
  etcdserverpb::HashKVResponse response;
  HashWalk walk(*this, revision, response);
  WalkBudget budget = WalkBudget::unlimited();
  const api::Reply<bool> done = walk.step(budget);
  if (!done) return done.error();
  return response;
}

api::Reply<etcdserverpb::CompactionResponse> Store::compact(
    const etcdserverpb::CompactionRequest& request) {
  if (request.revision() <= compacted_) return api::Refusal::compacted;
  if (request.revision() > current_) return api::Refusal::future_revision;
  compacted_ = request.revision();
  for (Write& write : writes_of(compacted_)) overlay_.add_write(std::move(write));
  etcdserverpb::CompactionResponse response;
  response.mutable_header()->set_revision(current_);
  return response;
}

std::vector<Write> Store::writes_of(std::int64_t compact_revision) {
  if (compact_revision < 0) return {};
  std::string value;
  append_le(value, compact_revision);
  return {{Table::meta, std::string(kCompactRevisionKey), std::move(value)}};
}

std::size_t Store::compaction_step(std::size_t max_work) {
  const std::vector<KeyIndex::Removed> removed = index_.remove_compacted(removable(), max_work);
  for (const KeyIndex::Removed& record : removed) {
    overlay_.add_write(
        {Table::records, record_key(record.revision, record.deletion), std::nullopt});
  }
  return removed.size();
}

void Store::add_write(Write write) {
  CONCLAVE_CHECK(write.table != Table::records, "the records are the store's own");
  overlay_.add_write(std::move(write));
}

std::shared_ptr<const Batch> Store::take_batch() {
  return failure_ ? nullptr : overlay_.take();
}

void Store::batch_committed() {
  overlay_.committed();
}

}  // namespace conclave::mvcc
