#pragma once

namespace conclave::transport {

// Decides whether a peer's process is gone, from what happens to its links and what a probe (one
// plain connection attempt) says.
class Presence {
 public:
  // A link to or from the peer is established.
  void link_opened() {
    told_gone_ = false;
    opened_during_probe_ = true;
    closed_during_probe_ = false;
  }

  // An established link closed. True: probe now.
  bool link_closed() {
    if (told_gone_) return false;
    closed_during_probe_ = probing_;
    if (probing_) return false;
    begin_probe();
    return true;
  }

  enum class Verdict {
    nothing,
    probe_again,  // a link closed while the probe was on its way, which may have been too early
    gone,
  };
  Verdict probe_ended(bool refused) {
    probing_ = false;
    if (refused && !opened_during_probe_) {
      told_gone_ = true;
      return Verdict::gone;
    }
    if (!closed_during_probe_) return Verdict::nothing;
    begin_probe();
    return Verdict::probe_again;
  }

 private:
  void begin_probe() {
    probing_ = true;
    opened_during_probe_ = closed_during_probe_ = false;
  }

  bool probing_ = false;
  bool opened_during_probe_ = false;
  bool closed_during_probe_ = false;
  bool told_gone_ = false;
};

}  // namespace conclave::transport
