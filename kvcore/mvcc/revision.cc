#include "conclave/mvcc/revision.h"

#include "conclave/base/bytes.h"

namespace conclave::mvcc {
namespace {

constexpr std::size_t kPutKeySize = 17;
constexpr std::size_t kDeletionKeySize = 18;

}  // namespace

std::string record_key(Revision revision, bool deletion) {
  std::string key;
  key.reserve(kDeletionKeySize);
  append_be(key, revision.main);
  key.push_back('_');
  append_be(key, revision.sub);
  if (deletion) key.push_back('t');
  return key;
}

std::optional<RecordKey> parse_record_key(std::string_view bytes) {
  const bool deletion = bytes.size() == kDeletionKeySize && bytes.back() == 't';
  if (!deletion && bytes.size() != kPutKeySize) return std::nullopt;
  if (bytes[8] != '_') return std::nullopt;
  ByteReader main(bytes.substr(0, 8));
  ByteReader sub(bytes.substr(9, 8));
  return RecordKey{{*main.be<std::int64_t>(), *sub.be<std::int64_t>()}, deletion};
}

}  // namespace conclave::mvcc
