#include "conclave/cli/verbs/verb_table.h"

#include <string_view>
#include <utility>
#include <vector>

#include "conclave/cli/args/requests.h"

namespace conclave::cli {
namespace {

constexpr Flag kTxnFlags[] = {
    {.name = "interactive", .letter = 'i', .help = "say what is expected"}};
constexpr Flag kCompactionFlags[] = {
    {.name = "physical", .help = "return only when the space can be used again"}};
constexpr Flag kWatchFlags[] = {
    {.name = "prefix", .help = "all keys that begin with KEY"},
    {.name = "rev", .kind = FlagKind::number, .fallback = "0", .help = "from this revision on"},
    {.name = "prev-kv", .help = "also what was there before"},
    {.name = "progress-notify", .help = "ask the store for signs of life"},
};
constexpr Flag kTimeToLiveFlags[] = {{.name = "keys", .help = "also the keys that hang on it"}};
constexpr Flag kKeepAliveFlags[] = {{.name = "once", .help = "renew once and exit"}};
constexpr Flag kEndpointFlags[] = {
    {.name = "cluster", .help = "ask every member of the cluster, not only --endpoints"}};
constexpr Flag kHashFlags[] = {
    {.name = "cluster", .help = "ask every member of the cluster, not only --endpoints"},
    {.name = "rev",
     .kind = FlagKind::number,
     .help = "as of this revision (without it: the newest that all of them have)"}};
constexpr Flag kPeerUrlFlags[] = {
    {.name = "peer-urls",
     .kind = FlagKind::text,
     .help = "where the other members reach it, with commas between"}};
constexpr Flag kMemberAddFlags[] = {
    {.name = "peer-urls",
     .kind = FlagKind::text,
     .help = "where the other members reach it, with commas between"},
    {.name = "learner", .help = "without a vote, until conclave member promote"}};
constexpr Flag kLockFlags[] = {
    {.name = "ttl",
     .kind = FlagKind::duration,
     .fallback = "10",
     .help = "after so many seconds without a sign of life others go on, at most 8760h"},
    {.name = "timeout",
     .kind = FlagKind::duration,
     .help = "how long to wait for the lock; 0: not at all (without it: for ever)"},
    {.name = "label", .kind = FlagKind::text, .help = "what for; shown to those who wait"},
    {.name = "list", .help = "show holder and waiters instead"},
};
constexpr Flag kElectFlags[] = {
    {.name = "ttl",
     .kind = FlagKind::duration,
     .fallback = "10",
     .help = "after so many seconds without a sign of life others go on, at most 8760h"},
    {.name = "timeout",
     .kind = FlagKind::duration,
     .help = "how long to wait for the leadership; 0: not at all (without it: for ever)"},
    {.name = "listen", .letter = 'l', .help = "print each new leader instead"},
};

constexpr std::string_view kLockDetails =
    "Waits for the lock NAME, runs COMMAND while holding it, and releases it. Without COMMAND, "
    "prints\n"
    "the lock's key and holds it until interrupted.\n\n"
    "COMMAND and all its descendants are gone before another can hold the lock, also if conclave "
    "is\n"
    "killed or stopped: a guardian process ends them (SIGTERM, then SIGKILL) in time. Processes "
    "that\n"
    "COMMAND leaves behind are ended with it. COMMAND finds in its environment:\n"
    "  CONCLAVE_FENCE      a number that grows with every holder; hand it to what you write to\n"
    "  CONCLAVE_LOCK_NAME  NAME\n"
    "  ETCD_LOCK_KEY, ETCD_LOCK_REV  the lock's key and its revision, as from etcdctl";
constexpr std::string_view kElectDetails =
    "Campaigns under NAME with VALUE and, once elected, prints key and value and leads until\n"
    "interrupted, or runs COMMAND while leading (as conclave lock does, with CONCLAVE_FENCE,\n"
    "CONCLAVE_ELECTION_NAME, ETCD_LOCK_KEY and ETCD_LOCK_REV in its environment).";
constexpr std::string_view kTxnDetails =
    "Reads from standard input: compares, an empty line, operations if all of them hold, an empty\n"
    "line, operations if not, an empty line; any of the three may be none. Input that ends before\n"
    "that is refused. Compares: value|version|create|mod|lease(\"KEY\") =|!=|<|> \"VALUE\";\n"
    "operations: put, get and del, as on the command line.";

constexpr std::string_view kAlarmDetails =
    "NOSPACE: the store is as large as its quota; it takes reads, deletes and compactions, but no\n"
    "puts and no new leases. conclaved takes that alarm back by itself once a tenth of the quota "
    "is\n"
    "free; etcd does not. CORRUPT: a member found its data damaged; no writes at all.";

constexpr std::string_view kHashDetails =
    "Every address is asked at one revision: --rev or, without it, the newest that all of them\n"
    "have. Members that hold the same data hash equal; if two differ, a line on stderr says "
    "which,\n"
    "and the exit status is 1.";
constexpr std::string_view kHealthDetails =
    "Healthy is who answers a linearizable read, for which the cluster's quorum must stand behind\n"
    "it. If any address does not, the exit status is not 0.";
constexpr std::string_view kMemberAddDetails =
    "Announces a member before it is started; from then on it counts for the quorum, unless it is "
    "a\n"
    "learner. NAME is what it will be started with as --name. Prints the settings to start it "
    "with,\n"
    "as etcd's variables on standard output and as conclaved's flags on stderr.";
constexpr std::string_view kMemberRemoveDetails =
    "ID as conclave member list prints it. A removed member cannot come back: its data directory "
    "is\n"
    "of no more use, and a new member on the same machine is added anew.";
constexpr std::string_view kMoveLeaderDetails =
    "Asks the leader, which must be among the addresses, to hand over to the member ID. Writes "
    "are\n"
    "refused or wait for the moment that takes, some milliseconds.";
constexpr std::string_view kRestoreDetails =
    "Of files that a conclaved has given, not of etcd's. Run once for each member of the new\n"
    "cluster, with the same file and the flags that conclaved is then started with. Choose a new\n"
    "--initial-cluster-token: members of the old cluster that come back are strangers then. The\n"
    "keys, their revisions and the leases are those of the snapshot.";
constexpr Flag kRestoreFlags[] = {
    {"name", 0, FlagKind::text, "default", "of the member"},
    {"data-dir", 0, FlagKind::text, "", "to be made; NAME.conclave if not given"},
    {"initial-cluster", 0, FlagKind::text, "",
     "NAME=URL,... of all members; this one alone if not given"},
    {"initial-cluster-token", 0, FlagKind::text, "conclave-cluster",
     "makes the cluster's id its own"},
    {"initial-advertise-peer-urls", 0, FlagKind::text, "http://localhost:2380", "of this member"},
};

constexpr std::string_view kSnapshotDetails =
    "What one member has, in its server's own form. With one address, that member's, even if it "
    "has\n"
    "no quorum; of several, the first that has one, so that nothing acknowledged is missing. FILE\n"
    "appears when it is complete and on disk; until then it is FILE.part.";

struct Row {
  Verb verb;
  int (*run)(const Invocation&);
};

constexpr Row kRows[] = {
    {{.name = "txn",
      .summary = "several operations at once, under conditions",
      .details = kTxnDetails,
      .example =
          "  printf 'version(\"job\") = \"0\"\\n\\nput job mine\\n\\nget job\\n\\n' | conclave txn",
      .flags = kTxnFlags},
     run_txn},
    {{.name = "watch",
      .operands = "KEY [RANGE_END]",
      .operands_min = 1,
      .operands_max = 2,
      .takes_command = true,
      .summary = "print changes as they happen; resumes by itself",
      .details = "With COMMAND after --, runs it for every event, with ETCD_WATCH_EVENT_TYPE,\n"
                 "ETCD_WATCH_KEY, ETCD_WATCH_VALUE and ETCD_WATCH_REVISION in its environment.\n"
                 "COMMAND's exit status is ignored; one that cannot be run ends the watch with 1.",
      .example = "  conclave watch --prefix config/ --rev 1",
      .flags = kWatchFlags},
     run_watch},
    {{.name = "lease grant",
      .operands = "TTL",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "make a lease of TTL seconds",
      .example = "  conclave lease grant 60"},
     run_lease_grant},
    {{.name = "lease revoke",
      .operands = "LEASE",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "end a lease and delete its keys",
      .example = "  conclave lease revoke 6b93a1f9141d7112"},
     run_lease_revoke},
    {{.name = "lease timetolive",
      .operands = "LEASE",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "how long a lease has to live",
      .example = "  conclave lease timetolive 6b93a1f9141d7112 --keys",
      .flags = kTimeToLiveFlags},
     run_lease_timetolive},
    {{.name = "lease list", .summary = "all leases", .example = "  conclave lease list"},
     run_lease_list},
    {{.name = "lease keep-alive",
      .operands = "LEASE",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "renew a lease until interrupted",
      .example = "  conclave lease keep-alive 6b93a1f9141d7112",
      .flags = kKeepAliveFlags},
     run_lease_keep_alive},
    {{.name = "compaction",
      .operands = "REVISION",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "forget what was before a revision",
      .example = "  conclave compaction 1000",
      .flags = kCompactionFlags},
     run_compaction},
    {{.name = "endpoint status",
      .summary = "what each address says of itself",
      .example = "  conclave endpoint status -w table",
      .flags = kEndpointFlags},
     run_endpoint_status},
    {{.name = "endpoint health",
      .summary = "whether each address answers a read",
      .details = kHealthDetails,
      .example = "  conclave endpoint health --cluster",
      .flags = kEndpointFlags},
     run_endpoint_health},
    {{.name = "endpoint hashkv",
      .summary = "whether all addresses hold the same data",
      .details = kHashDetails,
      .example = "  conclave endpoint hashkv --cluster",
      .flags = kHashFlags},
     run_endpoint_hashkv},
    {{.name = "defrag",
      .summary = "make the store's file at each address smaller",
      .example = "  conclave defrag --cluster --command-timeout 60s",
      .flags = kEndpointFlags},
     run_defrag},
    {{.name = "member list",
      .summary = "the members of the cluster",
      .example = "  conclave member list -w table"},
     run_member_list},
    {{.name = "member add",
      .operands = "NAME --peer-urls URLS",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "let a new member join",
      .details = kMemberAddDetails,
      .example = "  conclave member add m4 --peer-urls http://10.0.0.4:2380 --learner",
      .flags = kMemberAddFlags},
     run_member_add},
    {{.name = "member remove",
      .operands = "ID",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "expel a member",
      .details = kMemberRemoveDetails,
      .example = "  conclave member remove 8211f1d0f64f3269"},
     run_member_remove},
    {{.name = "member update",
      .operands = "ID --peer-urls URLS",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "say where a member is now reached",
      .example = "  conclave member update 8211f1d0f64f3269 --peer-urls http://10.0.0.5:2380",
      .flags = kPeerUrlFlags},
     run_member_update},
    {{.name = "member promote",
      .operands = "ID",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "give a learner its vote",
      .details = "Refused until the learner has nearly caught up with the leader.",
      .example = "  conclave member promote 8211f1d0f64f3269"},
     run_member_promote},
    {{.name = "move-leader",
      .operands = "ID",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "hand the leadership to a member",
      .details = kMoveLeaderDetails,
      .example = "  conclave move-leader --cluster 8211f1d0f64f3269",
      .flags = kEndpointFlags},
     run_move_leader},
    {{.name = "snapshot save",
      .operands = "FILE",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "save the store to a file",
      .details = kSnapshotDetails,
      .example = "  conclave snapshot save backup-$(date +%F).db"},
     run_snapshot_save},
    {{.name = "snapshot status",
      .operands = "FILE",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "check a saved snapshot, and say what it holds",
      .example = "  conclave snapshot status backup.db"},
     run_snapshot_status},
    {{.name = "snapshot restore",
      .operands = "FILE",
      .operands_min = 1,
      .operands_max = 1,
      .summary = "make a member of a new cluster from a saved snapshot",
      .details = kRestoreDetails,
      .example = "  conclave snapshot restore backup.db --name a --data-dir /var/lib/conclave \\\n"
                 "    --initial-advertise-peer-urls http://10.0.0.1:2380 \\\n"
                 "    --initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380",
      .flags = kRestoreFlags},
     run_snapshot_restore},
    {{.name = "alarm list",
      .summary = "what keeps the store from taking writes",
      .details = kAlarmDetails,
      .example = "  conclave alarm list"},
     run_alarm_list},
    {{.name = "alarm disarm",
      .summary = "take all alarms back",
      .details = kAlarmDetails,
      .example = "  conclave compaction 1000 --physical && conclave alarm disarm"},
     run_alarm_disarm},
    {{.name = "lock",
      .operands = "NAME",
      .operands_min = 1,
      .operands_max = 1,
      .takes_command = true,
      .holds_turn = true,
      .summary = "hold a lock, and run a command meanwhile",
      .details = kLockDetails,
      .example = "  conclave lock deploy --label rollout -- ./deploy.sh",
      .flags = kLockFlags},
     run_lock},
    {{.name = "elect",
      .operands = "NAME [VALUE]",
      .operands_min = 1,
      .operands_max = 2,
      .takes_command = true,
      .holds_turn = true,
      .summary = "lead, or listen who leads",
      .details = kElectDetails,
      .example =
          "  conclave elect master 10.0.0.7:8080 -- ./serve\n  conclave elect --listen master",
      .flags = kElectFlags},
     run_elect},
    {{.name = "version", .summary = "the version of this program", .example = "  conclave version"},
     run_version},
};

}  // namespace

std::span<const Verb> all_verbs() {
  static const std::vector<Verb> verbs = [] {
    std::vector<Verb> all(kv_verbs().begin(), kv_verbs().end());
    for (const Row& row : kRows) all.push_back(row.verb);
    return all;
  }();
  return verbs;
}

int run_verb(const Invocation& invocation) {
  const std::string_view name = invocation.arguments.verb->name;
  if (name == "put") return run_put(invocation);
  if (name == "get") return run_get(invocation);
  if (name == "del") return run_del(invocation);
  for (const Row& row : kRows) {
    if (row.verb.name == name) return row.run(invocation);
  }
  CONCLAVE_CHECK(false, "a parsed verb is one of the table");
  return 1;
}

}  // namespace conclave::cli
