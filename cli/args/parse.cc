#include "conclave/cli/args/parse.h"

#include <algorithm>
#include <cctype>
#include <exception>
#include <utility>

#include <boost/program_options.hpp>

namespace conclave::cli {
namespace {

namespace options = boost::program_options;

// The library wants a name for what is not a flag; nobody can mean this one.
constexpr const char* kOperand = " operand";

constexpr Flag kHelp{.name = "help", .letter = 'h', .help = "print this and exit"};

std::string variable_of(std::string_view flag) {
  std::string name = "CONCLAVE_";
  for (const char letter : flag) {
    name +=
        letter == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  return name;
}

std::string quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

// What is wrong with the value, or nothing. A boolean may be spelled as Go's flags allow.
std::optional<std::string> complaint(const Flag& flag, const std::string& text) {
  switch (flag.kind) {
    case FlagKind::boolean:
      if (text == "true" || text == "false" || text == "1" || text == "0") return std::nullopt;
      return "takes true or false, not " + quoted(text);
    case FlagKind::text:
      return std::nullopt;
    case FlagKind::number:
      if (parse_number(text)) return std::nullopt;
      return "takes a whole number, not " + quoted(text);
    case FlagKind::duration:
      if (parse_duration(text)) return std::nullopt;
      return "takes a time as 5s or 500ms, not " + quoted(text);
  }
  return std::nullopt;
}

bool is_flag(const std::string& word) {
  return word.size() > 1 && word[0] == '-';
}

// Whether `word` is the flag, without a value.
bool names(const std::string& word, const Flag& flag) {
  return word == "--" + std::string(flag.name) ||
         (flag.letter != 0 && word == std::string{'-', flag.letter});
}

// Whether the flag in `word` takes the next word as its value.
bool swallows_next(const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  for (const Flag& flag : global_flags()) {
    if (names(word, flag)) return flag.kind != FlagKind::boolean;
  }
  return false;
}

// The index of the first word from `from` on that is neither a flag nor a global flag's value.
std::size_t next_plain_word(std::span<const std::string> words, std::size_t from) {
  std::size_t index = from;
  while (index < words.size() && is_flag(words[index]))
    index += swallows_next(words[index]) ? 2 : 1;
  return std::min(index, words.size());
}

}  // namespace

class Parser {
 public:
  Parser(std::span<const std::string> words, std::span<const Verb> verbs,
         const Environment& environment)
      : words_(words.begin(), words.end()), verbs_(verbs), environment_(environment) {}

  Result<Arguments> parse() {
    split_command();
    if (auto found = find_verb(); !found) return found.error();
    collect_flags();
    if (auto read = read_words(); !read) return read.error();
    if (arguments_.help) return std::move(arguments_);
    if (auto read = read_environment(); !read) return read.error();
    if (auto checked = check_operands(); !checked) return checked.error();
    return std::move(arguments_);
  }

 private:
  Error wrong(const std::string& what) const {
    const std::string verb =
        arguments_.verb == nullptr ? "" : " " + std::string(arguments_.verb->name);
    return {Errc::invalid_argument, what + "; see conclave" + verb + " --help"};
  }

  void split_command() {
    const auto dashes = std::find(words_.begin(), words_.end(), "--");
    if (dashes == words_.end()) return;
    after_dashes_.assign(dashes + 1, words_.end());
    has_dashes_ = true;
    words_.erase(dashes, words_.end());
  }

