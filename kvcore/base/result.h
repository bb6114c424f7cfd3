#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "conclave/base/check.h"
#include "conclave/base/error.h"

namespace conclave {

// Thrown by Result::value() and by the calls whose interface the standard fixes (Mutex::lock()).
class Failure : public std::runtime_error {
 public:
  explicit Failure(Error error)
      : std::runtime_error(std::string(name_of(error.code)) + ": " + error.message),
        error_(std::move(error)) {}
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

// A value or the error that stands in its place; a small std::expected.
//
// Caveat: operator* and error() on the wrong side end the process (a check that stays on in
// release); value() throws instead. Test first:
//
//   Result<Lock> lock = mutex.acquire();
//   if (!lock) return lock.error();
//   use(lock->fence());
//
// Not thread-safe, as any value.
template <class T, class E = Error>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = E;

  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit on purpose
  Result(E error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& operator*() & { return checked(); }
  const T& operator*() const& { return checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &checked(); }

  // The value, or a thrown Failure.
  T& value() & { return throw_if_error(), checked(); }
  const T& value() const& { return throw_if_error(), checked(); }
  T&& value() && { return throw_if_error(), std::move(checked()); }

  const E& error() const& {
    CONCLAVE_CHECK(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  E&& error() && {
    CONCLAVE_CHECK(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(std::move(state_));
  }

 private:
  T& checked() {
    CONCLAVE_CHECK(has_value(), "value of a Result that holds an error");
    return std::get<0>(state_);
  }
  const T& checked() const {
    CONCLAVE_CHECK(has_value(), "value of a Result that holds an error");
    return std::get<0>(state_);
  }
  void throw_if_error() const {
    if constexpr (std::is_same_v<E, Error>) {
      if (!has_value()) throw Failure(std::get<1>(state_));
    }
  }

  std::variant<T, E> state_;
};

// Success without a value: `return {};`.
template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  using value_type = void;
  using error_type = E;

  Result() = default;
  Result(E error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if constexpr (std::is_same_v<E, Error>) {
      if (!has_value()) throw Failure(std::get<1>(state_));
    }
  }
  const E& error() const& {
    CONCLAVE_CHECK(!has_value(), "error() of a Result that holds success");
    return std::get<1>(state_);
  }

 private:
  std::variant<std::monostate, E> state_;
};

}  // namespace conclave
