// SPDX-License-Identifier: Apache-2.0
#include "witness/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/base/temporary_folder.h"
#include "tests/witness/client.h"
#include "witness/slot.h"

namespace cb::witness {
namespace {

using core::witness::Holder;
using core::witness::Record;

class WitnessStore : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto_ready());
    open();
    ASSERT_TRUE(store_->add(enrolment_));
  }
  void open() {
    store_.reset();
    auto opened = Store::open(folder_.at("state"));
    ASSERT_TRUE(opened) << to_text(opened.error());
    store_ = *std::move(opened);
  }
  Store::Entry& entry() { return *store_->find(enrolment_.pairing); }
  std::string file() const {
    return folder_.at("state/") + pairing_text(enrolment_.pairing) + ".record";
  }
  static Record record(std::uint64_t counter) {
    return {counter, Holder::Secondary, 2 * counter + 1, 3, {counter, {1, 2}, {}, 1}};
  }
  void spoil(std::size_t copy) {
    std::fstream stream(file(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(copy * kSlotStride + 40));
    stream.put('\x55');
  }

  test::TemporaryFolder folder_;
  Enrolment enrolment_ = test_enrolment();
  std::unique_ptr<Store> store_;
};

TEST_F(WitnessStore, RemembersOverARestart) {
  for (std::uint64_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(store_->write(entry(), record(i)));
    if (i % 2 == 0) {
      store_->settle();
    }
    open();
    EXPECT_EQ(entry().record, record(i));
    EXPECT_EQ(entry().key, enrolment_.key);
    EXPECT_EQ(entry().trouble, "");
  }
}

TEST_F(WitnessStore, RotInOneCopyIsMadeGoodByTheOther) {
  for (const std::size_t copy : {0, 1}) {
    ASSERT_TRUE(store_->write(entry(), record(3 + copy)));
    store_->settle();
    spoil(copy);
    open();
    EXPECT_EQ(entry().record, record(3 + copy));
    spoil(1 - copy);  // the restart has mended the first
    open();
    EXPECT_EQ(entry().record, record(3 + copy));
  }
}

// Cut off in the first copy: nobody was answered, and the old one stands.
TEST_F(WitnessStore, ACutOffWriteLeavesTheOldRecord) {
  ASSERT_TRUE(store_->write(entry(), record(1)));
  store_->settle();
  const unsigned first = entry().next;
  ASSERT_TRUE(store_->write(entry(), record(2)));
  spoil(first);
  open();
  EXPECT_EQ(entry().record, record(1));
}

TEST_F(WitnessStore, OneThatCannotBeReadIsNotTakenForNew) {
  ASSERT_TRUE(store_->write(entry(), record(1)));
  store_->settle();
  spoil(0);
  spoil(1);
  open();
  EXPECT_NE(entry().trouble.find("neither copy is whole"), std::string::npos);
  ASSERT_EQ(::unlink(file().c_str()), 0);
  open();
  EXPECT_NE(entry().trouble.find("No such file"), std::string::npos);
  EXPECT_FALSE(store_->add(enrolment_));  // not in passing: it must be forgotten first
}

TEST_F(WitnessStore, AfterAFailedWriteNothingIsKnown) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  const auto written = store_->write(entry(), record(1));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, EFBIG);
  EXPECT_NE(entry().trouble, "");
}

TEST_F(WitnessStore, IsHeldByOne) {
  const auto second = Store::open(folder_.at("state"));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().what.find("another crossbeat-witness"), std::string::npos);
}

TEST_F(WitnessStore, KeepsItsFilesToItself) {
  for (const std::string& name : {file(), file().substr(0, file().rfind('.')) + ".key"}) {
    struct stat facts {};
    ASSERT_EQ(::stat(name.c_str(), &facts), 0) << name;
    EXPECT_EQ(facts.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(WitnessStore, ForgetsAndEnrolsAnewAsNew) {
  ASSERT_TRUE(store_->write(entry(), record(4)));
  EXPECT_FALSE(store_->add(enrolment_));
  ASSERT_TRUE(store_->forget(enrolment_.pairing));
  EXPECT_EQ(store_->find(enrolment_.pairing), nullptr);
  EXPECT_FALSE(store_->forget(enrolment_.pairing));
  open();
  EXPECT_TRUE(store_->entries().empty());
  ASSERT_TRUE(store_->add(enrolment_));
  EXPECT_EQ(entry().record, Record{});
}

// An enrolment that was cut off between its two files is said again; a lost key loses no memory.
TEST_F(WitnessStore, AnEnrolmentWithoutItsKeyIsFinishedAndKeepsItsRecord) {
  ASSERT_TRUE(store_->write(entry(), record(6)));
  ASSERT_EQ(::unlink((file().substr(0, file().rfind('.')) + ".key").c_str()), 0);
  open();
  EXPECT_NE(entry().trouble, "");
  ASSERT_TRUE(store_->add(enrolment_));
  EXPECT_EQ(entry().record, record(6));
}

TEST_F(WitnessStore, ASlotIsOfOnePairingAndWhole) {
  const Slot slot = encode_slot(5, record(8));
  EXPECT_EQ(decode_slot(slot, 5), record(8));
  EXPECT_FALSE(decode_slot(slot, 6));
  for (std::size_t bit = 0; bit < 8 * slot.size(); ++bit) {
    Slot bent = slot;
    bent[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(decode_slot(bent, 5)) << bit;
  }
}

}  // namespace
}  // namespace cb::witness
