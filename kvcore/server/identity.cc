#include "conclave/server/identity.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>
#include <utility>

#include "conclave/base/bytes.h"

namespace conclave::server {
namespace {

constexpr std::chrono::seconds kJoinPatience{30};

// FNV-1a, 64 bits: names are turned into ids once and the ids stored, so all it takes is that
// different names rarely meet.
std::uint64_t id_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : name) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return hash == 0 ? 1 : hash;
}

std::string joined(std::vector<std::string> urls) {
  std::ranges::sort(urls);
  std::string text;
  for (const std::string& url : urls) text += " " + url;
  return text;
}

std::uint64_t member_id_of(const NodeOptions& options, const std::vector<std::string>& peer_urls) {
  return id_of("member " + options.cluster_token + joined(peer_urls));
}

Identity identity_of_new(const NodeOptions& options) {
  std::vector<std::string> all;
  for (const auto& member : options.initial_cluster) {
    all.insert(all.end(), member.peer_urls.begin(), member.peer_urls.end());
  }
  if (all.empty()) all = options.peer_urls;
  Identity identity;
  identity.cluster_id = id_of("cluster " + options.cluster_token + joined(all));
  identity.member_id = member_id_of(options, options.peer_urls);
  return identity;
}

std::optional<std::uint64_t> find_member(const ClusterDescription& description,
                                         const std::vector<std::string>& peer_urls) {
  for (const replica::Member& member : description.membership.all()) {
    if (joined(member.peer_urls) == joined(peer_urls)) return member.id;
  }
  return std::nullopt;
}

Result<Identity> identity_from_others(const NodeOptions& options) {
  const Result<ClusterDescription> description = ask_others(options);
  if (!description) return description.error();
  if (const auto own = find_member(*description, options.peer_urls)) {
    return Identity{description->cluster_id, *own, 0, true};
  }
  return Error{Errc::refused, "the cluster knows no member with the peer URLs" +
                                  joined(options.peer_urls) +
                                  ": add it first, with conclave member add"};
}

}  // namespace

std::uint64_t drawn_from_system() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

Result<ClusterDescription> ask_others(const NodeOptions& options) {
  std::vector<std::string> others;
  for (const auto& member : options.initial_cluster) {
    if (member.name == options.name) continue;
    others.insert(others.end(), member.peer_urls.begin(), member.peer_urls.end());
  }
  if (others.empty()) {
    return Error{Errc::invalid_argument,
                 "this member is to get its data from the others: --initial-cluster has to say "
                 "where they are"};
  }
  // One that waits for its own data knows of no members, and one that is behind not yet of this
  // one: then another may.
  Result<ClusterDescription> best = Error{Errc::unavailable, "no description"};
  const auto is_enough = [&](const std::string& answer) {
    Result<ClusterDescription> told = decode_description(answer);
    const bool knows = told && find_member(*told, options.peer_urls).has_value();
    if (!best || knows || (told && best->membership.empty())) best = std::move(told);
    return knows;
  };
  const Result<void> asked =
      transport::fetch_description(others, options.peer_tls, kJoinPatience, is_enough);
  if (!asked) {
    return Error{asked.error().code, "none of the other members answers: " + asked.error().message};
  }
  if (best && best->membership.empty()) {
    return Error{Errc::unavailable,
                 "the other members that answer have no data themselves yet: start one that has"};
  }
  return best;
}

std::string encode(const Identity& identity) {
  std::string bytes;
  append_le(bytes, identity.cluster_id);
  append_le(bytes, identity.member_id);
  append_le(bytes, identity.data_incarnation);
  append_le<std::uint8_t>(bytes, identity.joined ? 1 : 0);
  return bytes;
}

Result<Identity> decode_identity(std::string_view bytes, const std::string& where) {
  ByteReader reader(bytes);
  const auto cluster_id = reader.le<std::uint64_t>();
  const auto member_id = reader.le<std::uint64_t>();
  if (!member_id || *member_id == 0) {
    return Error{Errc::corrupt, where + " does not say which member it belongs to"};
  }
  const auto incarnation = reader.le<std::uint64_t>();
  const auto joined = reader.le<std::uint8_t>();
  return Identity{*cluster_id, *member_id, incarnation.value_or(0), joined.value_or(0) != 0};
}

std::vector<replica::Member> initial_members(const NodeOptions& options) {
  std::vector<replica::Member> members;
  for (const auto& initial : options.initial_cluster) {
    replica::Member member;
    member.id = member_id_of(options, initial.peer_urls);
    member.name = initial.name;
    member.peer_urls = initial.peer_urls;
    members.push_back(std::move(member));
  }
  if (members.empty()) {
    replica::Member alone;
    alone.id = member_id_of(options, options.peer_urls);
    alone.name = options.name;
    alone.peer_urls = options.peer_urls;
    members.push_back(std::move(alone));
  }
  return members;
}

Result<Identity> settle_identity(const NodeOptions& options, const DataDirectory& directory) {
  const Result<std::optional<std::string>> known = directory.read_member();
  if (!known) return known.error();
  if (*known) return decode_identity(**known, directory.path() + "/member");
  // The log has it, too.
  std::error_code error;
  if (std::filesystem::exists(directory.log(), error)) return Identity{};
  Result<Identity> identity =
      options.joins ? identity_from_others(options) : Result<Identity>(identity_of_new(options));
  if (!identity) return identity;
  identity->data_incarnation = drawn_from_system();
  if (Result<void> written = directory.write_member(encode(*identity)); !written) {
    return written.error();
  }
  return identity;
}

}  // namespace conclave::server
