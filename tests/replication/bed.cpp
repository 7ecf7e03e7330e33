// SPDX-License-Identifier: Apache-2.0
#include "tests/replication/bed.h"

#include <stdlib.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "replication/log.h"

namespace cb::replication {

// ---- disks

bool FaultyDisk::fails(int error, loop::Done& done) {
  if (error == 0) {
    return false;
  }
  loop_.post([error, done = std::move(done)] { done(error); });
  return true;
}

void FaultyDisk::read(std::uint64_t offset, const Slice& into, loop::Done done) {
  if (!fails(read_error, done)) {
    disk_->read(offset, into, std::move(done));
  }
}

void FaultyDisk::write(std::uint64_t offset, const Slice& from, loop::Durable durable,
                       loop::Done done) {
  const bool syncs_too = durable == loop::Durable::Yes;
  syncs += syncs_too ? 1 : 0;
  if (!fails(write_error, done) && !(syncs_too && fails(sync_error, done))) {
    disk_->write(offset, from, durable, std::move(done));
  }
}

void FaultyDisk::zero(std::uint64_t offset, std::uint64_t length, bool give_back, loop::Done done) {
  if (!fails(write_error, done)) {
    disk_->zero(offset, length, give_back, std::move(done));
  }
}

void FaultyDisk::sync(loop::Done done) {
  ++syncs;
  if (!fails(sync_error, done)) {
    disk_->sync(std::move(done));
  }
}

// ---- the wire

void Wire::End::listen(transport::Calls calls) {
  calls_ = std::move(calls);
  wire_.update();
}

std::size_t Wire::End::room(transport::Priority priority) const {
  const auto p = static_cast<std::size_t>(priority);
  // None, or enough for any message.
  const std::size_t free = up_ && wire_.room > queued_[p] ? wire_.room - queued_[p] : 0;
  full_[p] = full_[p] || free < transport::kMessageMax;
  return free < transport::kMessageMax ? 0 : free;
}

void Wire::End::send(transport::Priority priority, std::span<const transport::ConstBytes> parts) {
  const auto p = static_cast<std::size_t>(priority);
  if (!up_) {
    return;
  }
  std::vector<std::uint8_t> message;
  for (const auto& part : parts) {
    message.insert(message.end(), part.begin(), part.end());
  }
  wire_.carried[p] += message.size();
  if (wire_.lose_percent > 0 &&
      wire_.prng.chance(static_cast<std::uint64_t>(wire_.lose_percent), 100)) {
    return;
  }
  queued_[p] += message.size();
  out_[p].emplace_back(priority, std::move(message));
  wire_.schedule();
}

transport::Facts Wire::End::facts() const {
  transport::Facts facts;
  facts.up = up_;
  facts.cipher = "none";
  return facts;
}

Wire::End& Wire::end(int side) {
  ends_[side] = std::make_unique<End>(*this, side);
  return *ends_[side];
}

void Wire::remove(int side) {
  ends_[side].reset();
  update();
}

void Wire::cut(bool on) {
  cut_ = on;
  update();
}

// Up on both sides or on none; the calls come in a later turn.
void Wire::update() {
  const bool up = !cut_ && ends_[0] && ends_[1] && ends_[0]->calls_.on_up && ends_[1]->calls_.on_up;
  ++life_;
  for (auto& end : ends_) {
    if (!end || end->up_ == up || !end->calls_.on_up) {
      continue;
    }
    end->up_ = up;
    for (std::size_t p = 0; p < 3; ++p) {
      end->out_[p].clear();
      end->queued_[p] = 0;
      end->full_[p] = false;
    }
    loop_.post([this, side = end->side_, up, e = end.get()] {
      // A later end may have its place, and may not listen yet.
      if (ends_[side].get() == e && e->up_ == up && e->calls_.on_up) {
        up ? e->calls_.on_up() : e->calls_.on_down();
      }
    });
  }
}

void Wire::schedule() {
  if (!scheduled_) {
    scheduled_ = true;
    loop_.post([this] {
      scheduled_ = false;
      deliver();
    });
  }
}

// In order within a class, higher classes first; a bounded part in each turn.
void Wire::deliver() {
  constexpr int kAtOnce = 16;
  for (int side = 0; side < 2; ++side) {
    int count = 0;
    for (std::size_t p = 0; p < 3; ++p) {
      while (ends_[side] && ends_[1 - side] && !ends_[side]->out_[p].empty() && count < kAtOnce) {
        const auto [priority, message] = std::move(ends_[side]->out_[p].front());
        ends_[side]->out_[p].pop_front();
        ends_[side]->queued_[p] -= message.size();
        ++count;
        if (ends_[side]->full_[p] && room - ends_[side]->queued_[p] >= transport::kMessageMax) {
          ends_[side]->full_[p] = false;
          ends_[side]->calls_.on_room(priority);
        }
        if (ends_[1 - side]) {
          ends_[1 - side]->calls_.on_message(priority, message);
        }
      }
    }
    for (std::size_t p = 0; p < 3; ++p) {
      if (ends_[side] && !ends_[side]->out_[p].empty()) {
        schedule();
      }
    }
  }
}

void Wire::hear(int side, std::span<const std::uint8_t> bytes) {
  ends_[side]->calls_.on_message(transport::Priority::Control, bytes);
}

// ---- a node

Node::Node(Pair& pair, int id)
    : pair_(pair), id_(id), folder_(pair.root + (id == 0 ? "/a" : "/b")) {}

Node::~Node() { kill(); }

void Node::start() {
  auto files = open_files(folder_, true);
  ASSERT_TRUE(files) << to_text(files.error());
  auto found = inspect(*files);
  ASSERT_TRUE(found) << to_text(found.error());
  pool_ = std::make_unique<Pool>();
  in_step = deposed = false;
  disk_failed = 0;
  EngineDisks disks;
  const auto make = [&](std::size_t i, Fd fd) {
    auto disk = std::make_unique<FaultyDisk>(
        *pair_.loop, std::make_unique<FileDisk>(*pair_.loop, *pool_, std::move(fd)));
    faulty_[i] = disk.get();
    return disk;
  };
  disks.superblock = make(0, std::move(files->superblock));
  disks.map = make(1, std::move(files->map));
  disks.log = make(2, std::move(files->log));
  disks.home = make(3, std::move(files->home));
  disks.sums = std::move(files->sums);
  EngineCalls calls;
  calls.answer = [this](std::uint64_t id, int error) {
    auto held = requests_.extract(id);
    ASSERT_FALSE(held.empty()) << "answered twice";
    held.mapped().done(error, held.mapped().data);
  };
  calls.promoted = [this](int error) { promoted_ = error; };
  calls.demoted = [this](int error) { demoted_ = error; };
  calls.discarded = [this](int error) { discarded_ = error; };
  calls.in_step = [this](bool now) { in_step = now; };
  calls.deposed = [this] { deposed = true; };
  calls.stalled = [this](core::Stall now) { stall = now; };
  calls.disk_failed = [this](int error) { disk_failed = error; };
  calls.resized = [this](int error, bool at_peer) {
    resized = error;
    resized_at_peer = at_peer;
  };
  calls.compared = [this](bool /*ended*/) { compared = true; };
  calls.read_register = [this, e = &engine_] {
    pair_.loop->post([this, e, engine = e->get()] {
      if (e->get() == engine && engine != nullptr) {
        const bool silent = pair_.registered.silent;
        engine->register_read(silent ? ETIMEDOUT : 0, pair_.registered.value);
      }
    });
  };
  calls.swap_register = [this, e = &engine_](const core::Register& expected,
                                             const core::Register& wanted) {
    pair_.loop->post([this, e, engine = e->get(), expected, wanted] {
      if (e->get() != engine || engine == nullptr) {
        return;
      }
      FakeRegister& registered = pair_.registered;
      if (registered.silent || (registered.no_alone && wanted.kind == core::Kind::Alone)) {
        engine->register_swapped(ETIMEDOUT, false);
        return;
      }
      const bool granted = registered.value == expected;
      if (granted) {
        registered.value = wanted;
        ++registered.swaps;
      }
      const bool lost = std::exchange(registered.lose_answer, false);
      engine->register_swapped(lost ? ETIMEDOUT : 0, granted);
    });
  };
  engine_ =
      std::make_unique<Engine>(*pair_.loop, *pair_.hands, std::move(disks), pair_.wire->end(id_),
                               pair_.settings, folder_, std::move(calls));
  engine_->start(*found, pair_.prng.next() | 1, {pair_.prng.next() | 1, pair_.prng.next()});
}

void Node::kill() {
  engine_.reset();
  if (pair_.wire) {
    pair_.wire->remove(id_);
  }
  requests_.clear();
  promoted_.reset();
  demoted_.reset();
  in_step = false;
}

int Node::promote(bool accept_loss) {
  promoted_.reset();
  engine_->promote(accept_loss);
  return pair_.until([this] { return promoted_.has_value(); }) ? *promoted_ : ETIMEDOUT;
}

int Node::demote(bool hand_over) {
  demoted_.reset();
  engine_->demote(hand_over);
  return pair_.until([this] { return demoted_.has_value(); }) ? *demoted_ : ETIMEDOUT;
}

int Node::discard() {
  discarded_.reset();
  engine_->discard();
  return pair_.until([this] { return discarded_.has_value(); }) ? *discarded_ : ETIMEDOUT;
}

void Node::take(volume::Request request, std::vector<std::byte> data,
                std::function<void(int, const std::vector<std::byte>&)> done) {
  request.id = ++ids_;
  Held& held = requests_[request.id];
  held.data = std::move(data);
  held.done = std::move(done);
  request.data = held.data;
  engine_->take(request);
}

void Node::write(std::uint64_t offset, const std::vector<std::byte>& data, Done done, bool fua) {
  volume::Request request;
  request.kind = volume::Request::Kind::Write;
  request.offset = offset;
  request.length = data.size();
  request.fua = fua;
  take(request, data, [done = std::move(done)](int error, const auto&) { done(error); });
}

void Node::zero(std::uint64_t offset, std::uint64_t length, bool discard, Done done) {
  volume::Request request;
  request.kind = discard ? volume::Request::Kind::Discard : volume::Request::Kind::Zero;
  request.offset = offset;
  request.length = length;
  take(request, {}, [done = std::move(done)](int error, const auto&) { done(error); });
}

void Node::flush(Done done) {
  volume::Request request;
  request.kind = volume::Request::Kind::Flush;
  take(request, {}, [done = std::move(done)](int error, const auto&) { done(error); });
}

void Node::read(std::uint64_t offset, std::uint64_t length,
                std::function<void(int, const std::vector<std::byte>&)> done) {
  volume::Request request;
  request.kind = volume::Request::Kind::Read;
  request.offset = offset;
  request.length = length;
  take(request, std::vector<std::byte>(length), std::move(done));
}

int Node::write(std::uint64_t offset, const std::vector<std::byte>& data) {
  std::optional<int> result;
  write(offset, data, [&](int error) { result = error; });
  return pair_.until([&] { return result.has_value(); }) ? *result : ETIMEDOUT;
}

int Node::flush() {
  std::optional<int> result;
  flush([&](int error) { result = error; });
  return pair_.until([&] { return result.has_value(); }) ? *result : ETIMEDOUT;
}

std::vector<std::byte> Node::read(std::uint64_t offset, std::uint64_t length) {
  std::optional<int> result;
  std::vector<std::byte> got;
  read(offset, length, [&](int error, const std::vector<std::byte>& data) {
    result = error;
    got = data;
  });
  EXPECT_TRUE(pair_.until([&] { return result.has_value(); }));
  EXPECT_EQ(result.value_or(-1), 0);
  return got;
}

std::vector<std::byte> Node::content_on_disk() const {
  std::ifstream home(folder_ + "/home", std::ios::binary);
  std::vector<std::byte> content(std::filesystem::file_size(folder_ + "/home"));
  home.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(content.size()));
  auto files = open_files(folder_, false);
  auto found = inspect(*files);
  std::ifstream log(folder_ + "/log", std::ios::binary);
  std::vector<std::byte> ring(found->record.ring_length);
  log.read(reinterpret_cast<char*>(ring.data()), static_cast<std::streamsize>(ring.size()));
  const auto at = [&](std::uint64_t position) { return ring[position % ring.size()]; };
  for (core::Position position = found->record.checkpoint; position < found->end;) {
    std::vector<std::byte> block(core::kBlock);
    for (std::size_t i = 0; i < block.size(); ++i) {
      block[i] = at(position + i);
    }
    const auto header = core::decode_batch(block, content.size());
    for (const core::Entry& entry : header->entries) {
      for (std::uint64_t i = 0; i < entry.length; ++i) {
        content[entry.offset + i] = entry.type == core::EntryType::Write
                                        ? at(position + core::kBlock + entry.payload_offset + i)
                                        : std::byte{0};
      }
    }
    position = header->end();
  }
  return content;
}

