#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include <google/protobuf/arena.h>
#include <google/protobuf/message.h>

namespace conclave::server {

// Tells when long responses are gone from memory: with the arena of their call, which lives until
// the last byte is sent or the call has failed.
//
// Thread-safe. After close() nothing is told any more, whatever arenas live on.
class HeldResponses {
 public:
  using Sent = std::function<void(std::uint64_t bytes)>;

  explicit HeldResponses(Sent sent) : shared_(std::make_shared<Shared>()) {
    shared_->sent = std::move(sent);
  }
  ~HeldResponses() { close(); }
  HeldResponses(const HeldResponses&) = delete;
  HeldResponses& operator=(const HeldResponses&) = delete;

  // False for a message without an arena: whoever owns that gets it as a whole, with the answer.
  bool watch(const google::protobuf::Message& response, std::uint64_t bytes) {
    google::protobuf::Arena* arena = response.GetArena();
    if (arena == nullptr) return false;
    arena->Own(new Token{shared_, bytes});
    return true;
  }

  void close() {
    const std::lock_guard guard(shared_->mutex);
    shared_->sent = nullptr;
  }

 private:
  struct Shared {
    std::mutex mutex;
    Sent sent;
  };
  struct Token {
    std::shared_ptr<Shared> shared;
    std::uint64_t bytes;

    ~Token() {
      const std::lock_guard guard(shared->mutex);
      if (shared->sent) shared->sent(bytes);
    }
  };

  std::shared_ptr<Shared> shared_;
};

}  // namespace conclave::server
