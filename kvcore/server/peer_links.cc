#include "conclave/server/peer_links.h"

#include <utility>

#include "conclave/base/bytes.h"

namespace conclave::server {
namespace {

class SnapshotSource final : public transport::SnapshotSource {
 public:
  SnapshotSource(replica::SnapshotState state, std::shared_ptr<const mvcc::Storage> storage)
      : writer_(std::move(state), std::move(storage)) {}
  Result<std::optional<std::string>> next() override { return writer_.next(); }

 private:
  replica::SnapshotWriter writer_;
};

}  // namespace

// A snapshot on its way in, into a store of its own. What a process left behind that ended
// meanwhile is removed by the next one.
class PeerLinks::Arrival final : public transport::SnapshotSink {
 public:
  Arrival(PeerLinks& links, std::uint64_t data_incarnation)
      : links_(links), data_incarnation_(data_incarnation) {}
  // What has come of a snapshot that ends early takes room which the log may need.
  ~Arrival() override {
    if (handed_on_) return;
    reader_.reset();
    store_.reset();
    if (Result<void> cleared = links_.directory_.clear_incoming(); !cleared) {
      links_.core_.notice(cleared.error().message);
    }
    links_.arrival_over();
  }

  Result<void> write(std::string_view chunk) override {
    if (store_ == nullptr) {
      if (Result<void> cleared = links_.directory_.clear_incoming(); !cleared) return cleared;
      auto opened =
          lmdb::Store::open(links_.directory_.incoming(), {.quota_bytes = links_.quota_bytes_});
      if (!opened) return opened.error();
      store_ = *std::move(opened);
      reader_.emplace(store_.get());
    }
    return reader_->add(chunk);
  }

  Result<void> finish() override {
    if (!reader_) return Error{Errc::corrupt, "an empty snapshot"};
    if (Result<void> finished = reader_->finish(); !finished) return finished;
    auto arrived = std::make_shared<ArrivedSnapshot>();
    arrived->data_incarnation = data_incarnation_;
    arrived->head = *reader_->head();
    arrived->state = std::make_unique<replica::StateMachine>(*store_);
    if (Result<void> loaded = arrived->state->load(); !loaded) return loaded;
    arrived->store = std::move(store_);
    handed_on_ = links_.core_.arrived(std::move(arrived));
    if (!handed_on_) return Error{Errc::cancelled, "the member stops"};
    return {};
  }

