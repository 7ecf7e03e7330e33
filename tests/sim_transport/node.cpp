// SPDX-License-Identifier: Apache-2.0
//
// The edge as the product has it, without the crypto: bytes, framing, timers, sessions. The judges
// of what is sent and delivered are here too.
#include "tests/sim_transport/node.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "tests/sim_transport/world.h"

namespace cb::sim_transport {

namespace {

constexpr Duration kOpenAgain = Duration::from_ms(20);
constexpr std::size_t kStampBytes = 20;  // of a message: session, class, number

uint8_t filler(uint64_t session, int klass, uint64_t number, std::size_t at) {
  return static_cast<uint8_t>(session * 131 + static_cast<uint64_t>(klass) * 17 + number * 7 +
                              at * 3 + (at >> 8) * 11);
}

void put(std::vector<uint8_t>& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    out.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
}

uint64_t get(const uint8_t* at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= static_cast<uint64_t>(at[i]) << (8 * i);
  }
  return value;
}

std::size_t index(int klass) { return static_cast<std::size_t>(klass); }

}  // namespace

Node::Node(World& world, int id)
    : world_(world),
      id_(id),
      prng_(world.options.seed * 977 + static_cast<uint64_t>(id)),
      core_(std::make_unique<core::State>()) {}

core::Settings Node::settings() const {
  core::Settings s;
  for (uint64_t& room : s.receive_room) {
    room = world_.options.room;
  }
  s.silence = Duration::from_s(2);
  s.phase_packets = 1000;
  return s;
}

void Node::start() {
  ++life_;
  *core_ = core::State{};
  session_ = opening_ = 0;
  pending_.clear();
  armed_ = Instant::never();
  for (int path = 0; path < world_.options.paths; ++path) {
    on_link(path, world_.pipe(id_, path).carrier);
  }
  open_at_ = world_.now();
  const unsigned life = life_;
  world_.at(Duration{}, [this, life] {
    if (life == life_) {
      open();
      feed();
    }
  });
}

void Node::on_link(int path, bool carrier) {
  const core::Outcome outcome = core::step(*core_,
                                           {.kind = core::EventKind::PathChanged,
                                            .path = path,
                                            .carrier = carrier,
                                            .packet_max = world_.options.packet_max},
                                           world_.now());
  if (outcome.dead && session_ != 0) {
    end();
  }
  pump();
}

// ---- sessions

void Node::open() {
  if (core_->alive) {
    return;
  }
  if (opening_ == 0) {
    opening_ = world_.next_session();
  }
  for (int path = 0; path < world_.options.paths; ++path) {
    world_.send(
        {.kind = Wire::Kind::Open, .from = id_, .path = path, .session = opening_, .size = 132});
  }
  const unsigned life = life_;
  world_.at(kOpenAgain, [this, life] {
    if (life == life_) {
      open();
    }
  });
}

void Node::begin(uint64_t session, int path) {
  world_.log("node %d session %llu over path %d", id_, static_cast<unsigned long long>(session),
             path);
  session_ = session;
  opening_ = 0;
  pending_.clear();
  const uint64_t room = world_.options.room;
  core::begin(*core_, settings(), {room, room, room}, path, world_.now());
  for (std::size_t i = 0; i < core::kClasses; ++i) {
    sent_[i].clear();
    given_at_[i].clear();
    received_[i].assign(room, 0xEE);
  }
  given_count_ = taken_count_ = {};
  numbers_seen_ = sent_again_ = 0;
  active_before_ = path;
}

void Node::end() {
  world_.log("node %d session %llu is dead", id_, static_cast<unsigned long long>(session_));
  session_ = 0;
  core_->alive = false;
  open();
}

void Node::receive(const Wire& wire) {
  switch (wire.kind) {
    case Wire::Kind::Open:
      if (opening_ != 0 && id_ == 0) {
        return;
      }
      if (wire.session > session_ && std::ranges::find(pending_, wire.session) == pending_.end()) {
        pending_.push_back(wire.session);
      }
      world_.send({.kind = Wire::Kind::Accept,
                   .from = id_,
                   .path = wire.path,
                   .session = wire.session,
                   .size = 116});
      return;
    case Wire::Kind::Accept:
      if (opening_ == wire.session && opening_ != 0) {
        begin(wire.session, wire.path);
        pump();
      }
      return;
    case Wire::Kind::Data: break;
  }
  if (wire.session != session_ && std::ranges::find(pending_, wire.session) != pending_.end()) {
    begin(wire.session, wire.path);
  }
  const bool ours =
      wire.session == session_ || (world_.options.planted == Planted::OldSession && session_ != 0);
  if (ours && core_->alive) {
    take(wire);
    pump();
  }
}

