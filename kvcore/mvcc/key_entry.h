#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "conclave/mvcc/revision.h"

namespace conclave::mvcc {

// What is known of a key at some revision without reading its value.
struct KeyVersion {
  Revision modified;
  std::int64_t create_revision = 0;
  std::int64_t version = 0;  // 0: deleted

  bool is_deletion() const { return version == 0; }
};

// A key and its versions: the newest, the lease of that one, and the older ones.
//
// One allocation of 40 bytes and the key. What most keys never have, a lease or older versions, is
// in a second one. An entry stays where it is as long as it lives, and its key() with it.
class KeyEntry {
 public:
  struct Destroy {
    void operator()(KeyEntry* entry) const;
  };
  using Owner = std::unique_ptr<KeyEntry, Destroy>;
  static Owner make(std::string_view key, const KeyVersion& version, std::int64_t lease);

  KeyEntry(const KeyEntry&) = delete;
  KeyEntry& operator=(const KeyEntry&) = delete;

  std::string_view key() const {
    return {reinterpret_cast<const char*>(this) + sizeof(KeyEntry), key_size_};
  }
  KeyVersion head() const { return {{main_, sub_}, create_revision_, version_}; }
  bool is_live() const { return version_ != 0; }
  std::int64_t lease() const { return extra_ ? extra_->lease : 0; }

  // The newest version of at most main revision `revision`; empty if there is none or it is a
  // deletion.
  std::optional<KeyVersion> at(std::int64_t revision) const;

  // The head becomes the newest of the older versions.
  void replace_head(const KeyVersion& version, std::int64_t lease);

  // The oldest version and the one after it, if there is more than the head.
  std::size_t older_count() const { return extra_ ? extra_->older.size() - extra_->forgotten : 0; }
  const KeyVersion& oldest() const { return extra_->older[extra_->forgotten]; }
  KeyVersion second_oldest() const {
    return older_count() > 1 ? extra_->older[extra_->forgotten + 1] : head();
  }
  void forget_oldest();

 private:
  struct Extra {
    std::int64_t lease = 0;
    std::vector<KeyVersion> older;  // oldest first, the first `forgotten` of them gone
    std::size_t forgotten = 0;
  };

  KeyEntry(std::uint32_t key_size, const KeyVersion& version, std::int64_t lease);
  ~KeyEntry() = default;
  void set_head(const KeyVersion& version);
  void set_lease(std::int64_t lease);
  void drop_unused_extra();

  std::int64_t main_ = 0;
  std::int64_t create_revision_ = 0;
  std::int64_t version_ = 0;
  std::unique_ptr<Extra> extra_;
  std::uint32_t sub_ = 0;
  std::uint32_t key_size_;  // the key's bytes follow
};

}  // namespace conclave::mvcc
