#include "conclave/server/log.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include <grpc/support/log.h>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace conclave::server {
namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "info";
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// A JSON string in quotes; bytes that are no UTF-8 are replaced, so that the line stays JSON.
std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == '\x7f') {
      return true;
    }
  }
  return false;
}

std::string timestamp_now() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const std::time_t seconds = milliseconds / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     milliseconds % 1000);
}

std::atomic<Log*> grpc_log{nullptr};

void on_grpc_log(gpr_log_func_args* args) {
  if (Log* log = grpc_log.load(std::memory_order_acquire)) {
    log->debug("grpc",
               {{"severity", gpr_log_severity_string(args->severity)}, {"said", args->message}});
  }
}

}  // namespace

struct Log::Output {
  spdlog::logger logger;
  LogFormat format;
};

Log::Log(std::unique_ptr<Output> output) : output_(std::move(output)) {}
Log::~Log() {
  Log* self = this;
  grpc_log.compare_exchange_strong(self, nullptr);
}

Result<std::unique_ptr<Log>> Log::open(const LogOptions& options) {
  spdlog::sink_ptr sink;
  try {
    if (options.output == "stderr") {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else if (options.output == "stdout") {
      sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    } else {
      // The library would make the directories above the file, for which nobody asked.
      const auto parent = std::filesystem::absolute(options.output).parent_path();
      std::error_code refused;
      if (!std::filesystem::is_directory(parent, refused)) {
        return Error{Errc::io, "cannot log: " + parent.string() + " is not a directory"};
      }
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.output);
    }
  } catch (const std::exception& refused) {
    return Error{Errc::io, std::string("cannot log: ") + refused.what()};
  }
  auto output = std::make_unique<Output>(Output{spdlog::logger("conclaved", sink), options.format});
  output->logger.set_pattern("%v");
  output->logger.set_level(spdlog_level(options.level));
  output->logger.flush_on(spdlog::level::trace);
  output->logger.set_error_handler([](const std::string&) {});
  return std::unique_ptr<Log>(new Log(std::move(output)));
}

void Log::debug(std::string_view message, Fields fields) {
  write(LogLevel::debug, message, fields);
}
void Log::info(std::string_view message, Fields fields) {
  write(LogLevel::info, message, fields);
}
void Log::warn(std::string_view message, Fields fields) {
  write(LogLevel::warn, message, fields);
}
void Log::error(std::string_view message, Fields fields) {
  write(LogLevel::error, message, fields);
}

void Log::write(LogLevel level, std::string_view message, Fields fields) {
  if (!output_->logger.should_log(spdlog_level(level))) return;
  const std::string line =
      format_log_line(output_->format, timestamp_now(), level, message, fields);
  output_->logger.log(spdlog_level(level), std::string_view(line));
}

void take_grpc_log(Log* log) {
  grpc_log.store(log, std::memory_order_release);
  gpr_set_log_function(log != nullptr ? on_grpc_log : nullptr);
}

std::string format_log_line(LogFormat format, std::string_view timestamp, LogLevel level,
                            std::string_view message, Log::Fields fields) {
  if (format == LogFormat::json) {
    std::string line = R"({"level":)" + json_string(name_of(level)) + R"(,"ts":)" +
                       json_string(timestamp) + R"(,"msg":)" + json_string(message);
    for (const LogField& field : fields)
      line += "," + json_string(field.key) + ":" + json_string(field.value);
    return line + "}";
  }
  std::string line = fmt::format("{} {:<5} {}", timestamp, name_of(level), message);
  for (const LogField& field : fields) {
    line += fmt::format(" {}={}", field.key,
                        needs_quotes(field.value) ? json_string(field.value) : field.value);
  }
  return line;
}

}  // namespace conclave::server