// ---- in

void Node::take(const Wire& wire) {
  const Planted planted = world_.options.planted;
  if (!core::fresh(*core_, wire.number)) {
    if (planted == Planted::DoubleDelivered && core::decode(wire.body, frames_) &&
        frames_.has_stream) {
      const uint8_t* data = wire.body.data() + frames_.data_at;
      if (frames_.length > kStampBytes + core::kMessageHead && get(data, 4) + 4 <= frames_.length) {
        judge_message(frames_.klass, data + 4, static_cast<uint32_t>(get(data, 4)));
      }
    }
    return;
  }
  if (!core::decode(wire.body, frames_)) {
    world_.object("a packet of the peer is malformed");
    return;
  }
  const core::Outcome outcome = core::step(*core_,
                                           {.kind = core::EventKind::Arrived,
                                            .path = wire.path,
                                            .size = wire.size,
                                            .number = wire.number,
                                            .frames = &frames_},
                                           world_.now());
  if (outcome.refused) {
    world_.object("node " + std::to_string(id_) + " refuses what the other sent");
    return;
  }
  if (planted == Planted::AckOfLost && core_->newest > 50 && core_->newest % 64 == 0) {
    core_->seen.fill(~uint64_t{0});
  }
  keep(outcome, frames_, wire);
  if (outcome.grown != 0) {
    deliver(frames_.klass);
  }
}

void Node::keep(const core::Outcome& outcome, const core::Frames& frames, const Wire& wire) {
  if (outcome.keep_length == 0) {
    return;
  }
  std::vector<uint8_t>& ring = received_[frames.klass];
  const core::ReceiveStream& in = core_->in[frames.klass];
  if (outcome.keep_from + outcome.keep_length > in.consumed + ring.size() ||
      outcome.keep_from < in.consumed) {
    world_.object("data outside the room");
    return;
  }
  if (world_.options.planted == Planted::AckWithoutData && wire.number % 97 == 96) {
    return;
  }
  const uint8_t* data = wire.body.data() + frames.data_at + (outcome.keep_from - frames.offset);
  const std::size_t at = outcome.keep_from % ring.size();
  const std::size_t first = std::min<std::size_t>(outcome.keep_length, ring.size() - at);
  std::memcpy(ring.data() + at, data, first);
  std::memcpy(ring.data(), data + first, outcome.keep_length - first);
}

void Node::deliver(int klass) {
  std::vector<uint8_t>& ring = received_[index(klass)];
  std::vector<uint8_t> held;
  while (true) {
    const core::ReceiveStream& in = core_->in[index(klass)];
    const uint64_t there = in.whole - in.consumed;
    if (there < core::kMessageHead) {
      break;
    }
    uint8_t head[4];
    for (std::size_t i = 0; i < 4; ++i) {
      head[i] = ring[(in.consumed + i) % ring.size()];
    }
    const auto length = static_cast<uint32_t>(get(head, 4));
    if (length > ring.size()) {
      world_.object("a message longer than the room");
      return;
    }
    if (there < core::kMessageHead + length) {
      break;
    }
    std::vector<uint8_t> message(length);
    const std::size_t at = (in.consumed + core::kMessageHead) % ring.size();
    const std::size_t first = std::min<std::size_t>(length, ring.size() - at);
    std::memcpy(message.data(), ring.data() + at, first);
    std::memcpy(message.data() + first, ring.data(), length - first);
    const uint64_t end = in.consumed + core::kMessageHead + length;
    core::step(*core_, {.kind = core::EventKind::Consumed, .klass = klass, .offset = end},
               world_.now());
    if (world_.options.planted == Planted::OutOfOrder && held.empty() && prng_.chance(1, 20)) {
      held = std::move(message);
      continue;
    }
    judge_message(klass, message.data(), length);
    if (!held.empty()) {
      judge_message(klass, held.data(), static_cast<uint32_t>(held.size()));
      held.clear();
    }
  }
  if (!held.empty()) {
    judge_message(klass, held.data(), static_cast<uint32_t>(held.size()));
  }
}

