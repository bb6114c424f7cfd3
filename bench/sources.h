#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/random.h"
#include "conclave/bench/flood.h"

namespace conclave::bench {

inline constexpr std::size_t kKeyBytes = 8;

// Eight bytes: a letter that keeps workloads apart, and digits.
std::string key_of(char prefix, std::int64_t number);
std::int64_t number_of(std::string_view key);

enum class Order { random, ascending };

// Puts of keys out of `keys`. The request is encoded once, and only the key's digits are written
// anew for each call.
class PutSource : public CallSource {
 public:
  PutSource(char prefix, std::int64_t keys, std::int64_t value_bytes, Order order = Order::random);

  Call next(int client) override;
  bool accept(int client, std::string_view message) override;

  std::string_view framed_request() const { return request_; }

 private:
  std::int64_t keys_;
  Order order_;
  std::int64_t made_ = 0;
  Random random_{1};
  std::string request_;
};

// Ranges of random keys that exist, one key each.
class RangeSource : public CallSource {
 public:
  RangeSource(char prefix, std::int64_t keys, std::int64_t value_bytes, bool serializable);

  Call next(int client) override;
  bool accept(int client, std::string_view message) override;

 private:
  std::int64_t keys_;
  std::size_t answer_bytes_min_;
  Random random_{2};
  std::string request_;
};

// The first `count` keys of `prefix`, all in one answer.
class PrefixSource : public CallSource {
 public:
  PrefixSource(char prefix, std::int64_t count, std::int64_t value_bytes);

  Call next(int client) override;
  bool accept(int client, std::string_view message) override;

 private:
  std::size_t answer_bytes_min_;
  std::string request_;
};

// if mod_revision(key) is the last that any client saw: put; else: get. One client's success makes
// the others fail once, and learn.
class CompareAndSwapSource : public CallSource {
 public:
  CompareAndSwapSource(char prefix, std::int64_t keys, std::int64_t value_bytes, int clients);

  Call next(int client) override;
  bool accept(int client, std::string_view message) override;

  // Asks the store for the revisions of the keys, so that the first call of each can succeed.
  Result<void> learn(Rig& rig);
  std::int64_t succeeded() const { return succeeded_; }

 private:
  char prefix_;
  Random random_{3};
  std::vector<std::int64_t> last_revision_;  // by key
  std::vector<std::size_t> key_of_client_;
  etcdserverpb::TxnRequest request_;
  etcdserverpb::TxnResponse response_;
  std::string message_;
  std::string framed_;
  std::int64_t succeeded_ = 0;
};

// Fills the store fast: transactions of up to a hundred puts, every key once and in order.
class LoadSource : public CallSource {
 public:
  static constexpr std::int64_t kPutsPerTxn = 100;

  LoadSource(char prefix, std::int64_t keys, std::int64_t value_bytes)
      : prefix_(prefix), keys_(keys), value_(static_cast<std::size_t>(value_bytes), 'v') {}
  // Each key attached to the lease of its number, from `first_lease` up.
  void attach_leases(std::int64_t first_lease) { first_lease_ = first_lease; }
  std::int64_t calls() const { return (keys_ + kPutsPerTxn - 1) / kPutsPerTxn; }

  Call next(int client) override;
  bool accept(int client, std::string_view message) override;

 private:
  char prefix_;
  std::int64_t keys_;
  std::int64_t done_ = 0;
  std::int64_t first_lease_ = 0;
  std::string value_;
  std::string framed_;
};

// Puts `keys` keys and counts them.
Result<void> load(Rig& rig, char prefix, std::int64_t keys, std::int64_t first_lease = 0);

// Grants leases `first` to first+count-1, without keys.
Result<void> grant_leases(Rig& rig, std::int64_t first, std::int64_t count,
                          std::int64_t ttl_seconds);

}  // namespace conclave::bench
