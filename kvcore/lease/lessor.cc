#include "conclave/lease/lessor.h"

#include <algorithm>

#include "conclave/base/bytes.h"
#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::lease {
namespace {

// lease-key    = id                              ; 8 bytes, big-endian
// lease-record = version granted-ttl-s expiry-ms ; 1, 8 and 8 bytes, little-endian
constexpr std::uint8_t kRecordVersion = 1;
constexpr std::int64_t kMsPerS = 1000;

std::string key_of(std::int64_t id) {
  std::string key;
  append_be(key, id);
  return key;
}

}  // namespace

api::Reply<Granted> Lessor::grant(std::int64_t id, std::int64_t ttl_s, std::int64_t now_ms) {
  CONCLAVE_CHECK(id != 0, "a lease id is drawn before the grant is proposed");
  if (ttl_s > kMaxTtlS) return api::Refusal::lease_ttl_too_large;
  const auto [it, is_new] = leases_.try_emplace(id);
  if (!is_new) return api::Refusal::lease_exists;
  Lease& lease = it->second;
  lease.granted_ttl_s = std::max(ttl_s, kMinTtlS);
  lease.expiry_ms = now_ms + lease.granted_ttl_s * kMsPerS;
  by_expiry_.emplace(lease.expiry_ms, id);
  changed_.insert(id);
  return Granted{id, lease.granted_ttl_s};
}

std::vector<Renewed> Lessor::renew(std::span<const std::int64_t> ids, std::int64_t now_ms) {
  std::vector<Renewed> renewed;
  renewed.reserve(ids.size());
  for (const std::int64_t id : ids) {
    const auto it = leases_.find(id);
    if (it == leases_.end()) {
      renewed.push_back({id, CONCLAVE_PLANTED(renews_ended_lease) ? 1 : 0});
      continue;
    }
    Lease& lease = it->second;
    const std::int64_t expiry_ms = now_ms + lease.granted_ttl_s * kMsPerS;
    if (expiry_ms != lease.expiry_ms) {
      auto place = by_expiry_.extract({lease.expiry_ms, id});
      place.value().first = lease.expiry_ms = expiry_ms;
      by_expiry_.insert(std::move(place));
      changed_.insert(id);
    }
    renewed.push_back({id, lease.granted_ttl_s});
  }
  return renewed;
}

Revoked Lessor::remove(std::unordered_map<std::int64_t, Lease>::iterator lease) {
  const std::int64_t id = lease->first;
  Revoked revoked{id, {}};
  auto& keys = lease->second.keys;
  revoked.keys.reserve(keys.size());
  while (!keys.empty()) revoked.keys.push_back(std::move(keys.extract(keys.begin()).value()));
  by_expiry_.erase({lease->second.expiry_ms, id});
  changed_.insert(id);
  leases_.erase(lease);
  return revoked;
}

api::Reply<Revoked> Lessor::revoke(std::int64_t id) {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return api::Refusal::lease_not_found;
  return remove(it);
}

std::vector<Revoked> Lessor::expire(std::span<const std::int64_t> ids, std::int64_t now_ms) {
  std::vector<Revoked> expired;
  for (const std::int64_t id : ids) {
    const auto it = leases_.find(id);
    if (it == leases_.end()) continue;
    if (it->second.expiry_ms <= now_ms || CONCLAVE_PLANTED(expiry_not_checked_again)) {
      expired.push_back(remove(it));
    }
  }
  return expired;
}

void Lessor::attach(std::int64_t id, std::string_view key) {
  const auto it = leases_.find(id);
  if (it != leases_.end()) it->second.keys.emplace(key);
}

void Lessor::detach(std::int64_t id, std::string_view key) {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return;
  const auto attached = it->second.keys.find(key);
  if (attached != it->second.keys.end()) it->second.keys.erase(attached);
}

std::optional<TimeToLive> Lessor::time_to_live(std::int64_t id, bool with_keys,
                                               std::int64_t now_ms) const {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return std::nullopt;
  const Lease& lease = it->second;
  TimeToLive answer;
  answer.granted_ttl_s = lease.granted_ttl_s;
  answer.remaining_s = std::max<std::int64_t>(0, lease.expiry_ms - now_ms) / kMsPerS;
  if (with_keys) answer.keys.assign(lease.keys.begin(), lease.keys.end());
  return answer;
}

std::vector<std::int64_t> Lessor::ids_by_expiry() const {
  std::vector<std::int64_t> ids;
  ids.reserve(by_expiry_.size());
  for (const auto& [expiry_ms, id] : by_expiry_) ids.push_back(id);
  return ids;
}

std::vector<std::int64_t> Lessor::due(std::int64_t now_ms, std::size_t max) const {
  std::vector<std::int64_t> ids;
  for (const auto& [expiry_ms, id] : by_expiry_) {
    if (expiry_ms > now_ms || ids.size() >= max) break;
    ids.push_back(id);
  }
  return ids;
}

std::optional<std::int64_t> Lessor::next_expiry_ms() const {
  if (by_expiry_.empty()) return std::nullopt;
  return by_expiry_.begin()->first;
}

std::string Lessor::record_of(const Lease& lease) {
  std::string value;
  append_le(value, kRecordVersion);
  append_le(value, lease.granted_ttl_s);
  append_le(value, lease.expiry_ms);
  return value;
}

std::vector<RecordWrite> Lessor::take_writes() {
  std::vector<RecordWrite> writes;
  writes.reserve(changed_.size());
  for (const std::int64_t id : changed_) {
    RecordWrite& write = writes.emplace_back(RecordWrite{key_of(id), std::nullopt});
    const auto it = leases_.find(id);
    if (it != leases_.end()) write.value = record_of(it->second);
  }
  changed_.clear();
  return writes;
}

std::vector<RecordWrite> Lessor::records() const {
  std::vector<RecordWrite> records;
  records.reserve(leases_.size());
  for (const auto& [id, lease] : leases_) records.push_back({key_of(id), record_of(lease)});
  std::ranges::sort(records, {}, &RecordWrite::key);
  return records;
}

Result<void> Lessor::restore(std::string_view key, std::string_view value) {
  ByteReader id_reader(key);
  ByteReader reader(value);
  const auto id = id_reader.be<std::int64_t>();
  const auto version = reader.le<std::uint8_t>();
  const auto granted_ttl_s = reader.le<std::int64_t>();
  const auto expiry_ms = reader.le<std::int64_t>();
  if (!id || *id == 0 || !id_reader.rest().empty() || !expiry_ms || !reader.rest().empty()) {
    return Error{Errc::corrupt, "a stored lease cannot be read"};
  }
  if (*version != kRecordVersion) {
    return Error{Errc::refused, "lease " + hex(static_cast<std::uint64_t>(*id)) +
                                    " is stored in an unknown form, version " +
                                    std::to_string(*version)};
  }
  const bool is_new = leases_.try_emplace(*id, Lease{*granted_ttl_s, *expiry_ms, {}}).second;
  CONCLAVE_CHECK(is_new, "leases are restored once, at start");
  by_expiry_.emplace(*expiry_ms, *id);
  return {};
}

}  // namespace conclave::lease
