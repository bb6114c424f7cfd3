#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "conclave/base/result.h"

namespace conclave::server {

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { console, json };

struct LogOptions {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::console;
  std::string output = "stderr";  // stderr, stdout or a file, which is appended to
};

struct LogField {
  std::string_view key;
  std::string value;
};

// A structured log: a message that stays the same from time to time, and what varies as fields.
//
//   log.info("serving", {{"client_url", "http://127.0.0.1:2379"}});
//   2026-01-31T09:05:07.123Z info  serving client_url=http://127.0.0.1:2379
//   {"level":"info","ts":"2026-01-31T09:05:07.123Z","msg":"serving","client_url":"http://…"}
//
// Thread-safe. A line is written before the call returns, so keep it off the way of a request.
// Errors of the output are dropped: a full disk must not stop a server for its log's sake.
class Log {
 public:
  using Fields = std::initializer_list<LogField>;

  // Errors: Errc::io if the file cannot be opened.
  static Result<std::unique_ptr<Log>> open(const LogOptions& options);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void debug(std::string_view message, Fields fields = {});
  void info(std::string_view message, Fields fields = {});
  void warn(std::string_view message, Fields fields = {});
  void error(std::string_view message, Fields fields = {});

 private:
  struct Output;
  explicit Log(std::unique_ptr<Output> output);
  void write(LogLevel level, std::string_view message, Fields fields);

  const std::unique_ptr<Output> output_;
};

// Sends what the gRPC library has to say to `log` as debug lines instead of to stderr. For the
// whole process; `log` must live until the process ends or this is called with nullptr.
void take_grpc_log(Log* log);

// One line, without its end: what Log writes. `timestamp` is taken as it is.
std::string format_log_line(LogFormat format, std::string_view timestamp, LogLevel level,
                            std::string_view message, Log::Fields fields);

}  // namespace conclave::server
