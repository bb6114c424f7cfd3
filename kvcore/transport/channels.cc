#include "conclave/transport/channels.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include <grpc/grpc.h>

#include "conclave/listener/tls_files.h"

namespace conclave::transport {
namespace {

// What a batch may have beyond its largest packet; see OutgoingLane.
constexpr std::uint64_t kMessageOverheadBytes = 2 * 1024 * 1024;
// What may be under way to a reader that has not asked for it, on each stream. A measured window
// would need pings beside the packets.
constexpr int kWindowBytes = 4 * 1024 * 1024;
constexpr int kFrameBytesMax = 256 * 1024;

int clamped(std::uint64_t value) {
  return static_cast<int>(
      std::min<std::uint64_t>(value, static_cast<std::uint64_t>(std::numeric_limits<int>::max())));
}

int millis(std::chrono::milliseconds duration) {
  return static_cast<int>(duration.count());
}

// What both ends of a connection agree upon.
std::vector<std::pair<std::string, int>> common_arguments(const Options& options) {
  return {
      {GRPC_ARG_KEEPALIVE_TIME_MS, millis(options.ping_interval)},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, millis(options.ping_timeout)},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      // Silent links are pinged for as long as they live, which gRPC would call a flood.
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
      {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0},
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 0},
      {GRPC_ARG_HTTP2_BDP_PROBE, 0},
      {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes},
      {GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrameBytesMax},
      // What nobody here looks at, and every message pays for.
      {GRPC_ARG_ENABLE_CHANNELZ, 0},
      {GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0},
      {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
       clamped(options.packet_bytes_max + kMessageOverheadBytes)},
      {GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1},
  };
}

}  // namespace

Result<ChannelMaker> ChannelMaker::create(const Options& options) {
  Result<listener::Pem> pem = listener::read_pem(options.tls);
  if (!pem) return std::move(pem).error();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = std::move(pem->trusted_ca);
  tls.pem_cert_chain = std::move(pem->certificate);
  tls.pem_private_key = std::move(pem->private_key);

  grpc::ChannelArguments arguments;
  for (const auto& [key, value] : common_arguments(options)) arguments.SetInt(key, value);
  // A lane neither shares a connection with another nor waits for what another has tried.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // The shortest time between two attempts is also the longest that one attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, millis(options.dial_timeout));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, millis(options.redial_pause_min));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, millis(options.redial_pause_max));
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
  // Nothing may be sent twice.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return ChannelMaker(grpc::SslCredentials(tls), std::move(arguments));
}

std::shared_ptr<grpc::Channel> ChannelMaker::connect(const Url& url) const {
  const bool is_ipv6 = url.host.find(':') != std::string::npos;
  const std::string target =
      "dns:///" + (is_ipv6 ? "%5B" + url.host + "%5D" : url.host) + ":" + std::to_string(url.port);
  return grpc::CreateCustomChannel(target, url.is_tls() ? tls_ : grpc::InsecureChannelCredentials(),
                                   arguments_);
}

void set_server_arguments(const Options& options, grpc::ServerBuilder& builder) {
  for (const auto& [key, value] : common_arguments(options)) builder.AddChannelArgument(key, value);
  // ServerBuilder has limits of its own, which come after the arguments.
  builder.SetMaxReceiveMessageSize(clamped(options.packet_bytes_max + kMessageOverheadBytes));
  builder.SetMaxSendMessageSize(-1);
}

}  // namespace conclave::transport
