// SPDX-License-Identifier: Apache-2.0
#include "replication/front_choice.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace cb::replication {
namespace {

class NamedFrontEnd final : public volume::FrontEnd {
 public:
  explicit NamedFrontEnd(std::string kind) : kind_(std::move(kind)) {}
  void attach(std::uint64_t bytes, std::function<void(const volume::Request&)> /*take*/,
              loop::Done done) override {
    bytes_ = bytes;
    done(0);
  }
  void answer(std::uint64_t /*id*/, int /*error*/) override {}
  void resize(std::uint64_t bytes, loop::Done done) override {
    bytes_ = bytes;
    done(0);
  }
  std::uint64_t bytes() const { return bytes_; }
  void detach(loop::Done done) override { done(bytes_ == 0 ? EINVAL : 0); }
  volume::FrontEndFacts facts() const override {
    volume::FrontEndFacts facts;
    facts.kind = kind_;
    facts.device = bytes_ == 0 ? "" : "/dev/" + kind_;
    return facts;
  }

 private:
  std::string kind_;
  std::uint64_t bytes_ = 0;
};

class FrontChoiceTest : public testing::Test {
 protected:
  FrontChoice choice() {
    FrontChoice choice;
    choice.fuse = [] { return std::make_unique<NamedFrontEnd>("fuse"); };
    choice.ublk = [] { return std::make_unique<NamedFrontEnd>("ublk"); };
    choice.fuse_left = [this] { return fuse_left_; };
    choice.ublk_left = [this] { return ublk_left_; };
    choice.test = [this](auto done) {
      ++tests_;
      test_done_ = std::move(done);
    };
    return choice;
  }

  void attach(ChosenFrontEnd& front) {
    front.attach(
        4096, [](const volume::Request&) {}, [this](int error) { attached_.push_back(error); });
  }

  int detach(ChosenFrontEnd& front) {
    int told = -1;
    front.detach([&](int error) { told = error; });
    return told;
  }

  bool fuse_left_ = false;
  bool ublk_left_ = false;
  int tests_ = 0;
  std::function<void(const std::string&)> test_done_;
  std::vector<int> attached_;
};

TEST_F(FrontChoiceTest, ublk_is_taken_when_its_test_passes) {
  ChosenFrontEnd front(choice());
  EXPECT_EQ(tests_, 1) << "begun before anybody waits for it";
  EXPECT_EQ(front.facts().kind, "undecided");
  test_done_("");
  attach(front);
  EXPECT_EQ(attached_, std::vector<int>{0});
  EXPECT_EQ(front.facts().kind, "ublk");
  EXPECT_EQ(front.facts().device, "/dev/ublk");
  EXPECT_EQ(front.facts().note, "the self-test of ublk has passed");
  EXPECT_EQ(tests_, 1);
}

TEST_F(FrontChoiceTest, fuse_is_taken_when_the_test_fails_and_the_status_says_why) {
  ChosenFrontEnd front(choice());
  test_done_("no ublk: flush: it does not arrive");
  attach(front);
  EXPECT_EQ(front.facts().kind, "fuse");
  EXPECT_EQ(front.facts().note, "no ublk: flush: it does not arrive");
}

TEST_F(FrontChoiceTest, an_attach_waits_for_the_test) {
  ChosenFrontEnd front(choice());
  attach(front);
  EXPECT_TRUE(attached_.empty());
  EXPECT_EQ(detach(front), EBUSY);
  attach(front);
  EXPECT_EQ(attached_, std::vector<int>{EBUSY}) << "one at a time";
  test_done_("");
  EXPECT_EQ(attached_, (std::vector<int>{EBUSY, 0}));
  EXPECT_EQ(detach(front), 0);
}

TEST_F(FrontChoiceTest, the_device_that_was_left_decides_without_a_test) {
  fuse_left_ = true;
  ChosenFrontEnd fuse(choice());
  attach(fuse);
  EXPECT_EQ(fuse.facts().kind, "fuse");
  fuse_left_ = false;
  ublk_left_ = true;
  ChosenFrontEnd ublk(choice());
  attach(ublk);
  EXPECT_EQ(ublk.facts().kind, "ublk");
  EXPECT_EQ(tests_, 0);
}

TEST_F(FrontChoiceTest, a_device_that_goes_before_it_is_taken_over_decides_nothing) {
  fuse_left_ = true;
  ChosenFrontEnd front(choice());
  fuse_left_ = false;
  attach(front);
  EXPECT_EQ(tests_, 1);
  test_done_("");
  EXPECT_EQ(front.facts().kind, "ublk");
}

TEST_F(FrontChoiceTest, what_was_chosen_stays) {
  ChosenFrontEnd front(choice());
  test_done_("");
  attach(front);
  EXPECT_EQ(detach(front), 0);
  fuse_left_ = true;
  attach(front);
  EXPECT_EQ(front.facts().kind, "ublk");
}

TEST_F(FrontChoiceTest, a_test_that_answers_too_late_finds_nobody) {
  { const ChosenFrontEnd front(choice()); }
  test_done_("");
  EXPECT_TRUE(attached_.empty());
}

TEST_F(FrontChoiceTest, the_chosen_one_gets_longer) {
  NamedFrontEnd* chosen = nullptr;
  FrontChoice with = choice();
  with.ublk = [&chosen] {
    auto made = std::make_unique<NamedFrontEnd>("ublk");
    chosen = made.get();
    return made;
  };
  ChosenFrontEnd front(std::move(with));
  int told = -1;
  front.resize(8192, [&](int error) { told = error; });
  EXPECT_EQ(told, EOPNOTSUPP) << "there is none yet";
  test_done_("");
  attach(front);
  front.resize(8192, [&](int error) { told = error; });
  EXPECT_EQ(told, 0);
  ASSERT_NE(chosen, nullptr);
  EXPECT_EQ(chosen->bytes(), 8192U);
}

TEST_F(FrontChoiceTest, nothing_is_there_to_detach_before_a_choice) {
  ChosenFrontEnd front(choice());
  EXPECT_EQ(detach(front), 0);
}

}  // namespace
}  // namespace cb::replication
