#include "conclave/replica/alarms.h"

#include <string>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/mvcc/validate.h"

namespace conclave::replica {
namespace {

using api::Refusal;
using etcdserverpb::AlarmMember;
using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using etcdserverpb::AlarmType;

// alarms = version *( type member by-quota )   ; 1, and 4, 8 and 1 bytes, little-endian
constexpr std::uint8_t kStoredVersion = 1;

bool is_raisable(int type) {
  return type == etcdserverpb::NOSPACE || type == etcdserverpb::CORRUPT;
}

bool adds_data(const Proposal& proposal) {
  return proposal.has_put() || proposal.has_lease_grant() ||
         (proposal.has_txn() && mvcc::has_put(proposal.txn()));
}

bool changes_data(const Proposal& proposal) {
  return adds_data(proposal) || proposal.has_txn() || proposal.has_delete_range() ||
         proposal.has_compact() || proposal.has_lease_revoke();
}

}  // namespace

void Alarms::show(const Key& key, AlarmResponse* response) {
  if (response == nullptr) return;
  AlarmMember& alarm = *response->add_alarms();
  alarm.set_alarm(static_cast<AlarmType>(key.first));
  alarm.set_memberid(key.second);
}

void Alarms::apply(const AlarmChange& change, AlarmResponse* response) {
  const AlarmRequest& request = change.request();
  const Key key{request.alarm(), request.memberid()};
  if (!is_raisable(key.first)) return;
  const auto found = alarms_.find(key);
  if (request.action() == AlarmRequest::ACTIVATE) {
    if (found == alarms_.end()) {
      alarms_.emplace(key, change.by_quota());
      changed_ = true;
    } else if (found->second && !change.by_quota()) {
      found->second = false;
      changed_ = true;
    }
    show(key, response);
  } else if (request.action() == AlarmRequest::DEACTIVATE && found != alarms_.end() &&
             (found->second || !change.by_quota())) {
    alarms_.erase(found);
    changed_ = true;
    show(key, response);
  }
}

void Alarms::forget(std::uint64_t member) {
  if (!raised_by_quota(member)) return;
  alarms_.erase({etcdserverpb::NOSPACE, member});
  changed_ = true;
}

void Alarms::forget_quotas() {
  if (std::erase_if(alarms_, [](const auto& alarm) { return alarm.second; }) > 0) changed_ = true;
}

bool Alarms::any(AlarmType type) const {
  const auto first = alarms_.lower_bound({type, 0});
  return first != alarms_.end() && first->first.first == type;
}

bool Alarms::raised_by_quota(std::uint64_t member) const {
  const auto found = alarms_.find({etcdserverpb::NOSPACE, member});
  return found != alarms_.end() && found->second;
}

void Alarms::list(AlarmType type, AlarmResponse& response) const {
  for (const auto& [key, by_quota] : alarms_) {
    if (type == etcdserverpb::NONE || key.first == type) show(key, &response);
  }
}

std::optional<Refusal> Alarms::refusal_of(const Proposal& proposal) const {
  if (none()) return std::nullopt;
  if (any(etcdserverpb::CORRUPT) && changes_data(proposal)) return Refusal::corrupt;
  if (any(etcdserverpb::NOSPACE) && adds_data(proposal)) return Refusal::no_space;
  return std::nullopt;
}

std::optional<std::string> Alarms::take_write() {
  if (!std::exchange(changed_, false)) return std::nullopt;
  return encode();
}

std::string Alarms::encode() const {
  std::string stored;
  append_le(stored, kStoredVersion);
  for (const auto& [key, by_quota] : alarms_) {
    append_le<std::int32_t>(stored, key.first);
    append_le<std::uint64_t>(stored, key.second);
    append_le<std::uint8_t>(stored, by_quota ? 1 : 0);
  }
  return stored;
}

Result<void> Alarms::restore(std::string_view stored) {
  ByteReader reader(stored);
  const auto version = reader.le<std::uint8_t>();
  if (!version) return Error{Errc::corrupt, "the stored alarms cannot be read"};
  if (*version != kStoredVersion) {
    return Error{Errc::refused, "the alarms are stored in version " + std::to_string(*version) +
                                    ", which this program does not know"};
  }
  while (!reader.rest().empty()) {
    const auto type = reader.le<std::int32_t>();
    const auto member = reader.le<std::uint64_t>();
    const auto by_quota = reader.le<std::uint8_t>();
    if (!by_quota || !is_raisable(*type)) {
      return Error{Errc::corrupt, "the stored alarms cannot be read"};
    }
    alarms_.emplace(Key{*type, *member}, *by_quota != 0);
  }
  return {};
}

std::string text_of(const AlarmMember& alarm) {
  std::string text;
  if (alarm.memberid() != 0) text += "memberID:" + std::to_string(alarm.memberid()) + " ";
  return text + "alarm:" + etcdserverpb::AlarmType_Name(alarm.alarm()) + " ";
}

}  // namespace conclave::replica