// ---- the pair

Pair::Pair(std::uint64_t volume_bytes, std::uint64_t log_bytes) {
  auto opened = loop::Loop::open();
  loop = std::move(*opened);
  auto started = loop::Hands::start(*loop, {});
  hands = std::move(*started);
  const char* base = getenv("TMPDIR");
  std::string name = std::string(base == nullptr ? "/tmp" : base) + "/cb-replication-XXXXXX";
  root = mkdtemp(name.data());
  wire = std::make_unique<Wire>(*loop);
  settings.window = log_bytes / 4;
  settings.join_lag = 256u << 10;
  for (int node = 0; node < 2; ++node) {
    Format format;
    format.folder = root + (node == 0 ? "/a" : "/b");
    format.volume_bytes = volume_bytes;
    format.log_bytes = log_bytes;
    format.node = static_cast<core::Node>(node);
    format.instance_high = 1;
    format.instance_low = 2;
    const auto created = create(format);
    EXPECT_TRUE(created) << to_text(created.error());
    nodes_[node] = std::make_unique<Node>(*this, node);
  }
}

Pair::~Pair() {
  nodes_[0].reset();
  nodes_[1].reset();
  wire.reset();
  hands.reset();
  loop.reset();
  std::filesystem::remove_all(root);
}

void Pair::turn() {
  const auto turned = loop->turn(boottime_now() + 20_ms);
  ASSERT_TRUE(turned);
}

