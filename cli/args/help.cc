#include <algorithm>

#include "conclave/cli/args/parse.h"
#include "conclave/cli/exit_status.h"

namespace conclave::cli {
namespace {

constexpr Flag kGlobal[] = {
    {.name = "endpoints",
     .kind = FlagKind::text,
     .fallback = "127.0.0.1:2379",
     .help = "addresses of the store, with commas between"},
    {.name = "command-timeout",
     .kind = FlagKind::duration,
     .fallback = "5s",
     .help = "how long one request may take"},
    {.name = "dial-timeout",
     .kind = FlagKind::duration,
     .fallback = "2s",
     .help = "how long connecting to one address may take"},
    {.name = "write-out",
     .letter = 'w',
     .kind = FlagKind::text,
     .fallback = "simple",
     .help = "simple, json, fields, table or protobuf"},
    {.name = "hex", .help = "print keys and values in hexadecimal"},
    {.name = "cacert", .kind = FlagKind::text, .help = "PEM file: whom to trust"},
    {.name = "cert", .kind = FlagKind::text, .help = "PEM file: the client's certificate"},
    {.name = "key", .kind = FlagKind::text, .help = "PEM file: the client's key"},
    {.name = "user", .kind = FlagKind::text, .help = "NAME or NAME:PASSWORD"},
    {.name = "password", .kind = FlagKind::text, .help = "password of --user"},
};

std::string flag_lines(std::span<const Flag> flags) {
  constexpr std::size_t column = 30;
  std::string lines;
  for (const Flag& flag : flags) {
    std::string line = flag.letter == 0 ? "      --" : std::string("  -") + flag.letter + ", --";
    line += flag.name;
    switch (flag.kind) {
      case FlagKind::boolean:
        break;
      case FlagKind::text:
        line += " TEXT";
        break;
      case FlagKind::number:
        line += " N";
        break;
      case FlagKind::duration:
        line += " TIME";
        break;
    }
    line.resize(std::max(line.size() + 2, column), ' ');
    line += flag.help;
    if (!flag.fallback.empty()) line += " (" + std::string(flag.fallback) + ")";
    lines += line + "\n";
  }
  return lines;
}

std::string verb_lines(std::span<const Verb> verbs, std::string_view group) {
  std::string lines;
  for (const Verb& verb : verbs) {
    const bool wanted = group.empty() || verb.name.starts_with(std::string(group) + " ");
    if (!wanted) continue;
    std::string line = "  " + std::string(verb.name);
    line.resize(std::max<std::size_t>(line.size() + 2, 22), ' ');
    lines += line + std::string(verb.summary) + "\n";
  }
  return lines;
}

}  // namespace

std::span<const Flag> global_flags() {
  return kGlobal;
}

std::string help_text(std::span<const Verb> verbs) {
  std::string text =
      "conclave: locks, leader election and the keys of any etcd v3 store\n\n"
      "Usage: conclave COMMAND [ARGUMENTS] [FLAGS]\n\nCommands:\n";
  text += verb_lines(verbs, {});
  text += "\nFlags of every command (each also as CONCLAVE_<NAME>, as in CONCLAVE_ENDPOINTS):\n";
  text += flag_lines(global_flags());
  text += "\nExit status:\n" + exit_status_help(true);
  text +=
      "\nExamples:\n"
      "  conclave lock deploy -- ./deploy.sh\n"
      "  conclave --endpoints 10.0.0.1:2379,10.0.0.2:2379 get --prefix config/\n\n"
      "conclave COMMAND --help says more about one command; conclave --version names the "
      "version.\n";
  return text;
}

std::string help_text(std::span<const Verb> verbs, std::string_view group) {
  const std::string name(group);
  return "Usage: conclave " + name + " COMMAND [ARGUMENTS] [FLAGS]\n\nCommands:\n" +
         verb_lines(verbs, group) + "\nconclave " + name +
         " COMMAND --help says more about one command.\n";
}

std::string help_text(const Verb& verb) {
  std::string text =
      "conclave " + std::string(verb.name) + ": " + std::string(verb.summary) + "\n\n";
  text += "Usage: conclave " + std::string(verb.name);
  if (!verb.operands.empty()) text += " " + std::string(verb.operands);
  text += " [FLAGS]";
  if (verb.takes_command) text += " [-- COMMAND…]";
  text += "\n";
  if (!verb.details.empty()) text += "\n" + std::string(verb.details) + "\n";
  if (!verb.flags.empty()) text += "\nFlags:\n" + flag_lines(verb.flags);
  text += "\nFlags of every command (each also as CONCLAVE_<NAME>):\n" + flag_lines(global_flags());
  text += "\nExit status:\n" + exit_status_help(verb.holds_turn);
  text += "\nExample:\n" + std::string(verb.example) + "\n";
  return text;
}

}  // namespace conclave::cli
