#include "conclave/cli/format/printer.h"

namespace conclave::cli {

Result<std::unique_ptr<Printer>> make_printer(std::string_view format,
                                              const PrintOptions& options) {
  if (format == "simple") return make_simple_printer(options);
  if (options.value_only) {
    return Error{Errc::invalid_argument, "--print-value-only goes with --write-out simple only"};
  }
  if (format == "json") return make_json_printer();
  if (format == "fields") return make_fields_printer();
  if (format == "table") return make_table_printer();
  if (format == "protobuf") return make_protobuf_printer();
  return Error{Errc::invalid_argument,
               "--write-out takes simple, json, fields, table or protobuf, not \"" +
                   std::string(format) + "\""};
}

}  // namespace conclave::cli
