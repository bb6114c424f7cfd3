// What stops conclaved from starting: one clear line, and an exit status that is not 0.

#include <fstream>

#include <sys/stat.h>

#include "tests/server/conclaved_fixture.h"

namespace conclave::test {
namespace {

class RefusalsTest : public ConclavedTest {
 protected:
  // Expects a failed start; what it said, which must be one line.
  std::string refused(std::vector<std::string> arguments) {
    int status = 0;
    std::string text = run(std::move(arguments), &status);
    EXPECT_NE(status, 0) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    return text;
  }
  std::string refused_in(const std::filesystem::path& data_dir, std::uint16_t port) {
    const std::string url = "http://127.0.0.1:" + std::to_string(port);
    return refused({CONCLAVE_BIN_DIR "/conclaved", "--data-dir", data_dir.string(),
                    "--listen-client-urls", url, "--advertise-client-urls", url});
  }
};

TEST_F(RefusalsTest, ASecondServerOnTheSameDirectory) {
  start();
  const std::string text = refused_in(data_dir(), free_port());
  EXPECT_NE(text.find(data_dir().string()), std::string::npos) << text;
  EXPECT_TRUE(answers()) << "the first one was disturbed";
}

TEST_F(RefusalsTest, APortInUse) {
  start();
  const std::string text = refused_in(dir_.path() / "other", port_);
  EXPECT_NE(text.find(std::to_string(port_)), std::string::npos) << text;
  EXPECT_TRUE(answers());
}

TEST_F(RefusalsTest, AFileInTheWay) {
  const auto path = dir_.path() / "file";
  std::ofstream(path) << "not a directory";
  const std::string text = refused_in(path, free_port());
  EXPECT_NE(text.find(path.string()), std::string::npos) << text;
}

TEST_F(RefusalsTest, ADirectoryWhoseParentIsAFile) {
  const auto path = dir_.path() / "file";
  std::ofstream(path) << "not a directory";
  const std::string text = refused_in(path / "data", free_port());
  EXPECT_NE(text.find(path.string()), std::string::npos) << text;
}

TEST_F(RefusalsTest, MalformedFlagsNameTheFlag) {
  const std::string program = CONCLAVE_BIN_DIR "/conclaved";
  EXPECT_NE(refused({program, "--listen-client-urls", "127.0.0.1:1"}).find("listen-client-urls"),
            std::string::npos);
  EXPECT_NE(refused({program, "--election-timeout", "soon"}).find("election-timeout"),
            std::string::npos);
  EXPECT_NE(refused({program, "--no-such-flag"}).find("no-such-flag"), std::string::npos);
}

}  // namespace
}  // namespace conclave::test