bool Pair::until(const std::function<bool()>& condition) {
  const Instant deadline = boottime_now() + 20_s;
  while (!condition()) {
    if (boottime_now() > deadline) {
      tell();
      return false;
    }
    turn();
  }
  return true;
}

// For whoever looks at a test that failed.
void Pair::tell() const {
  for (const auto& node : nodes_) {
    if (!node->up()) {
      std::printf("  down\n");
      continue;
    }
    const core::State& s = node->state();
    std::printf(
        "  stage %d standing %d epoch %llu claim %d held %d gated %d link %d agreed %d follower %d "
        "following %d copying-out %d prepared %d copying-in %d stall %d issued %llu appended %llu "
        "synced %llu committed %llu applied %llu received %llu tail %llu checkpoint %llu sending "
        "%d "
        "in-step %d dirty %llu recording %d folding %d\n",
        static_cast<int>(s.stage), static_cast<int>(s.record.standing),
        static_cast<unsigned long long>(s.record.epoch), static_cast<int>(s.claim.step), s.held,
        s.gated, s.link, s.peer.agreed, s.follower.active, s.following.active, s.copying.active,
        s.copying.prepared, s.record.copying != 0, static_cast<int>(s.stall),
        static_cast<unsigned long long>(s.issued), static_cast<unsigned long long>(s.appended),
        static_cast<unsigned long long>(s.synced), static_cast<unsigned long long>(s.committed),
        static_cast<unsigned long long>(s.applied),
        static_cast<unsigned long long>(s.follower.received),
        static_cast<unsigned long long>(s.record.tail),
        static_cast<unsigned long long>(s.record.checkpoint), s.sending, s.in_step_said,
        static_cast<unsigned long long>(s.map.set_count()), s.record_outstanding,
        s.fold_outstanding);
  }
}

void Pair::bring_into_step() {
  a().start();
  b().start();
  ASSERT_EQ(a().promote(), 0);
  ASSERT_TRUE(until([this] { return both_in_step(); }));
}

std::vector<std::byte> random_bytes(Prng& prng, std::size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t at = 0; at < length; at += 8) {
    const std::uint64_t word = prng.next();
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, length - at));
  }
  return bytes;
}

std::vector<std::byte> filled(std::size_t length, int value) {
  return std::vector<std::byte>(length, static_cast<std::byte>(value));
}

}  // namespace cb::replication
