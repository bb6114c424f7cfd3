#include "conclave/cli/format/json_text.h"

#include <cctype>

#include <google/protobuf/descriptor.h>

#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// response_put -> ResponsePut
std::string camel_case(const std::string& name) {
  std::string out;
  bool raise = true;
  for (const char letter : name) {
    if (letter == '_') {
      raise = true;
      continue;
    }
    out += raise ? static_cast<char>(std::toupper(static_cast<unsigned char>(letter))) : letter;
    raise = false;
  }
  return out;
}

std::string text_of(const FieldDescriptor* field, const std::string& text) {
  return field->type() == FieldDescriptor::TYPE_BYTES ? '"' + base64(text) + '"'
                                                      : json_quoted(text);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the message
std::string element(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return to_json(reflection->GetRepeatedMessage(message, field, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return text_of(field, reflection->GetRepeatedString(message, field, index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return std::to_string(reflection->GetRepeatedEnumValue(message, field, index));
    default:
      return std::to_string(reflection->GetRepeatedInt64(message, field, index));
  }
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the message
std::string single(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return to_json(reflection->GetMessage(message, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return text_of(field, reflection->GetString(message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return std::to_string(reflection->GetEnumValue(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection->GetUInt64(message, field));
    default:
      return std::to_string(reflection->GetInt64(message, field));
  }
}

}  // namespace

// NOLINTNEXTLINE(misc-no-recursion): as deep as the message
std::string to_json(const Message& message) {
  const auto* descriptor = message.GetDescriptor();
  const Reflection* reflection = message.GetReflection();
  std::string out = "{";
  const auto begin_field = [&out](const std::string& name) {
    if (out.size() > 1) out += ',';
    out += '"' + name + "\":";
  };
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->is_repeated()) {
      const int size = reflection->FieldSize(message, field);
      if (size == 0) continue;
      begin_field(field->name());
      for (int at = 0; at < size; ++at) out += (at == 0 ? "[" : ",") + element(message, field, at);
      out += ']';
      continue;
    }
    if (!reflection->HasField(message, field)) continue;
    if (const auto* choice = field->containing_oneof()) {
      begin_field(camel_case(choice->name()));
      out += "{\"" + camel_case(field->name()) + "\":" + single(message, field) + '}';
    } else {
      begin_field(field->name());
      out += single(message, field);
    }
  }
  return out + '}';
}

}  // namespace conclave::cli
