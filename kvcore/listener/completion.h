#pragma once

namespace conclave::listener {

// What gRPC reports the end of: an operation that was started with this as its tag. All that share
// a completion queue use such tags, so that whoever polls it need not know whose they are.
class Completion {
 public:
  virtual void complete(bool ok) = 0;

 protected:
  ~Completion() = default;
};

}  // namespace conclave::listener
