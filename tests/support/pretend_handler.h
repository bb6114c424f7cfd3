#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conclave/server/request_handler.h"

namespace conclave::test {

// A watch stream that notes what it is asked for.
class PretendWatch : public server::WatchStream {
 public:
  // What outlives the stream.
  struct Notes {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<etcdserverpb::WatchCreateRequest> created;
    std::vector<std::int64_t> cancelled;
    int progress_requests = 0;
    int acknowledged = 0;
    bool destroyed = false;

    template <class Condition>
    bool wait(Condition condition) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, std::chrono::seconds(30), condition);
    }
  };

  explicit PretendWatch(std::shared_ptr<Notes> notes) : notes_(std::move(notes)) {}
  ~PretendWatch() override {
    note([&] { notes_->destroyed = true; });
  }
  PretendWatch(const PretendWatch&) = delete;
  PretendWatch& operator=(const PretendWatch&) = delete;

  void create(etcdserverpb::WatchCreateRequest request) override {
    note([&] { notes_->created.push_back(std::move(request)); });
  }
  void cancel(std::int64_t watch_id) override {
    note([&] { notes_->cancelled.push_back(watch_id); });
  }
  void request_progress() override {
    note([&] { ++notes_->progress_requests; });
  }
  void acknowledge() override {
    note([&] { ++notes_->acknowledged; });
  }

 private:
  template <class Change>
  void note(Change change) {
    {
      const std::lock_guard lock(notes_->mutex);
      change();
    }
    notes_->changed.notify_all();
  }

  const std::shared_ptr<Notes> notes_;
};