  Result<void> find_verb() {
    const std::size_t first = next_plain_word(words_, 0);
    if (first == words_.size()) {
      find_version();
      return {};
    }
    const std::size_t second = next_plain_word(words_, first + 1);
    bool group = false;
    for (const Verb& verb : verbs_) {
      const std::size_t space = verb.name.find(' ');
      if (verb.name.substr(0, space) != words_[first]) continue;
      if (space == std::string_view::npos) {
        arguments_.verb = &verb;
        words_.erase(words_.begin() + static_cast<std::ptrdiff_t>(first));
        return {};
      }
      group = true;
      if (second >= words_.size() || verb.name.substr(space + 1) != words_[second]) continue;
      arguments_.verb = &verb;
      words_.erase(words_.begin() + static_cast<std::ptrdiff_t>(second));
      words_.erase(words_.begin() + static_cast<std::ptrdiff_t>(first));
      return {};
    }
    if (!group) return unknown_command(first);
    std::string known;
    for (const Verb& verb : verbs_) {
      if (!verb.name.starts_with(words_[first] + " ")) continue;
      known +=
          (known.empty() ? "" : ", ") + std::string(verb.name.substr(words_[first].size() + 1));
    }
    const bool asks_help = std::any_of(words_.begin(), words_.end(), [](const std::string& word) {
      return word == "--help" || word == "-h";
    });
    if (asks_help) {
      arguments_.group = words_[first];
      words_ = {"--help"};
      return {};
    }
    const std::string found = second < words_.size() ? quoted(words_[second]) : "nothing";
    return wrong("conclave " + words_[first] + " takes one of " + known + ", not " + found);
  }

  // A flag before it that there is not may have left its value where the command should stand.
  Error unknown_command(std::size_t at) const {
    for (std::size_t i = 0; i < at; ++i) {
      // Without its value, which may follow a letter at once.
      const std::string name = words_[i].starts_with("--")
                                   ? words_[i].substr(0, words_[i].find('='))
                                   : words_[i].substr(0, 2);
      const auto is_meant = [&](const Flag& flag) { return names(name, flag); };
      const auto takes_it = [&](const Verb& verb) {
        return std::ranges::any_of(verb.flags, is_meant);
      };
      const bool is_known = name == "--version" || is_meant(kHelp) ||
                            std::ranges::any_of(global_flags(), is_meant) ||
                            std::ranges::any_of(verbs_, takes_it);
      if (is_flag(name) && !is_known) return wrong("unknown flag " + name);
      if (swallows_next(words_[i])) ++i;
    }
    return wrong("unknown command " + quoted(words_[at]));
  }

  // `conclave --version` is the verb of that name.
  void find_version() {
    const auto word = std::find(words_.begin(), words_.end(), "--version");
    const auto verb = std::ranges::find(verbs_, "version", &Verb::name);
    if (word == words_.end() || verb == verbs_.end()) return;
    words_.erase(word);
    arguments_.verb = &*verb;
  }

  void collect_flags() {
    flags_.push_back(kHelp);
    for (const Flag& flag : global_flags()) flags_.push_back(flag);
    if (arguments_.verb != nullptr) {
      for (const Flag& flag : arguments_.verb->flags) flags_.push_back(flag);
    }
    for (const Flag& flag : flags_) {
      arguments_.values_[std::string(flag.name)] = {.text = std::string(flag.fallback)};
    }
  }

  const Flag& flag_of(std::string_view name) const {
    const auto found = std::find_if(flags_.begin(), flags_.end(),
                                    [&](const Flag& flag) { return flag.name == name; });
    CONCLAVE_CHECK(found != flags_.end(), "a parsed option is one of those described");
    return *found;
  }

  // The library would take the word after a boolean flag for its value: "--prefix a".
  void complete_booleans() {
    for (std::string& word : words_) {
      for (const Flag& flag : flags_) {
        if (flag.kind != FlagKind::boolean) continue;
        if (names(word, flag)) word = "--" + std::string(flag.name) + "=true";
      }
    }
  }

  Result<void> read_words() {
    complete_booleans();
    options::options_description description;
    for (const Flag& flag : flags_) {
      std::string names(flag.name);
      if (flag.letter != 0) names += std::string{',', flag.letter};
      description.add_options()(names.c_str(), options::value<std::string>());
    }
    description.add_options()(kOperand, options::value<std::string>());
    options::positional_options_description operands;
    operands.add(kOperand, -1);
    try {
      using options::command_line_style::allow_guessing;
      using options::command_line_style::unix_style;
      const auto parsed = options::command_line_parser(words_)
                              .options(description)
                              .positional(operands)
                              .style(unix_style & ~allow_guessing)
                              .run();
      for (const auto& option : parsed.options) {
        if (auto taken = take(option); !taken) return taken;
      }
    } catch (const options::unknown_option& error) {
      std::string hint;
      if (arguments_.verb != nullptr && arguments_.verb->takes_command) {
        hint = " (flags of the command stand after --)";
      }
      return wrong("unknown flag " + error.get_option_name() + hint);
    } catch (const options::error_with_option_name& error) {
      return wrong("flag " + error.get_option_name() + " lacks its value or has one too many");
    } catch (const std::exception& error) {
      return wrong(error.what());
    }
    arguments_.help = arguments_.is_set("help");
    return {};
  }

