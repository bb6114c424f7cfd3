#include "conclave/bench/sources.h"

#include <algorithm>

namespace conclave::bench {
namespace {

constexpr int kLoadClients = 16;
constexpr int kGrantClients = 200;

class GrantSource : public CallSource {
 public:
  GrantSource(std::int64_t first, std::int64_t ttl_seconds) : next_(first) {
    request_.set_ttl(ttl_seconds);
  }

  Call next(int) override {
    request_.set_id(next_++);
    framed_ = framed(request_);
    return {kGrantPath, framed_};
  }
  bool accept(int, std::string_view message) override { return !message.empty(); }

 private:
  std::int64_t next_;
  etcdserverpb::LeaseGrantRequest request_;
  std::string framed_;
};

// Where the key's digits lie in a request whose first field is the key: behind the frame's header,
// the field's tag, its length and the key's letter.
constexpr std::size_t kDigitsOffset = kFrameHeaderBytes + 3;

void write_digits(char* end, std::int64_t number) {
  for (std::size_t i = 1; i < kKeyBytes; ++i) {
    *--end = static_cast<char>('0' + number % 10);
    number /= 10;
  }
}

void write_key_number(std::string& framed_request, std::int64_t number) {
  write_digits(framed_request.data() + kDigitsOffset + kKeyBytes - 1, number);
}

}  // namespace

std::string key_of(char prefix, std::int64_t number) {
  std::string key(kKeyBytes, prefix);
  write_digits(key.data() + kKeyBytes, number);
  return key;
}

std::int64_t number_of(std::string_view key) {
  std::int64_t number = 0;
  for (const char digit : key.substr(1)) number = number * 10 + (digit - '0');
  return number;
}

PutSource::PutSource(char prefix, std::int64_t keys, std::int64_t value_bytes, Order order)
    : keys_(keys), order_(order) {
  etcdserverpb::PutRequest request;
  request.set_key(key_of(prefix, 0));
  request.set_value(std::string(static_cast<std::size_t>(value_bytes), 'v'));
  request_ = framed(request);
}

CallSource::Call PutSource::next(int) {
  const std::int64_t number =
      order_ == Order::ascending
          ? made_++ % keys_
          : static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(keys_)));
  write_key_number(request_, number);
  return {kPutPath, request_};
}

bool PutSource::accept(int, std::string_view message) {
  return !message.empty();
}

RangeSource::RangeSource(char prefix, std::int64_t keys, std::int64_t value_bytes,
                         bool serializable)
    : keys_(keys), answer_bytes_min_(static_cast<std::size_t>(value_bytes) + kKeyBytes) {
  etcdserverpb::RangeRequest request;
  request.set_key(key_of(prefix, 0));
  request.set_serializable(serializable);
  request_ = framed(request);
}

CallSource::Call RangeSource::next(int) {
  write_key_number(request_,
                   static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(keys_))));
  return {kRangePath, request_};
}

bool RangeSource::accept(int, std::string_view message) {
  return message.size() > answer_bytes_min_;
}

PrefixSource::PrefixSource(char prefix, std::int64_t count, std::int64_t value_bytes)
    : answer_bytes_min_(static_cast<std::size_t>(count) *
                        (static_cast<std::size_t>(value_bytes) + kKeyBytes)) {
  etcdserverpb::RangeRequest request;
  request.set_key(key_of(prefix, 0));
  request.set_range_end(key_of(prefix, count));
  request_ = framed(request);
}

CallSource::Call PrefixSource::next(int) {
  return {kRangePath, request_};
}

bool PrefixSource::accept(int, std::string_view message) {
  return message.size() > answer_bytes_min_;
}

CompareAndSwapSource::CompareAndSwapSource(char prefix, std::int64_t keys, std::int64_t value_bytes,
                                           int clients)
    : prefix_(prefix),
      last_revision_(static_cast<std::size_t>(keys), 0),
      key_of_client_(static_cast<std::size_t>(clients), 0) {
  etcdserverpb::Compare& compare = *request_.add_compare();
  compare.set_target(etcdserverpb::Compare::MOD);
  compare.set_result(etcdserverpb::Compare::EQUAL);
  request_.add_success()->mutable_request_put()->set_value(
      std::string(static_cast<std::size_t>(value_bytes), 'v'));
  request_.add_failure()->mutable_request_range();
}

