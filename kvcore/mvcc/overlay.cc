#include "conclave/mvcc/overlay.h"

#include <algorithm>
#include <string>
#include <utility>

#include "conclave/base/check.h"

namespace conclave::mvcc {

Overlay::Overlay() {
  parts_.push_back({std::make_shared<Batch>(), {}});
}

void Overlay::add_record(Revision revision, bool deletion, std::string value) {
  Part& part = parts_.back();
  part.records.push_back({revision, part.batch->writes.size()});
  add_write({Table::records, record_key(revision, deletion), std::move(value)});
}

void Overlay::add_write(Write write) {
  const std::uint64_t size = write.key.size() + (write.value ? write.value->size() : 0);
  Batch& batch = *parts_.back().batch;
  batch.byte_count += size;
  uncommitted_bytes_ += size;
  batch.writes.push_back(std::move(write));
}

std::shared_ptr<const Batch> Overlay::take() {
  if (pending().writes.empty()) return nullptr;
  std::shared_ptr<const Batch> taken = parts_.back().batch;
  parts_.push_back({std::make_shared<Batch>(), {}});
  return taken;
}

void Overlay::committed() {
  CONCLAVE_CHECK(parts_.size() > 1, "no batch is on its way");
  uncommitted_bytes_ -= parts_.front().batch->byte_count;
  parts_.pop_front();
}

std::optional<std::string_view> Overlay::find(Revision revision) const {
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    if (part->records.empty() || revision < part->records.front().revision) continue;
    const auto it = std::lower_bound(
        part->records.begin(), part->records.end(), revision,
        [](const Record& record, const Revision& wanted) { return record.revision < wanted; });
    if (it == part->records.end() || it->revision != revision) return std::nullopt;
    return std::string_view(*part->batch->writes[it->position].value);
  }
  return std::nullopt;
}

std::optional<std::int64_t> Overlay::first_main() const {
  for (const Part& part : parts_) {
    if (!part.records.empty()) return part.records.front().revision.main;
  }
  return std::nullopt;
}

void Overlay::visit(std::int64_t from, const Visitor& visit) const {
  for (const Part& part : parts_) {
    auto it = std::lower_bound(
        part.records.begin(), part.records.end(), from,
        [](const Record& record, std::int64_t wanted) { return record.revision.main < wanted; });
    for (; it != part.records.end(); ++it) {
      const Write& write = part.batch->writes[it->position];
      if (!visit(write.key, *write.value)) return;
    }
  }
}

}  // namespace conclave::mvcc
