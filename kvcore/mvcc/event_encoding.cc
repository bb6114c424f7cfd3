#include "conclave/mvcc/event_encoding.h"

#include <optional>
#include <utility>

#include <google/protobuf/io/coded_stream.h>

#include "conclave/api/rpc.pb.h"

namespace conclave::mvcc {
namespace {

using google::protobuf::MessageLite;
using google::protobuf::io::CodedOutputStream;

// What a revision may take once more, encoded, for those who come next.
constexpr std::uint64_t kKeptBytesMax = 1 << 20;

constexpr std::uint32_t tag_of(int field) {
  constexpr std::uint32_t kLengthDelimited = 2;
  return static_cast<std::uint32_t>(field) << 3 | kLengthDelimited;
}

std::size_t size_of_field(int field, std::size_t length) {
  return CodedOutputStream::VarintSize32(tag_of(field)) + CodedOutputStream::VarintSize64(length) +
         length;
}

std::uint8_t* write_field_start(int field, std::size_t length, std::uint8_t* at) {
  at = CodedOutputStream::WriteTagToArray(tag_of(field), at);
  return CodedOutputStream::WriteVarint64ToArray(length, at);
}

void append_event(const mvccpb::Event& event, const mvccpb::KeyValue* previous,
                  EncodedEvents& encoded) {
  constexpr int kEvents = etcdserverpb::WatchResponse::kEventsFieldNumber;
  constexpr int kPrevious = mvccpb::Event::kPrevKvFieldNumber;
  const std::size_t previous_length = previous != nullptr ? previous->ByteSizeLong() : 0;
  const std::size_t previous_size =
      previous != nullptr ? size_of_field(kPrevious, previous_length) : 0;
  const std::size_t length = event.ByteSizeLong() + previous_size;
  const std::size_t begin = encoded.bytes.size();
  encoded.bytes.resize(begin + size_of_field(kEvents, length));
  auto* at = reinterpret_cast<std::uint8_t*>(encoded.bytes.data()) + begin;
  at = write_field_start(kEvents, length, at);
  at = event.SerializeWithCachedSizesToArray(at);
  if (previous != nullptr) {
    at = write_field_start(kPrevious, previous_length, at);
    previous->SerializeWithCachedSizesToArray(at);
  }
  encoded.ends.push_back(encoded.bytes.size());
}

void append_event(const RevisionEvents& events, std::size_t i, bool with_previous,
                  const Store& store, EncodedEvents& encoded) {
  const mvccpb::Event& event = events.events[i];
  // Also when the same revision has deleted the key just before, a creation has none.
  const bool creates = event.kv().create_revision() == event.kv().mod_revision();
  std::optional<mvccpb::KeyValue> previous;
  if (with_previous && !creates) previous = store.value_before(event.kv().key(), events.revision);
  append_event(event, previous ? &*previous : nullptr, encoded);
}

// Whether the revision takes about what the hub counts for it, with this copy too. Former values
// can be far longer than the events are.
bool may_keep(const RevisionEvents& events, const EncodedEvents& encoded) {
  constexpr std::size_t kBesides = 1024;
  return encoded.bytes.size() <= 2 * events.byte_count + kBesides;
}

// All events of the revision; null if they are too large to be encoded as a whole.
SharedEncoding encode_all(const RevisionEvents& events, bool with_previous, const Store& store) {
  SharedEncoding& kept = with_previous ? events.encoded_with_previous : events.encoded;
  if (kept || events.byte_count > kKeptBytesMax) return kept;
  auto encoded = std::make_shared<EncodedEvents>();
  for (std::size_t i = 0; i < events.events.size(); ++i) {
    append_event(events, i, with_previous, store, *encoded);
    if (encoded->bytes.size() > 2 * kKeptBytesMax) return nullptr;
  }
  if (may_keep(events, *encoded)) kept = encoded;
  return encoded;
}

}  // namespace

SharedEncoding encode_events(const WatchPiece& piece, const WatchSpec& spec, const Store& store,
                             std::uint64_t bytes_max) {
  const RevisionEvents& events = *piece.events;
  const bool whole = piece.selected.size() == events.events.size();
  SharedEncoding all = spec.prev_kv ? events.encoded_with_previous : events.encoded;
  // Of a part, former values are read only as far as they are wanted.
  if (!all && (whole || !spec.prev_kv)) all = encode_all(events, spec.prev_kv, store);
  if (all && whole) return all;
  auto selected = std::make_shared<EncodedEvents>();
  for (const std::uint32_t i : piece.selected) {
    if (all) {
      const std::size_t begin = i == 0 ? 0 : all->ends[i - 1];
      selected->bytes.append(all->bytes, begin, all->ends[i] - begin);
      selected->ends.push_back(selected->bytes.size());
    } else {
      append_event(events, i, spec.prev_kv, store, *selected);
    }
    if (selected->bytes.size() > bytes_max) break;
  }
  return selected;
}

}  // namespace conclave::mvcc
