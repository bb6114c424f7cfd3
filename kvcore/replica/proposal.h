#pragma once

#include <cstdint>
#include <string>

#include <google/protobuf/io/coded_stream.h>

#include "conclave/replica/proposal.pb.h"

namespace conclave::replica {

// Raised when a reader of the older version would carry out an entry wrongly.
inline constexpr std::uint32_t kProposalVersion = 1;

// False for bytes that are no proposal. To be used for every payload: protobuf's own readers refuse
// a message nested deeper than 100; a proposal holds a request of up to three times as many levels,
// one level deeper. An entry that was accepted must be readable for ever.
inline bool parse_proposal(const std::string& payload, Proposal& proposal) {
  constexpr int kNestingMax = 400;
  google::protobuf::io::CodedInputStream input(
      reinterpret_cast<const std::uint8_t*>(payload.data()), static_cast<int>(payload.size()));
  input.SetRecursionLimit(kNestingMax);
  return proposal.ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

}  // namespace conclave::replica
