// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace cb {
namespace {

Result<int> halve(int number) {
  if (number % 2 != 0) return fail(EINVAL, "halve " + std::to_string(number));
  return number / 2;
}

Result<int> quarter(int number) {
  CB_TRY(half, halve(number));
  CB_TRY(rest, halve(half));
  return rest;
}

Result<> check_even(int number) {
  CB_TRY_DO(halve(number));
  return {};
}

TEST(Result, HoldsTheValueOfASuccess) {
  const auto result = halve(8);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 4);
}

TEST(Result, HoldsTheErrorOfAFailure) {
  const auto result = halve(7);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{EINVAL, "halve 7"}));
}

TEST(Result, TryReturnsTheFirstErrorOfAChain) {
  EXPECT_EQ(quarter(8).value_or(-1), 2);
  EXPECT_EQ(quarter(7).error().what, "halve 7");
  EXPECT_EQ(quarter(6).error().what, "halve 3");
}

TEST(Result, TryDoPassesAnErrorOnFromAnotherType) {
  EXPECT_TRUE(check_even(2));
  EXPECT_EQ(check_even(5).error().what, "halve 5");
}

TEST(Result, CarriesMoveOnlyValuesThroughTry) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(9); };
  const auto use = [&]() -> Result<int> {
    CB_TRY(pointer, make());
    return *pointer;
  };
  EXPECT_EQ(use().value_or(0), 9);
}

TEST(Result, ValueOrGivesTheOtherOnlyForAFailure) {
  EXPECT_EQ(halve(4).value_or(-1), 2);
  EXPECT_EQ(halve(5).value_or(-1), -1);
}

TEST(Result, TextOfAnErrorNamesTheContextTheDeedAndTheReason) {
  const Error error = in("read the ledger", fail(ENOENT, "open /x"));
  EXPECT_EQ(to_text(error), "read the ledger: open /x: No such file or directory");
  EXPECT_EQ(to_text(fail(0, "the magic is wrong")), "the magic is wrong");
  EXPECT_EQ(to_text(fail(EPERM, "")), "Operation not permitted");
  EXPECT_EQ(to_text(fail(99999, "ioctl")), "ioctl: error 99999");
}

TEST(ResultDeath, AskingAFailureForItsValueIsABug) {
  EXPECT_DEATH((void)*halve(7), "the value of a Result that holds an error");
  EXPECT_DEATH((void)halve(8).error(), "the error of a Result that holds a value");
}

}  // namespace
}  // namespace cb