// A request handler without a store behind it: notes each request, fills in what tells the replies
// apart (header.revision counts requests), and answers at once, with a refusal if one is set, or,
// after hold(), when told to. Thread-safe.
class PretendHandler : public server::RequestHandler {
 public:
  // Every request from now on is answered with this; nothing: success.
  void refuse_with(std::optional<api::Refusal> refusal) {
    const std::lock_guard lock(mutex_);
    refusal_ = refusal;
  }
  // Requests from now on wait for answer().
  void hold() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  bool wait_for_held(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return held_.size() >= count; });
  }
  std::size_t held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  // Answers the held request at `index`, on the calling thread.
  void answer(std::size_t index, std::optional<api::Refusal> refusal = std::nullopt) {
    Done done;
    {
      const std::lock_guard lock(mutex_);
      const auto chosen = held_.begin() + static_cast<std::ptrdiff_t>(index);
      done = std::move(*chosen);
      held_.erase(chosen);
    }
    done(refusal);
  }
  // The last request of a type as text, by the type's name.
  std::string last(const std::string& type) {
    const std::lock_guard lock(mutex_);
    return last_[type];
  }
  // The nth watch stream that was opened, once it is there.
  struct OpenedWatch {
    std::shared_ptr<server::WatchSink> sink;
    std::shared_ptr<PretendWatch::Notes> notes;
    bool wants_leader;
  };
  std::optional<OpenedWatch> wait_for_watch(std::size_t index = 0) {
    std::unique_lock lock(mutex_);
    const bool opened =
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return watches_.size() > index; });
    return opened ? std::optional(watches_[index]) : std::nullopt;
  }
  // Lets go of the sinks, as a node does with a stream that was destroyed.
  void forget_watches() {
    const std::lock_guard lock(mutex_);
    watches_.clear();
  }

  void range(const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse* response,
             Done done) override {
    auto* kv = response->add_kvs();
    kv->set_key(request.key());
    kv->set_value("value");
    response->set_count(1);
    take(request, response, std::move(done));
  }
  void put(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response,
           Done done) override {
    response->mutable_prev_kv()->set_key(request.key());
    take(request, response, std::move(done));
  }
  void delete_range(const etcdserverpb::DeleteRangeRequest& request,
                    etcdserverpb::DeleteRangeResponse* response, Done done) override {
    response->set_deleted(3);
    take(request, response, std::move(done));
  }
  void txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response,
           Done done) override {
    response->set_succeeded(true);
    take(request, response, std::move(done));
  }
  void compact(const etcdserverpb::CompactionRequest& request,
               etcdserverpb::CompactionResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void lease_grant(const etcdserverpb::LeaseGrantRequest& request,
                   etcdserverpb::LeaseGrantResponse* response, Done done) override {
    response->set_id(request.id());
    response->set_ttl(request.ttl());
    take(request, response, std::move(done));
  }
  void lease_revoke(const etcdserverpb::LeaseRevokeRequest& request,
                    etcdserverpb::LeaseRevokeResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void lease_keep_alive(const etcdserverpb::LeaseKeepAliveRequest& request,
                        etcdserverpb::LeaseKeepAliveResponse* response, Done done) override {
    response->set_id(request.id());
    response->set_ttl(10);
    take(request, response, std::move(done));
  }
  void lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request,
                          etcdserverpb::LeaseTimeToLiveResponse* response, Done done) override {
    response->set_id(request.id());
    response->set_grantedttl(60);
    take(request, response, std::move(done));
  }
  void lease_leases(const etcdserverpb::LeaseLeasesRequest& request,
                    etcdserverpb::LeaseLeasesResponse* response, Done done) override {
    response->add_leases()->set_id(7);
    take(request, response, std::move(done));
  }
  void status(const etcdserverpb::StatusRequest& request, etcdserverpb::StatusResponse* response,
              Done done) override {
    response->set_version("3.7.0");
    take(request, response, std::move(done));
  }
  void hash_kv(const etcdserverpb::HashKVRequest& request, etcdserverpb::HashKVResponse* response,
               Done done) override {
    response->set_hash(4711);
    response->set_hash_revision(request.revision());
    take(request, response, std::move(done));
  }
  void alarm(const etcdserverpb::AlarmRequest& request, etcdserverpb::AlarmResponse* response,
             Done done) override {
    response->add_alarms()->set_memberid(request.memberid());
    take(request, response, std::move(done));
  }
  void defragment(const etcdserverpb::DefragmentRequest& request,
                  etcdserverpb::DefragmentResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void member_add(const etcdserverpb::MemberAddRequest& request,
                  etcdserverpb::MemberAddResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void member_remove(const etcdserverpb::MemberRemoveRequest& request,
                     etcdserverpb::MemberRemoveResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void member_update(const etcdserverpb::MemberUpdateRequest& request,
                     etcdserverpb::MemberUpdateResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void member_promote(const etcdserverpb::MemberPromoteRequest& request,
                      etcdserverpb::MemberPromoteResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void move_leader(const etcdserverpb::MoveLeaderRequest& request,
                   etcdserverpb::MoveLeaderResponse* response, Done done) override {
    take(request, response, std::move(done));
  }
  void snapshot(std::function<void(std::shared_ptr<server::SnapshotPieces>)> opened) override {
    opened(nullptr);
  }
  void member_list(const etcdserverpb::MemberListRequest& request,
                   etcdserverpb::MemberListResponse* response, Done done) override {
    response->add_members()->set_name("pretend");
    take(request, response, std::move(done));
  }

  // Calls that want a leader find none from now on; streams that do are to end.
  void lose_leader() { has_leader_ = false; }
  bool has_leader() const override { return has_leader_; }
  bool is_cut_off() const override { return !has_leader_; }

  std::unique_ptr<server::WatchStream> open_watch(std::shared_ptr<server::WatchSink> sink,
                                                  bool wants_leader) override {
    auto notes = std::make_shared<PretendWatch::Notes>();
    {
      const std::lock_guard lock(mutex_);
      watches_.push_back({std::move(sink), notes, wants_leader});
    }
    changed_.notify_all();
    return std::make_unique<PretendWatch>(notes);
  }

 private:
  template <class Request, class Response>
  void take(const Request& request, Response* response, Done done) {
    std::optional<api::Refusal> refusal;
    {
      const std::lock_guard lock(mutex_);
      last_[request.GetTypeName()] = request.ShortDebugString();
      response->mutable_header()->set_revision(++requests_);
      refusal = refusal_;
      if (holding_) held_.push_back(std::exchange(done, nullptr));
    }
    changed_.notify_all();
    if (done) done(refusal);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<api::Refusal> refusal_;
  bool holding_ = false;
  std::deque<Done> held_;
  std::map<std::string, std::string> last_;
  std::int64_t requests_ = 0;
  std::atomic<bool> has_leader_{true};
  std::vector<OpenedWatch> watches_;
};

}  // namespace conclave::test
