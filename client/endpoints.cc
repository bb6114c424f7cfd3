#include "conclave/client/endpoints.h"

#include <utility>

namespace conclave::client {

Result<std::unique_ptr<Endpoints>> Endpoints::open(ChannelFactory& factory,
                                                   const std::vector<std::string>& names) {
  if (names.empty()) return Error{Errc::invalid_argument, "no endpoint is given"};
  std::unique_ptr<Endpoints> endpoints(new Endpoints(factory));
  for (const std::string& name : names) {
    Result<Index> opened = endpoints->find_or_open(name);
    if (!opened) return std::move(opened).error();
  }
  endpoints->rotation_ = endpoints->entries_.size();
  return endpoints;
}

void Endpoints::failed(Index index) {
  if (index == current_) current_ = (current_ + 1) % rotation_;
}

void Endpoints::stalled(Index index) {
  failed(index);
  if (rotation_ == 1) return;
  for (const auto& listener : listeners_) listener(index);
}

Result<Endpoints::Index> Endpoints::find_or_open(const std::string& name) {
  for (Index index = 0; index < entries_.size(); ++index) {
    if (entries_[index].name == name) return index;
  }
  Result<std::unique_ptr<Channel>> channel = factory_->open(name);
  if (!channel) return std::move(channel).error();
  entries_.push_back({name, *std::move(channel)});
  return entries_.size() - 1;
}

}  // namespace conclave::client
