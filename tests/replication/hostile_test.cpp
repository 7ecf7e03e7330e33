// SPDX-License-Identifier: Apache-2.0
//
// The peer is hostile: what it says may be anything. The engine counts it, and what it serves
// stays.
#include <filesystem>
#include <fstream>

#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

std::vector<std::vector<std::uint8_t>> corpus() {
  std::vector<std::vector<std::uint8_t>> inputs;
  const char* top = std::getenv("CB_SOURCE_DIR");
  const std::string folder =
      std::string(top == nullptr ? "." : top) + "/tests/fuzz/corpus/volume_fuzz";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

std::vector<std::uint8_t> message_of(core::MessageKind kind, Prng& prng, const core::State& to) {
  core::Message m;
  m.kind = kind;
  // Half of them with the sessions that count, as a peer that was taken over would say them.
  m.session = prng.chance(1, 2) ? to.peer.session | 1 : prng.next() | 1;
  m.to_session = prng.chance(1, 2) ? to.session : prng.next() | 1;
  m.number = prng.chance(1, 2) ? to.following.number : prng.next();
  const auto place = [&] {
    return prng.chance(1, 2) ? to.issued + core::kBlock * prng.below(4)
                             : prng.next() / core::kBlock * core::kBlock;
  };
  m.position = place();
  m.end = place();
  m.synced = place();
  m.committed = place();
  m.flush = place();
  m.extent = prng.chance(1, 2) ? prng.below(300) : prng.next();
  m.copying = prng.chance(1, 2) ? to.record.copying : prng.next();
  m.standing = static_cast<core::Standing>(prng.below(5));
  m.granted = prng.chance(1, 2) ? to.record.epoch : prng.below(100);
  m.serving = prng.chance(1, 2);
  m.node = static_cast<core::Node>(prng.below(2));
  m.instance_high = to.record.instance_high;
  m.instance_low = to.record.instance_low;
  m.volume_length = to.record.volume_length;
  if (kind == core::MessageKind::Join) {
    m.epoch = {
        prng.below(50), {prng.next(), 1}, to.issued, {}, static_cast<core::Node>(prng.below(2))};
  }
  std::vector<std::byte> bytes(core::kMessageBytes + core::kEpochsMax * core::kEpochWireBytes);
  bytes.resize(core::encode(m, to.record.epochs, bytes));
  if (kind == core::MessageKind::Extent && prng.chance(1, 2)) {
    bytes.resize(bytes.size() + core::kExtent);
  }
  if (kind == core::MessageKind::GiveBlock && prng.chance(1, 2)) {
    bytes.resize(bytes.size() + core::kBlock);
  }
  if (prng.chance(1, 3)) {
    bytes[prng.below(bytes.size())] ^= static_cast<std::byte>(1 + prng.below(255));
  }
  const auto* raw = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {raw, raw + bytes.size()};
}

TEST(Hostile, NonsenseIsCountedAndChangesNothing) {
  Pair pair;
  pair.bring_into_step();
  const auto data = random_bytes(pair.prng, 4096);
  ASSERT_EQ(pair.a().write(0, data), 0);
  ASSERT_EQ(pair.a().flush(), 0);
  const auto inputs = corpus();
  ASSERT_GT(inputs.size(), 0u);
  for (const auto& input : inputs) {
    pair.wire->hear(0, input);
    pair.wire->hear(1, input);
    for (std::size_t length = 0; length < input.size(); length += 1 + input.size() / 16) {
      pair.wire->hear(0, std::span(input).first(length));
    }
  }
  EXPECT_GT(pair.a().engine().counts().malformed, 0u);
  EXPECT_EQ(pair.a().read(0, 4096), data);
  ASSERT_EQ(pair.a().write(4096, data), 0);
  EXPECT_EQ(pair.a().flush(), 0);
}

// Well-formed lies of every kind, to a writer and to a standby. What an authenticated peer says may
// end replication (it may claim to outrank us); it must never crash, nor harm what is there.
TEST(Hostile, WellFormedLiesNeverHarmWhatWasWritten) {
  Pair pair;
  pair.a().start();
  ASSERT_EQ(pair.a().promote(), 0);
  pair.b().start();
  const auto data = random_bytes(pair.prng, 4096);
  ASSERT_EQ(pair.a().write(0, data), 0);
  Prng prng(3);
  for (int round = 0; round < 3000 && pair.a().state().stage == core::Stage::Serving; ++round) {
    const auto kind = static_cast<core::MessageKind>(2 + prng.below(12));
    const int side = static_cast<int>(prng.below(2));
    pair.wire->hear(side, message_of(kind, prng, (side == 0 ? pair.a() : pair.b()).state()));
    if (round % 8 == 0) {
      pair.turn();
    }
  }
  if (pair.a().state().stage == core::Stage::Serving) {
    EXPECT_EQ(pair.a().read(0, 4096), data);
  }
  pair.a().kill();
  const auto content = pair.a().content_on_disk();
  EXPECT_TRUE(std::equal(data.begin(), data.end(), content.begin()));
}

}  // namespace
}  // namespace cb::replication
