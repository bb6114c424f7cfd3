#include "conclave/server/log.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace conclave::server {
namespace {

TEST(LogLine, OnTheConsoleQuotesWhatNeedsIt) {
  EXPECT_EQ(format_log_line(LogFormat::console, "T", LogLevel::info, "serving",
                            {{"client_url", "http://a:1"}, {"why", "two words"}, {"none", ""}}),
            "T info  serving client_url=http://a:1 why=\"two words\" none=\"\"");
  EXPECT_EQ(format_log_line(LogFormat::console, "T", LogLevel::error, "bad",
                            {{"text", "a\nb"}, {"pair", "k=v"}, {"quote", "\""}}),
            "T error bad text=\"a\\nb\" pair=\"k=v\" quote=\"\\\"\"");
}

TEST(LogLine, AsJsonStaysJsonWhateverTheBytes) {
  EXPECT_EQ(format_log_line(LogFormat::json, "T", LogLevel::warn, "odd",
                            {{"text", "a\"\n"}, {"bytes", "\xff"}}),
            "{\"level\":\"warn\",\"ts\":\"T\",\"msg\":\"odd\",\"text\":\"a\\\"\\n\",\"bytes\":"
            "\"\xef\xbf\xbd\"}");
}

TEST(Log, MakesNoDirectory) {
  const std::string directory =
      ::testing::TempDir() + "conclave_no_directory_" + std::to_string(getpid());
  const auto log = Log::open({LogLevel::info, LogFormat::console, directory + "/log"});
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().message, "cannot log: " + directory + " is not a directory");
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST(Log, WritesWhatItsLevelAllows) {
  const std::string path = ::testing::TempDir() + "conclave_log_" + std::to_string(getpid());
  {
    const auto log = Log::open({LogLevel::warn, LogFormat::console, path});
    ASSERT_TRUE(log);
    (*log)->debug("one");
    (*log)->info("two");
    (*log)->warn("three");
    (*log)->error("four {}");
  }
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  EXPECT_EQ(content.str().find("two"), std::string::npos);
  EXPECT_NE(content.str().find("Z warn  three\n"), std::string::npos) << content.str();
  EXPECT_NE(content.str().find("Z error four {}\n"), std::string::npos) << content.str();
  std::filesystem::remove(path);
}

TEST(Log, SaysThatAFileCannotBeOpened) {
  const auto log = Log::open({LogLevel::info, LogFormat::console, "/proc/nonexistent/log"});
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::io);
  EXPECT_NE(log.error().message.find("/proc/nonexistent"), std::string::npos);
}

}  // namespace
}  // namespace conclave::server