// Exactly once, in order, whole, of this session.
void Node::judge_message(int klass, const uint8_t* bytes, uint32_t length) {
  const std::string who = "node " + std::to_string(id_) + " class " + std::to_string(klass) + ": ";
  if (length < kStampBytes) {
    world_.object(who + "a message that nobody gave");
    return;
  }
  const uint64_t session = get(bytes, 8);
  const auto real_class = static_cast<int>(get(bytes + 8, 4));
  const uint64_t number = get(bytes + 12, 8);
  const bool shares = world_.options.planted == Planted::BulkBeforeControl;
  if (session != session_ || (real_class != klass && !shares)) {
    world_.object(who + "a message of another session or class");
    return;
  }
  uint64_t& expected = taken_count_[index(real_class)];
  if (number != expected) {
    world_.object(who + "message " + std::to_string(number) + " in place of " +
                  std::to_string(expected));
    return;
  }
  for (std::size_t i = kStampBytes; i < length; ++i) {
    if (bytes[i] != filler(session, real_class, number, i)) {
      world_.object(who + "message " + std::to_string(number) + " is not what was given");
      return;
    }
  }
  ++expected;
  if (real_class == core::kControl) {
    Node& peer = world_.node(1 - id_);
    world_.waited(world_.now() - peer.given_at_[0][number]);
  }
}

// ---- out

void Node::give(int klass, std::size_t length) {
  const int by = world_.options.planted == Planted::BulkBeforeControl && klass == core::kControl
                     ? core::kLog
                     : klass;
  length = std::max(length, kStampBytes);
  std::vector<uint8_t>& stream = sent_[index(by)];
  const uint64_t number = given_count_[index(klass)]++;
  put(stream, length, 4);
  put(stream, session_, 8);
  put(stream, static_cast<uint64_t>(klass), 4);
  put(stream, number, 8);
  for (std::size_t i = kStampBytes; i < length; ++i) {
    stream.push_back(filler(session_, klass, number, i));
  }
  given_at_[index(klass)].push_back(world_.now());
  budget -= static_cast<int64_t>(length);
  core::step(*core_, {.kind = core::EventKind::Given, .klass = by, .offset = stream.size()},
             world_.now());
}

