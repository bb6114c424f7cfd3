#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/client/channel.h"

namespace conclave::client {

// The endpoints of a client and which of them is in use: sticky while it works, the next in the
// list when it fails. Single-threaded: the executor's tasks.
class Endpoints {
 public:
  using Index = std::size_t;

  // Errors: invalid_argument if the list is empty or one is malformed.
  static Result<std::unique_ptr<Endpoints>> open(ChannelFactory& factory,
                                                 const std::vector<std::string>& names);

  Index current() const { return current_; }
  // How many are in the rotation.
  std::size_t size() const { return rotation_; }
  Channel& channel(Index index) { return *entries_[index].channel; }
  const std::string& name(Index index) const { return entries_[index].name; }

  // Goes on to the next endpoint, unless somebody else has done so since `index` was chosen.
  void failed(Index index);
  // As failed(), when a request was taken and not answered: listeners with a stream there leave it
  // too, since a frozen process keeps its connections open.
  void stalled(Index index);
  void on_stalled(std::function<void(Index)> listener) {
    listeners_.push_back(std::move(listener));
  }

  // The index of this endpoint, which stays outside the rotation if it is not one of the client's.
  Result<Index> find_or_open(const std::string& name);

 private:
  struct Entry {
    std::string name;
    std::unique_ptr<Channel> channel;
  };

  explicit Endpoints(ChannelFactory& factory) : factory_(&factory) {}

  ChannelFactory* factory_;
  std::vector<Entry> entries_;
  std::vector<std::function<void(Index)>> listeners_;
  std::size_t rotation_ = 0;
  Index current_ = 0;
};

}  // namespace conclave::client
