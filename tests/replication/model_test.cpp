// SPDX-License-Identifier: Apache-2.0
//
// Random requests against a model that knows what each sector may hold. A sector that was written
// and answered holds that; one that was written and not answered holds the old or the new; after a
// takeover one that was not flushed holds any state since the last flush.
#include <algorithm>
#include <cstring>
#include <set>

#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kSmall = 4u << 20;
constexpr std::uint64_t kSectors = kSmall / kSector;

// Every write has a number; a sector holds the number of its write in each of its bytes' places.
std::vector<std::byte> stamped(std::uint64_t number, std::uint64_t length) {
  std::vector<std::byte> data(length);
  for (std::uint64_t at = 0; at < length; at += 8) {
    std::memcpy(data.data() + at, &number, sizeof number);
  }
  return data;
}

class Model {
 public:
  Model() : history_(kSectors, {0}), durable_(kSectors, 0) {}

  void written(std::uint64_t offset, std::uint64_t length, std::uint64_t number) {
    for (std::uint64_t s = offset / kSector; s < (offset + length) / kSector; ++s) {
      history_[s].push_back(number);
    }
  }
  // What a flush that begins now will make durable.
  std::vector<std::size_t> mark() const {
    std::vector<std::size_t> marks(kSectors);
    for (std::uint64_t s = 0; s < kSectors; ++s) {
      marks[s] = history_[s].size() - 1;
    }
    return marks;
  }
  void flushed(const std::vector<std::size_t>& marks) {
    for (std::uint64_t s = 0; s < kSectors; ++s) {
      durable_[s] = std::max(durable_[s], marks[s]);
    }
  }
  // The newest of all, as a read on a living writer must show it.
  void expect_newest(std::uint64_t offset, const std::vector<std::byte>& data) const {
    for (std::uint64_t at = 0; at < data.size(); at += kSector) {
      std::uint64_t held = 0;
      std::memcpy(&held, data.data() + at, sizeof held);
      ASSERT_EQ(held, history_[(offset + at) / kSector].back())
          << "sector " << (offset + at) / kSector;
    }
  }
  // After a crash: nothing older than what was flushed. The model goes on with what was found.
  void settle(const std::vector<std::byte>& content) {
    for (std::uint64_t s = 0; s < kSectors; ++s) {
      std::uint64_t held = 0;
      std::memcpy(&held, content.data() + s * kSector, sizeof held);
      const auto& history = history_[s];
      const bool known = std::find(history.begin() + static_cast<std::ptrdiff_t>(durable_[s]),
                                   history.end(), held) != history.end();
      ASSERT_TRUE(known) << "sector " << s << " holds " << held << ", flushed was "
                         << history[durable_[s]] << ", newest " << history.back();
      history_[s] = {held};
      durable_[s] = 0;
    }
  }

 private:
  std::vector<std::vector<std::uint64_t>> history_;
  std::vector<std::size_t> durable_;  // index into history: at least this is durable
};

// One step of work on the node that writes. Requests overlap in flight only where they do not
// touch.
void work(Pair& pair, Node& node, Model& model, std::uint64_t& numbers, int requests) {
  Prng& prng = pair.prng;
  int open = 0;
  std::set<std::uint64_t> busy;
  const auto free_of = [&](std::uint64_t first, std::uint64_t last) {
    const auto at = busy.lower_bound(first);
    return at == busy.end() || *at >= last;
  };
  for (int i = 0; i < requests; ++i) {
    const std::uint64_t draw = prng.below(100);
    if (draw < 10) {
      ++open;
      node.flush([&, marks = model.mark()](int error) {
        --open;
        EXPECT_EQ(error, 0);
        model.flushed(marks);
      });
      // What is written from here on is not part of it; what is in flight may be.
      ASSERT_TRUE(pair.until([&] { return open == 0; }));
      continue;
    }
    const std::uint64_t length = kSector * (1 + prng.below(draw < 20 ? 600 : 24));
    const std::uint64_t offset = kSector * prng.below(kSectors - length / kSector);
    const std::uint64_t first = offset / kSector;
    const std::uint64_t last = first + length / kSector;
    if (!free_of(first, last)) {
      ASSERT_TRUE(pair.until([&] { return open == 0; }));
    }
    if (draw < 40) {
      ASSERT_TRUE(pair.until([&] { return open == 0; }));
      model.expect_newest(offset, node.read(offset, length));
      continue;
    }
    const bool zero = draw < 47;
    const std::uint64_t number = zero ? 0 : ++numbers;
    for (std::uint64_t s = first; s < last; ++s) {
      busy.insert(s);
    }
    model.written(offset, length, number);
    ++open;
    const auto done = [&, first, last](int error) {
      --open;
      EXPECT_EQ(error, 0);
      busy.erase(busy.lower_bound(first), busy.lower_bound(last));
    };
    if (zero) {
      node.zero(offset, length, draw < 44, done);
    } else {
      node.write(offset, stamped(number, length), done, draw < 50);
    }
    if (open >= 16) {
      ASSERT_TRUE(pair.until([&] { return open < 8; }));
    }
  }
  ASSERT_TRUE(pair.until([&] { return open == 0; }));
}

TEST(Model, ReadsShowTheNewestWriteWhateverWasApplied) {
  Pair pair(kSmall);
  Model model;
  std::uint64_t numbers = 0;
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  for (int round = 0; round < 6; ++round) {
    work(pair, pair.a(), model, numbers, 120);
    if (HasFatalFailure()) {
      return;
    }
  }
  model.expect_newest(0, pair.a().read(0, kSmall));
}

// A killed process loses nothing that it answered: its writes are with the kernel.
TEST(Model, AKilledProcessLosesNoAnsweredWrite) {
  Pair pair(kSmall);
  Model model;
  std::uint64_t numbers = 0;
  for (int life = 0; life < 6; ++life) {
    pair.a().start();
    ASSERT_EQ(pair.a().promote(), 0);
    model.expect_newest(0, pair.a().read(0, kSmall));
    work(pair, pair.a(), model, numbers, 60);
    if (HasFatalFailure()) {
      return;
    }
    pair.a().kill();
  }
}

// Whoever takes over has all that was flushed, over a link that loses.
TEST(Model, TakeoversLoseNoFlushOverALinkThatLoses) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Pair pair(kSmall);
    pair.prng = Prng(seed);
    pair.wire->prng = Prng(seed);
    Model model;
    std::uint64_t numbers = 0;
    pair.bring_into_step();
    Node* writer = &pair.a();
    Node* other = &pair.b();
    for (int round = 0; round < 4; ++round) {
      pair.wire->lose_percent = 3;
      work(pair, *writer, model, numbers, 60);
      if (testing::Test::HasFatalFailure()) {
        return;
      }
      pair.wire->lose_percent = 0;
      ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
      writer->kill();
      ASSERT_EQ(other->promote(), 0);
      std::swap(writer, other);
      model.settle(writer->read(0, kSmall));
      other->start();
      ASSERT_TRUE(pair.until([&] { return pair.both_in_step(); }));
    }
    EXPECT_EQ(writer->flush(), 0);
    EXPECT_EQ(writer->demote(true), 0);
    // D3: the two copies are the same, byte for byte.
    pair.a().kill();
    pair.b().kill();
    EXPECT_TRUE(pair.a().content_on_disk() == pair.b().content_on_disk());
  }
}

}  // namespace
}  // namespace cb::replication