 private:
  PeerLinks& links_;
  const std::uint64_t data_incarnation_;
  std::shared_ptr<lmdb::Store> store_;
  std::optional<replica::SnapshotReader> reader_;
  bool handed_on_ = false;
};

PeerLinks::PeerLinks(DataDirectory directory, std::uint64_t quota_bytes, Core core)
    : directory_(std::move(directory)), quota_bytes_(quota_bytes), core_(std::move(core)) {}

PeerLinks::~PeerLinks() {
  stop();
}

Result<void> PeerLinks::start(transport::Options options, const replica::Membership& others) {
  self_ = options.self;
  auto links = transport::Links::start(std::move(options), *this);
  if (!links) return links.error();
  links_ = *std::move(links);
  set_peers(others);
  return {};
}

void PeerLinks::stop() {
  if (links_ != nullptr) links_->stop();
}

void PeerLinks::follow(const replica::Replica& replica) {
  notice_leader(replica);
  const replica::Membership& membership = replica.state().membership();
  if (membership.version() == followed_) return;
  followed_ = membership.version();
  {
    const std::lock_guard guard(mutex_);
    membership_ = membership;
  }
  set_peers(membership);
}

void PeerLinks::set_peers(const replica::Membership& membership) {
  std::vector<transport::Peer> peers;
  for (const replica::Member& member : membership.all()) {
    if (member.id != self_.member) peers.push_back({member.id, member.peer_urls});
  }
  links_->set_peers(std::move(peers));
}

// What to look at first when a cluster stood still.
void PeerLinks::notice_leader(const replica::Replica& replica) {
  if (replica.raft().leader() == leader_) return;
  leader_ = replica.raft().leader();
  const std::string term = " in term " + std::to_string(replica.raft().term());
  if (leader_ == 0) {
    core_.notice("nobody leads" + term);
  } else {
    core_.notice((leader_ == self_.member ? "this member" : name_of(leader_)) + " leads" + term);
  }
}

std::string PeerLinks::name_of(transport::MemberId member) {
  const std::lock_guard guard(mutex_);
  const replica::Member* known = membership_.find(member);
  const std::string name = known == nullptr || known->name.empty() ? "" : " (" + known->name + ")";
  return "member " + hex(member) + name;
}

void PeerLinks::send(std::vector<replica::Output::PeerMessage> messages) {
  for (const replica::Output::PeerMessage& message : messages) {
    links_->send(
        message.to,
        replica::is_bulk(message.content) ? transport::Lane::bulk : transport::Lane::control,
        replica::encode(message.content));
  }
}

void PeerLinks::send_snapshot(replica::Output::Snapshot snapshot,
                              std::shared_ptr<const mvcc::Storage> storage) {
  const std::uint64_t number = snapshot.number;
  links_->send_snapshot(
      snapshot.to, std::make_unique<SnapshotSource>(std::move(snapshot.state), std::move(storage)),
      [this, number](const Result<void>& sent) {
        if (!sent) core_.notice("a snapshot could not be sent: " + sent.error().message);
        core_.post([number, done = sent.has_value()](replica::Replica& replica) {
          replica.snapshot_ended(number, done);
        });
      });
}

void PeerLinks::received(const transport::Identity& from, std::string packet) {
  auto content = replica::decode_peer_content(packet);
  if (!content) return;
  core_.post([from, content = std::make_shared<replica::PeerContent>(*std::move(content))](
                 replica::Replica& replica) {
    replica.receive(from.member, from.incarnation, std::move(*content), BootClock::now());
  });
}

void PeerLinks::unreachable(transport::MemberId peer) {
  core_.post([peer](replica::Replica& replica) { replica.peer_unreachable(peer); });
}

void PeerLinks::gone(transport::MemberId peer) {
  core_.notice("the process of " + name_of(peer) + " is gone");
  core_.post([peer](replica::Replica& replica) { replica.peer_gone(peer, BootClock::now()); });
}

void PeerLinks::not_reached(transport::MemberId peer, std::string reason) {
  core_.notice(name_of(peer) + " cannot be reached: " + reason);
}

void PeerLinks::refused(transport::MemberId peer, transport::LinkRefusal refusal) {
  std::string text = name_of(peer) + " refuses this one: " + refusal.reason;
  core_.notice(text);
  if (!refusal.is_final) return;
  core_.post(
      [peer, text = std::move(text)](replica::Replica& replica) { replica.dismiss(peer, text); });
}

void PeerLinks::accepted(transport::MemberId peer) {
  core_.notice(name_of(peer) + " accepts this one again");
  core_.post([peer](replica::Replica& replica) { replica.accept(peer); });
}

// Both last as long as the cluster lives: a member's number is not given again, and its data's
// incarnation is known once for all.
std::optional<transport::LinkRefusal> PeerLinks::refuse(const transport::Identity& from,
                                                        transport::MemberId) {
  const std::lock_guard guard(mutex_);
  const std::string name = "member " + hex(from.member);
  if (membership_.removed(from.member)) {
    return transport::LinkRefusal{name +
                                      " was removed from the cluster; one that is added anew "
                                      "begins with an empty data directory",
                                  /*is_final=*/true};
  }
  if (!membership_.accepts(from.member, from.incarnation)) {
    return transport::LinkRefusal{name + " has come back without its data: remove it (conclave " +
                                      "member remove " + hex(from.member) +
                                      "), and add it again with an empty data directory",
                                  /*is_final=*/true};
  }
  return std::nullopt;
}

std::unique_ptr<transport::SnapshotSink> PeerLinks::snapshot_begins(
    const transport::Identity& from) {
  if (arriving_.exchange(true)) return nullptr;
  return std::make_unique<Arrival>(*this, from.incarnation);
}

std::string PeerLinks::description() {
  const std::lock_guard guard(mutex_);
  return encode(ClusterDescription{self_.cluster_id, membership_});
}

std::string encode(const ClusterDescription& description) {
  std::string bytes;
  append_le(bytes, description.cluster_id);
  return bytes + description.membership.encode();
}

Result<ClusterDescription> decode_description(std::string_view bytes) {
  ByteReader reader(bytes);
  ClusterDescription description;
  const auto cluster_id = reader.le<std::uint64_t>();
  if (!cluster_id) return Error{Errc::corrupt, "a description of a cluster is cut short"};
  description.cluster_id = *cluster_id;
  if (Result<void> read = description.membership.restore(reader.rest()); !read) return read.error();
  return description;
}

}  // namespace conclave::server