Result<void> CompareAndSwapSource::learn(Rig& rig) {
  etcdserverpb::RangeRequest request;
  request.set_key(key_of(prefix_, 0));
  request.set_range_end(key_of(prefix_, static_cast<std::int64_t>(last_revision_.size())));
  request.set_keys_only(true);
  const auto reply = rig.call<etcdserverpb::RangeResponse>(kRangePath, request);
  if (!reply) return reply.error();
  if (static_cast<std::size_t>(reply->kvs_size()) != last_revision_.size()) {
    return failure("keys are missing before the transactions");
  }
  for (std::size_t i = 0; i < last_revision_.size(); ++i) {
    last_revision_[i] = reply->kvs(static_cast<int>(i)).mod_revision();
  }
  return {};
}

CallSource::Call CompareAndSwapSource::next(int client) {
  const std::size_t number = random_.below(last_revision_.size());
  key_of_client_[static_cast<std::size_t>(client)] = number;
  const std::string key = key_of(prefix_, static_cast<std::int64_t>(number));
  request_.mutable_compare(0)->set_key(key);
  request_.mutable_compare(0)->set_mod_revision(last_revision_[number]);
  request_.mutable_success(0)->mutable_request_put()->set_key(key);
  request_.mutable_failure(0)->mutable_request_range()->set_key(key);
  message_.clear();
  request_.AppendToString(&message_);
  framed_.clear();
  append_frame(framed_, message_);
  return {kTxnPath, framed_};
}

bool CompareAndSwapSource::accept(int client, std::string_view message) {
  if (!response_.ParseFromArray(message.data(), static_cast<int>(message.size())) ||
      response_.responses_size() != 1) {
    return false;
  }
  std::int64_t revision = response_.header().revision();
  if (response_.succeeded()) {
    ++succeeded_;
  } else {
    const etcdserverpb::RangeResponse& found = response_.responses(0).response_range();
    if (found.kvs_size() != 1) return false;
    revision = found.kvs(0).mod_revision();
  }
  std::int64_t& last = last_revision_[key_of_client_[static_cast<std::size_t>(client)]];
  last = std::max(last, revision);  // answers of two clients may cross
  return true;
}

CallSource::Call LoadSource::next(int) {
  etcdserverpb::TxnRequest request;
  const std::int64_t end = std::min(keys_, done_ + kPutsPerTxn);
  for (; done_ < end; ++done_) {
    etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(key_of(prefix_, done_));
    put.set_value(value_);
    if (first_lease_ != 0) put.set_lease(first_lease_ + done_);
  }
  framed_ = framed(request);
  return {kTxnPath, framed_};
}

bool LoadSource::accept(int, std::string_view message) {
  return !message.empty();
}

Result<void> load(Rig& rig, char prefix, std::int64_t keys, std::int64_t first_lease) {
  LoadSource source(prefix, keys, rig.parameter("value-bytes"));
  source.attach_leases(first_lease);
  const FloodPlan plan{.clients = kLoadClients, .connections = 4, .operations = source.calls()};
  const Result<FloodOutcome> loaded = run_flood(rig, source, plan);
  if (!loaded) return loaded.error();
  const Result<std::int64_t> found = rig.count(std::string(1, prefix));
  if (!found) return found.error();
  if (*found != keys) {
    return failure("loaded " + std::to_string(keys) + " keys, found " + std::to_string(*found));
  }
  return {};
}

Result<void> grant_leases(Rig& rig, std::int64_t first, std::int64_t count,
                          std::int64_t ttl_seconds) {
  GrantSource source(first, ttl_seconds);
  const auto granted =
      run_flood(rig, source, {.clients = kGrantClients, .connections = 10, .operations = count});
  if (!granted) return granted.error();
  return {};
}

}  // namespace conclave::bench