  Result<void> take(const options::option& option) {
    if (option.position_key >= 0) {
      arguments_.operands.insert(arguments_.operands.end(), option.value.begin(),
                                 option.value.end());
      return {};
    }
    if (option.string_key == kOperand) return wrong("unknown flag \"" + option.string_key + "\"");
    const Flag& flag = flag_of(option.string_key);
    const std::string text = option.value.empty() ? "true" : option.value.front();
    if (const auto bad = complaint(flag, text)) {
      return wrong("--" + std::string(flag.name) + " " + *bad);
    }
    arguments_.values_[std::string(flag.name)] = {.text = text, .given = true};
    return {};
  }

  Result<void> read_environment() {
    for (const Flag& flag : global_flags()) {
      Arguments::Value& value = arguments_.values_[std::string(flag.name)];
      if (value.given) continue;
      const std::string variable = variable_of(flag.name);
      const auto text = environment_(variable);
      if (!text || text->empty()) continue;
      if (const auto bad = complaint(flag, *text)) return wrong(variable + " " + *bad);
      value = {.text = *text, .given = true};
    }
    return {};
  }

  Result<void> check_operands() {
    const Verb* verb = arguments_.verb;
    std::vector<std::string>& operands = arguments_.operands;
    if (verb == nullptr) {
      return operands.empty() ? Result<void>() : wrong("unknown command " + quoted(operands[0]));
    }
    if (verb->takes_command) {
      if (operands.size() > verb->operands_max) {
        const auto extra = operands.begin() + static_cast<std::ptrdiff_t>(verb->operands_max);
        arguments_.command.assign(extra, operands.end());
        operands.erase(extra, operands.end());
      }
      arguments_.command.insert(arguments_.command.end(), after_dashes_.begin(),
                                after_dashes_.end());
      if (has_dashes_ && after_dashes_.empty()) return wrong("no command stands after --");
    } else {
      operands.insert(operands.end(), after_dashes_.begin(), after_dashes_.end());
    }
    const std::string usage =
        "conclave " + std::string(verb->name) + " " + std::string(verb->operands);
    if (operands.size() < verb->operands_min) {
      return wrong("too few arguments: " + usage);
    }
    if (operands.size() > verb->operands_max) {
      return wrong("unexpected argument " + quoted(operands[verb->operands_max]) + ": " + usage);
    }
    return {};
  }

  std::vector<std::string> words_;
  std::span<const Verb> verbs_;
  const Environment& environment_;
  std::vector<std::string> after_dashes_;
  bool has_dashes_ = false;
  std::vector<Flag> flags_;
  Arguments arguments_;
};

const Arguments::Value& Arguments::value(std::string_view flag) const {
  const auto found = values_.find(flag);
  CONCLAVE_CHECK(found != values_.end(), flag);
  return found->second;
}

bool Arguments::has(std::string_view flag) const {
  return value(flag).given;
}
bool Arguments::is_set(std::string_view flag) const {
  const std::string& text = value(flag).text;
  return text == "true" || text == "1";
}
std::string Arguments::text(std::string_view flag) const {
  return value(flag).text;
}
std::int64_t Arguments::number(std::string_view flag) const {
  return parse_number(value(flag).text).value_or(0);
}
std::chrono::milliseconds Arguments::duration(std::string_view flag) const {
  return parse_duration(value(flag).text).value_or(std::chrono::milliseconds(0));
}
std::vector<std::string> Arguments::list(std::string_view flag) const {
  std::vector<std::string> pieces;
  const std::string& text = value(flag).text;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    if (comma > from) pieces.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  return pieces;
}

Result<Arguments> parse_arguments(std::span<const std::string> words, std::span<const Verb> verbs,
                                  const Environment& environment) {
  return Parser(words, verbs, environment).parse();
}

}  // namespace conclave::cli