// Bulk for as long as the peer takes it, and something of the other classes now and then.
void Node::feed() {
  const Options& o = world_.options;
  if (core_->alive && app_on && budget > 0) {
    // Mostly short ones, and spread over the time of the faults.
    const auto longest = static_cast<int64_t>(std::min<uint64_t>(o.room / 2, 200'000));
    const int64_t most = o.quiet || prng_.chance(1, 4) ? longest : std::min<int64_t>(longest, 3000);
    if (prng_.chance(1, 2)) {
      give(core::kControl,
           static_cast<std::size_t>(prng_.between(int64_t{20}, std::min<int64_t>(most, 600))));
    }
    const bool bulk = (id_ == 0 || o.both_busy) && (o.quiet || prng_.chance(1, 20));
    for (int klass = core::kResync; bulk && klass >= (o.resync_only ? core::kResync : core::kLog);
         --klass) {
      for (int i = 0; i < 8; ++i) {
        const uint64_t waiting = sent_[index(klass)].size() - core_->out[index(klass)].acked;
        if (waiting < std::max<uint64_t>(2 * o.room, 1 << 20) && budget > 0) {
          give(klass, static_cast<std::size_t>(prng_.between(int64_t{20}, most)));
        }
      }
    }
    pump();
  }
  const unsigned life = life_;
  world_.at(Duration::from_us(prng_.between(int64_t{100}, int64_t{2000})), [this, life] {
    if (life == life_) {
      feed();
    }
  });
}

void Node::transmit(int path, core::Packet& packet) {
  const Planted planted = world_.options.planted;
  uint64_t number = packet.number;
  if (planted == Planted::NumberTwice && core_->counts.sent_again > sent_again_) {
    sent_again_ = core_->counts.sent_again;
    --number;
  }
  if (number < numbers_seen_) {
    world_.object("packet number " + std::to_string(number) + " goes out twice");
  }
  numbers_seen_ = number + 1;
  Wire wire{.from = id_, .path = path, .session = session_, .number = number, .size = packet.size};
  wire.body.resize(packet.size - core::kHeader - core::kTag);
  const std::size_t front = core::encode(packet.frames, wire.body);
  if (packet.frames.has_stream) {
    const auto& stream = sent_[packet.frames.klass];
    if (packet.frames.offset + packet.frames.length > stream.size()) {
      world_.object("bytes are sent that nobody gave");
      return;
    }
    std::memcpy(wire.body.data() + front, stream.data() + packet.frames.offset,
                packet.frames.length);
  }
  if (front + packet.frames.length != wire.body.size()) {
    world_.object("a packet has not the size that it says");
  }
  world_.send(std::move(wire));
}

void Node::pump() {
  const Planted planted = world_.options.planted;
  if (planted == Planted::MoveForgets && core_->alive && core_->active != active_before_) {
    for (core::SendStream& stream : core_->out) {
      stream.lost.clear();
    }
  }
  active_before_ = core_->active;
  for (int path = 0; path < world_.options.paths && core_->alive; ++path) {
    core::Path& p = core_->paths[static_cast<std::size_t>(path)];
    if (planted == Planted::CreditIgnored) {
      for (core::SendStream& stream : core_->out) {
        stream.credit = UINT64_MAX;
      }
    } else if (planted == Planted::Unpaced) {
      p.resync_window = p.window = core_->settings.window_max;
    }
    while (world_.has_room(id_, path) && core::next_packet(*core_, path, world_.now(), packet_)) {
      transmit(path, packet_);
      if (p.in_flight >
          core_->settings.window_max + core_->settings.control_reserve + 3 * core::kSizeMax) {
        world_.object("more is under way than the window allows");
      }
    }
  }
  arm();
}

void Node::tick() {
  if (!core_->alive) {
    return;
  }
  const core::Outcome outcome = core::step(*core_, {.kind = core::EventKind::Tick}, world_.now());
  if (outcome.dead) {
    end();
    return;
  }
  pump();
}

void Node::arm() {
  const Instant next = core::next_deadline(*core_);
  if (next.is_never() || (armed_ <= next && armed_ > world_.now()) ||
      world_.options.planted == Planted::NoProbes) {
    return;
  }
  armed_ = std::max(next, world_.now() + Duration::from_us(1));
  const Instant mine = armed_;
  const unsigned life = life_;
  world_.at(armed_ - world_.now(), [this, life, mine] {
    if (life == life_ && armed_ == mine) {
      armed_ = Instant::never();
      tick();
      arm();
    }
  });
}

bool Node::all_delivered(const Node& peer) const {
  return given_count_ == peer.taken_count_ &&
         std::ranges::all_of(
             core_->out, [](const core::SendStream& stream) { return stream.acked == stream.end; });
}

std::string Node::where() const {
  std::string text = "node " + std::to_string(id_) + " session " + std::to_string(session_) +
                     " active " + std::to_string(core_->active);
  for (int klass = 0; klass < core::kClasses; ++klass) {
    const core::SendStream& out = core_->out[index(klass)];
    text += " class " + std::to_string(klass) + " given " +
            std::to_string(given_count_[index(klass)]) + " taken " +
            std::to_string(taken_count_[index(klass)]) + " acked " + std::to_string(out.acked) +
            " next " + std::to_string(out.next) + " end " + std::to_string(out.end) + " credit " +
            std::to_string(out.credit) + " lost " + std::to_string(out.lost.size());
  }
  for (int path = 0; path < world_.options.paths; ++path) {
    const core::Path& p = core_->paths[static_cast<std::size_t>(path)];
    text += " path " + std::to_string(path) + (p.carrier ? "" : " no carrier") + " in flight " +
            std::to_string(p.in_flight) + " window " + std::to_string(p.window) + " size " +
            std::to_string(p.size) + " misses " + std::to_string(p.misses) + " timeouts " +
            std::to_string(p.timeouts);
  }
  return text;
}

}  // namespace cb::sim_transport
