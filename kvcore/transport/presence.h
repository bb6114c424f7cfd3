#pragma once

#include <cstddef>

namespace conclave::transport {

// Decides whether a peer's process is gone, from what happens to its links and what a probe (one
// plain connection attempt) says.
//
// It is gone no sooner than its last incoming link has ended: until then there may be packets that
// it sent while it lived, and whoever has forgotten a dead leader must not hear it once more.
class Presence {
 public:
  enum class Next { nothing, probe, gone };

  // A link to the peer is established.
  void link_opened() {
    is_refused_ = false;
    opened_during_probe_ = true;
    closed_during_probe_ = false;
  }
  // One from it is; `open` counts these with it.
  void incoming_opened(std::size_t open) {
    incoming_ = open;
    link_opened();
  }

  // An established link to the peer closed.
  Next link_closed() {
    if (is_refused_) return Next::nothing;
    closed_during_probe_ = probing_;
    return probing_ ? Next::nothing : begin_probe();
  }
  // One from it did, and all that came through it was delivered; `left` are still open.
  Next incoming_closed(std::size_t left) {
    incoming_ = left;
    if (!is_refused_) return link_closed();
    return incoming_ == 0 ? Next::gone : Next::nothing;
  }

  // Next::probe: a link closed while the probe was on its way, which may have been too early.
  Next probe_ended(bool refused) {
    probing_ = false;
    if (refused && !opened_during_probe_) {
      is_refused_ = true;
      return incoming_ == 0 ? Next::gone : Next::nothing;
    }
    return closed_during_probe_ ? begin_probe() : Next::nothing;
  }

 private:
  Next begin_probe() {
    probing_ = true;
    opened_during_probe_ = closed_during_probe_ = false;
    return Next::probe;
  }

  std::size_t incoming_ = 0;
  bool probing_ = false;
  bool opened_during_probe_ = false;
  bool closed_during_probe_ = false;
  bool is_refused_ = false;  // by the last probe, since the last link opened
};

}  // namespace conclave::transport
