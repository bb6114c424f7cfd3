#include "conclave/replica/membership.h"

#include <algorithm>
#include <utility>

#include "conclave/base/planted_bugs.h"
#include "conclave/replica/peer_message.h"

namespace conclave::replica {
namespace {

constexpr std::uint32_t kStoredVersion = 1;

std::vector<std::string> texts(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

}  // namespace

void show(const Member& member, etcdserverpb::Member& shown) {
  shown.set_id(member.id);
  shown.set_name(member.name);
  for (const std::string& url : member.peer_urls) shown.add_peerurls(url);
  for (const std::string& url : member.client_urls) shown.add_clienturls(url);
  shown.set_islearner(member.learner);
}

Membership::Membership(const std::vector<Member>& members) {
  for (const Member& member : members) {
    members_.emplace(member.id, member);
    (member.learner ? config_.learners : config_.voters).insert(member.id);
  }
  changed();
}

const Member* Membership::find(std::uint64_t id) const {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

std::vector<Member> Membership::all() const {
  std::vector<Member> all;
  all.reserve(members_.size());
  for (const auto& [id, member] : members_) all.push_back(member);
  return all;
}

bool Membership::has_peer_url(std::string_view url, std::uint64_t except) const {
  return std::ranges::any_of(members_, [&](const auto& item) {
    return item.first != except &&
           std::ranges::find(item.second.peer_urls, url) != item.second.peer_urls.end();
  });
}

bool Membership::accepts(std::uint64_t id, std::uint64_t data_incarnation) const {
  if (removed(id)) return false;
  const Member* member = find(id);
  return member == nullptr || member->data_incarnation == 0 ||
         CONCLAVE_PLANTED(wiped_member_heard) || member->data_incarnation == data_incarnation;
}

void Membership::apply(const MemberChange& change, const raft::ConfigState& config) {
  const etcdserverpb::Member& named = change.member();
  switch (change.kind()) {
    case MemberChange::ADD: {
      Member member;
      member.id = named.id();
      member.peer_urls = texts(named.peerurls());
      members_.insert_or_assign(member.id, std::move(member));
      break;
    }
    case MemberChange::REMOVE:
      if (members_.erase(named.id()) > 0) removed_.insert(named.id());
      break;
    case MemberChange::UPDATE:
      if (const auto found = members_.find(named.id()); found != members_.end()) {
        found->second.peer_urls = texts(named.peerurls());
      }
      break;
    default:  // a promotion is all in the configuration
      break;
  }
  set_config(config);
}

void Membership::set_config(const raft::ConfigState& config) {
  config_ = config;
  changed();
}

std::optional<api::Refusal> Membership::apply(const MemberPublish& publish) {
  const auto found = members_.find(publish.id());
  if (found == members_.end()) return api::Refusal::member_not_found;
  Member& member = found->second;
  if (member.data_incarnation != 0 && member.data_incarnation != publish.data_incarnation()) {
    return api::Refusal::unhealthy;
  }
  member.data_incarnation = publish.data_incarnation();
  member.name = publish.name();
  member.client_urls = texts(publish.client_urls());
  changed();
  return std::nullopt;
}

void Membership::changed() {
  for (auto& [id, member] : members_) member.learner = config_.is_learner(id);
  ++version_;
  unsaved_ = true;
}

void Membership::take_over(Membership&& other) {
  std::uint64_t version = std::max(version_, other.version_) + 1;
  if (CONCLAVE_PLANTED(snapshot_members_unnoticed)) version = other.version_;
  *this = std::move(other);
  version_ = version;
}

std::string Membership::encode() const {
  MembershipRecord record;
  record.set_version(kStoredVersion);
  replica::encode(config_, *record.mutable_config());
  for (const auto& [id, member] : members_) {
    MemberRecord& stored = *record.add_members();
    show(member, *stored.mutable_member());
    stored.set_data_incarnation(member.data_incarnation);
  }
  record.mutable_removed()->Add(removed_.begin(), removed_.end());
  return record.SerializeAsString();
}

std::optional<std::string> Membership::take_write() {
  if (!std::exchange(unsaved_, false)) return std::nullopt;
  return encode();
}

Result<void> Membership::restore(std::string_view stored) {
  MembershipRecord record;
  if (!record.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) {
    return Error{Errc::corrupt, "the stored membership cannot be read"};
  }
  if (record.version() != kStoredVersion) {
    return Error{Errc::refused, "the membership is stored in version " +
                                    std::to_string(record.version()) +
                                    ", which this program does not know"};
  }
  members_.clear();
  for (const MemberRecord& each : record.members()) {
    Member member;
    member.id = each.member().id();
    member.name = each.member().name();
    member.peer_urls = texts(each.member().peerurls());
    member.client_urls = texts(each.member().clienturls());
    member.data_incarnation = each.data_incarnation();
    members_.emplace(member.id, std::move(member));
  }
  removed_ = {record.removed().begin(), record.removed().end()};
  config_ = decode(record.config());
  changed();
  unsaved_ = false;
  return {};
}

}  // namespace conclave::replica
