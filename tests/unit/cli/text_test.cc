#include "conclave/cli/format/text.h"

#include <gtest/gtest.h>

#include "conclave/cli/verbs/queue_text.h"

namespace conclave::cli {
namespace {

using namespace std::chrono_literals;

TEST(Text, Base64) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("a"), "YQ==");
  EXPECT_EQ(base64("ab"), "YWI=");
  EXPECT_EQ(base64("abc"), "YWJj");
  EXPECT_EQ(base64("\xff\xfe\xfd\xfc"), "//79/A==");
}

TEST(Text, GoQuoted) {
  EXPECT_EQ(go_quoted("a\"\\\n\t\x01\x7f"), R"("a\"\\\n\t\x01\x7f")");
  EXPECT_EQ(go_quoted("h\xc3\xa9\xc3"), "\"h\xc3\xa9\\xc3\"");
}

TEST(Text, JsonQuoted) {
  EXPECT_EQ(json_quoted("a\"\\\n\x01<&>"), R"("a\"\\\n\u0001\u003c\u0026\u003e")");
  EXPECT_EQ(json_quoted("\xff"), "\"\\ufffd\"");
  EXPECT_EQ(json_quoted("\xe0\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\"");
}

TEST(Text, HumanSize) {
  EXPECT_EQ(human_size(9), "9 B");
  EXPECT_EQ(human_size(999), "999 B");
  EXPECT_EQ(human_size(1500), "1.5 kB");
  EXPECT_EQ(human_size(20480), "20 kB");
  EXPECT_EQ(human_size(24576), "25 kB");
  EXPECT_EQ(human_size(2'147'483'648), "2.1 GB");
}

TEST(Text, GoDuration) {
  EXPECT_EQ(go_duration(0ns), "0s");
  EXPECT_EQ(go_duration(17ns), "17ns");
  EXPECT_EQ(go_duration(1500ns), "1.5µs");
  EXPECT_EQ(go_duration(1679708ns), "1.679708ms");
  EXPECT_EQ(go_duration(2s), "2s");
}

TEST(QueueText, Ages) {
  EXPECT_EQ(age_text(59'999ms), "59 s");
  EXPECT_EQ(age_text(3min), "3 min");
  EXPECT_EQ(age_text(26h), "1 d");
  EXPECT_EQ(age_text(2h), "2 h");
}

Contender contender(int position, const char* label) {
  Contender one;
  one.position = position;
  one.key = "deploy/1f";
  one.fence = {.revision = 40 + position};
  one.lease = 0x1f;
  one.ours = true;
  one.info = HolderInfo{.label = label, .host = "web-3", .pid = 4711};
  one.age = 3min;
  return one;
}

TEST(QueueText, WaitingLine) {
  WaitStatus status;
  status.position = 2;
  status.holder = contender(1, "rollout");
  EXPECT_EQ(waiting_text("deploy", status),
            "waiting for deploy: held by web-3:4711 (rollout), 3 min; you are 2nd");
  status.position = 13;
  status.holder->info.reset();
  status.holder->age.reset();
  EXPECT_EQ(waiting_text("deploy", status), "waiting for deploy: held by lease 1f; you are 13th");
  status.holder.reset();
  status.position = 3;
  EXPECT_EQ(waiting_text("deploy", status), "waiting for deploy: you are 3rd");
}

TEST(QueueText, ALabelDoesNotSteerTheTerminal) {
  EXPECT_EQ(contender_text(contender(1, "\x1b[2Jx")), "web-3:4711 (?[2Jx)");
}

TEST(QueueText, ListForPeopleAndPrograms) {
  QueueState queue;
  EXPECT_EQ(queue_text("deploy", queue), "deploy: free\n");
  queue.revision = 50;
  queue.contenders = {contender(1, "rollout"), contender(2, "")};
  EXPECT_EQ(queue_text("deploy", queue),
            "deploy: held, 1 waiting\n"
            "  1st  holds    web-3:4711 (rollout)  3 min   fence 41  deploy/1f\n"
            "  2nd  waits    web-3:4711            3 min   fence 42  deploy/1f\n");
  EXPECT_EQ(queue_json("deploy", queue),
            R"({"name":"deploy","revision":50,"contenders":[{"position":1,"key":"deploy/1f",)"
            R"("fence":41,"lease":31,"host":"web-3","pid":4711,"label":"rollout",)"
            R"("age_ms":180000},{"position":2,"key":"deploy/1f","fence":42,"lease":31,)"
            R"("host":"web-3","pid":4711,"label":"","age_ms":180000}]})"
            "\n");
}

}  // namespace
}  // namespace conclave::cli
