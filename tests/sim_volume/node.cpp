// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_volume/node.h"

#include <algorithm>
#include <cerrno>

#include "base/crc32c.h"
#include "core/volume/dirty_map.h"
#include "core/volume/history.h"

namespace cb::sim_volume {

using volume::ActionKind;
using volume::EventKind;
using volume::kBlock;

namespace {

uint32_t crc_of(const uint64_t* stamps, std::size_t count) {
  return crc32c({reinterpret_cast<const std::byte*>(stamps), count * sizeof(uint64_t)});
}

bool payload_fine(const StoredBatch& batch) {
  for (const volume::Entry& entry : batch.header.entries) {
    if (entry.type == volume::EntryType::Write &&
        crc_of(&batch.stamps[entry.payload_offset / kBlock], entry.length / kBlock) != entry.crc) {
      return false;
    }
  }
  return true;
}

}  // namespace

Node::Node(World& world, int id) : w_(world), id_(id), ring_(world.options.ring_blocks) {
  map_words_.resize(volume::DirtyMap::words_for(kVolumeBlocks * kBlock));
}

void Node::format(const volume::Record& record) {
  for (std::size_t copy = 0; copy < 2; ++copy) {
    auto bytes = std::vector<std::byte>(kBlock);
    volume::encode(record, bytes);
    super_.write(copy, {0, std::make_shared<const std::vector<std::byte>>(std::move(bytes))});
  }
  super_.sync_to(super_.mark());
  // What was on the disk before, where the volume does not reach yet.
  for (auto at = static_cast<std::size_t>(record.volume_length / kBlock); at < kVolumeBlocks;
       ++at) {
    home_.write(at, {UINT64_MAX - at, nullptr});
  }
  home_.sync_to(home_.mark());
}

std::size_t Node::ring_block(volume::Position position) const {
  return static_cast<std::size_t>(position / kBlock % ring_.blocks());
}

std::optional<StoredBatch> Node::read_batch(volume::Position position) const {
  const Cell& cell = ring_.read(ring_block(position));
  if (!cell.bytes) {
    return std::nullopt;
  }
  auto header = volume::decode_batch(*cell.bytes, kVolumeBlocks * kBlock);
  if (!header || header->position != position) {
    return std::nullopt;
  }
  StoredBatch batch{*header, {}};
  for (volume::Position at = position + kBlock; at < header->end(); at += kBlock) {
    batch.stamps.push_back(ring_.read(ring_block(at)).stamp);
  }
  return batch;
}

volume::Record Node::load(bool& map_fine) {
  std::array<std::optional<volume::Record>, 2> copies;
  for (std::size_t copy = 0; copy < 2; ++copy) {
    if (super_.read(copy).bytes) {
      copies[copy] = volume::decode_record(*super_.read(copy).bytes);
    }
  }
  const auto found = volume::newer(copies[0], copies[1]);
  if (!found) {
    w_.judge.object("superblock: neither copy of " + name() + " can be read");
    return {};
  }
  volume::Record record = *found;
  std::fill(map_words_.begin(), map_words_.end(), 0);
  map_fine = true;
  if (record.map.present) {
    const Cell& cell = map_disk_.read(record.map.slot);
    map_fine = cell.bytes && volume::decode_map_block(*cell.bytes, record.map.to, 0, map_words_);
    if (!map_fine) {
      record.map = {};  // the peer gets a copy of everything
    }
  }
  return record;
}

void Node::start() {
  up_ = true;
  ++life_;
  full = false;
  demoted = false;
  promote_error = 0;
  heard_.clear();
  composing_.clear();
  written_.clear();
  flushes_.clear();
  flush_requests_ = 0;
  tick_at_ = Instant::never();
  bool map_fine = true;
  const volume::Record record = load(map_fine);
  if (!w_.judge.fine()) {
    return;
  }
  if (!map_fine) {
    w_.judge.object("D5: the map that " + name() + " counts on cannot be read");
    return;
  }
  if (record.copying == 0) {
    super_.sync_to(super_.mark());  // before what it no longer needs goes
    protected_.reset();
    kept_.reset();
  }
  shadow_.clear();
  base_ = record.checkpoint;
  base_digest_ = record.checkpoint_digest;
  volume::Scan scan(record);
  while (!scan.finished()) {
    const auto batch = read_batch(scan.next());
    const volume::Position before = scan.end();
    const bool trusts = w_.options.planted == Planted::ScanTrusts;
    scan.found(batch ? &batch->header : nullptr, batch && (trusts || payload_fine(*batch)));
    if (scan.end() != before) {
      shadow_.emplace_back(scan.end(), scan.digest());
    }
  }
  volume::Settings settings;
  settings.mode = w_.options.mode;
  settings.window = 24 * kBlock;
  settings.join_lag = 20 * kBlock;
  settings.unsynced_max = 16 * kBlock;
  volume::begin(s_, settings, volume::DirtyMap(map_words_, record.volume_length));
  volume::Event started;
  started.kind = EventKind::Started;
  started.record = &record;
  started.kept = kept_.has_value();
  started.position = scan.end();
  started.digest = scan.digest();
  started.committed = scan.committed();
  started.damaged_until = scan.damaged() ? scan.durable() : 0;
  started.session = ++w_.sessions;
  started.seed = {w_.prng.next() | 1, w_.prng.next()};
  w_.log("%s starts: standing %d epoch %llu tail %llu checkpoint %llu end %llu%s%s", name().c_str(),
         static_cast<int>(record.standing), static_cast<unsigned long long>(record.epoch),
         static_cast<unsigned long long>(record.tail / kBlock),
         static_cast<unsigned long long>(record.checkpoint / kBlock),
         static_cast<unsigned long long>(scan.end() / kBlock), scan.damaged() ? " DAMAGED" : "",
         record.copying != 0 ? " copying" : "");
  if (killed_cleanly_ && !scan.damaged() && record.copying == 0 && scan.end() < answered_) {
    w_.judge.object("D6: " + name() + " lost writes that it had answered");
  }
  killed_cleanly_ = false;
  answered_ = 0;
  event(started);
  check_disks("after a start");
}

void Node::kill() {
  killed_cleanly_ = up_;
  up_ = false;
  ++life_;
  w_.log("%s: process killed", name().c_str());
}

void Node::power_off() {
  up_ = false;
  ++life_;
  killed_cleanly_ = false;
  for (Disk* disk : {&super_, &map_disk_, &ring_, &home_}) {
    disk->power_cut(w_.prng);
  }
  w_.log("%s: power off", name().c_str());
}

void Node::rot() {
  if (s_.synced <= s_.record.checkpoint) {
    return;
  }
  const uint64_t blocks = (s_.synced - s_.record.checkpoint) / kBlock;
  const auto at = ring_block(s_.record.checkpoint + w_.prng.below(blocks) * kBlock);
  w_.log("%s: rot in block %zu of the ring", name().c_str(), at);
  ring_.rot(at);
}

void Node::later(Duration least, Duration most, std::function<void()> what) {
  Duration wait = w_.prng.between(least, most);
  if (w_.options.stalls && !w_.healed() && w_.prng.chance(1, 400)) {
    wait = wait + Duration::from_ms(w_.prng.between(int64_t{20}, int64_t{2000}));
  }
  w_.at(wait, [this, life = life_, what = std::move(what)] {
    if (up_ && life == life_) {
      what();
    }
  });
}

void Node::later(std::function<void()> what) {
  later(Duration::from_us(20), Duration::from_us(400), std::move(what));
}

void Node::schedule_tick() {
  const Instant due = std::max(volume::next_deadline(s_), w_.now() + 1_ms);
  if (due >= tick_at_ && tick_at_ > w_.now()) {
    return;
  }
  if (volume::next_deadline(s_).is_never()) {
    return;
  }
  tick_at_ = due;
  w_.at(due - w_.now(), [this, life = life_, due] {
    if (up_ && life == life_ && tick_at_ == due) {
      tick_at_ = Instant::never();
      event({.kind = EventKind::Tick});
    }
  });
}

void Node::event(volume::Event event) {
  if (!up_ || !w_.judge.fine()) {
    return;
  }
  if (w_.options.planted == Planted::GateLate && s_.record.standing == volume::Standing::Alone) {
    s_.gated = false;
  }
  const volume::Stage before = s_.stage;
  const volume::Standing standing = s_.record.standing;
  const volume::Actions actions = volume::step(s_, event, w_.now());
  while (!shadow_.empty() && shadow_.back().first > s_.issued) {
    shadow_.pop_back();  // cut off
  }
  if ((s_.wanted.copying != 0 && s_.issued == s_.wanted.tail) ||
      event.kind == EventKind::ImageRestored) {
    shadow_.clear();
    base_ = s_.issued;
    base_digest_ = s_.issued_digest;
  }
  answered_ = std::min(answered_, s_.issued);
  if (before != volume::Stage::Standing && s_.stage == volume::Stage::Standing) {
    written_.clear();  // unmounted: a later flush says nothing of these
  }
  run(actions);
  if (before != s_.stage || standing != s_.record.standing) {
    w_.log("%s: stage %d standing %d epoch %llu end %llu committed %llu", name().c_str(),
           static_cast<int>(s_.stage), static_cast<int>(s_.record.standing),
           static_cast<unsigned long long>(s_.record.epoch),
           static_cast<unsigned long long>(s_.issued / kBlock),
           static_cast<unsigned long long>(s_.committed / kBlock));
    if (s_.record.standing == volume::Standing::Together && standing != s_.record.standing) {
      check_disks("when taken into step");
    }
  }
  // Granted just now. (A hand-over that is taken back grants nothing: what such a node serves is
  // the guard's.)
  if (before == volume::Stage::Promoting && s_.stage == volume::Stage::Serving) {
    check_disks("when it begins to serve");
    if (const auto held = content(); held && !w_.loss_accepted()) {
      w_.judge.serves(name(), *held);
    }
  }
  w_.check(*this);
  schedule_tick();
}

volume::Digest Node::digest_at(volume::Position position) const {
  if (position == base_) {
    return base_digest_;
  }
  for (const auto& [end, digest] : shadow_) {
    if (end == position) {
      return digest;
    }
  }
  return {};
}

std::optional<Content> Node::content() const {
  Content content(kVolumeBlocks);
  for (std::size_t i = 0; i < blocks(); ++i) {
    content[i] = home_.read(i).stamp;
  }
  volume::Position at = s_.record.checkpoint;
  while (at < s_.issued) {
    const auto batch = read_batch(at);
    if (!batch || !payload_fine(*batch)) {
      return std::nullopt;
    }
    for (const volume::Entry& entry : batch->header.entries) {
      for (std::size_t i = 0; i < entry.length / kBlock; ++i) {
        content[entry.offset / kBlock + i] = entry.type == volume::EntryType::Write
                                                 ? batch->stamps[entry.payload_offset / kBlock + i]
                                                 : 0;
      }
    }
    at = batch->header.end();
  }
  return content;
}

// D3: what the disks make of the volume is what the log says.
void Node::check_disks(const char* when) {
  if (!up_ || s_.failed || volume::damaged(s_) || s_.record.copying != 0 ||
      s_.wanted.copying != 0 || w_.options.media) {
    return;
  }
  const Content* expected = w_.judge.content_of(s_.issued_digest);
  const auto held = content();
  if (expected == nullptr || !held) {
    w_.judge.object("D3: the log of " + name() + " cannot be read " + when);
    return;
  }
  for (std::size_t block = 0; block < held->size(); ++block) {
    if ((*held)[block] != (*expected)[block]) {
      w_.judge.object("D3: block " + std::to_string(block) + " of " + name() + " holds write " +
                      std::to_string((*held)[block]) + ", its log says " +
                      std::to_string((*expected)[block]) + " " + when);
      return;
    }
  }
}

void Node::deliver(const Packet& packet) {
  if (!up_) {
    return;
  }
  const auto decoded = volume::decode_message(packet.bytes);
  CB_CHECK_MSG(decoded.has_value(), "a message that our own encoder made");
  volume::Event event{.kind = EventKind::Heard};
  std::optional<volume::BatchHeader> batch;
  if (decoded->message.kind == volume::MessageKind::Batch) {
    batch = volume::decode_batch(volume::ConstBytes(packet.bytes).subspan(decoded->used),
                                 s_.record.volume_length);
    if (!batch) {
      w_.judge.object("D3: " + name() + " was sent a write beyond its end");
      return;
    }
    event.batch = &*batch;
  }
  volume::Message message = decoded->message;
  // A bad stretch of the link, which that bug needs to do harm: the rest of the log comes late.
  if (w_.options.planted == Planted::InStepEarly && !w_.healed() &&
      message.kind == volume::MessageKind::Batch && s_.issued >= slow_from_ &&
      w_.prng.chance(9, 10)) {
    return;
  }
  if (w_.options.trace) {
    const auto blocks = [](uint64_t bytes) { return std::to_string(bytes / kBlock); };
    w_.log("  %s hears %d number %s at %s synced %s committed %s flush %s", name().c_str(),
           static_cast<int>(message.kind), std::to_string(message.number).c_str(),
           blocks(message.position).c_str(), blocks(message.synced).c_str(),
           blocks(message.committed).c_str(), blocks(message.flush).c_str());
  }
  event.message = &message;
  event.epochs = &decoded->epochs;
  heard_ = packet.stamps;
  spoil(event, batch);
  this->event(event);
}

void Node::link(bool up) {
  if (up_) {
    event({.kind = up ? EventKind::LinkUp : EventKind::LinkDown});
  }
}

void Node::work() {
  if (!serving()) {
    return;
  }
  const uint64_t writes = w_.prng.below(4);
  for (uint64_t i = 0; i < writes; ++i) {
    const std::size_t length = static_cast<std::size_t>(w_.prng.between(int64_t{1}, int64_t{6}));
    if (!volume::can_take(s_, length * kBlock)) {
      break;
    }
    const std::size_t block = w_.prng.below(s_.record.volume_length / kBlock - length);
    volume::Event write{.kind = EventKind::Write};
    write.entry.offset = block * kBlock;
    write.entry.length = static_cast<uint32_t>(length * kBlock);
    if (w_.prng.chance(1, 12)) {
      write.entry.type = volume::EntryType::Zero;
      for (std::size_t at = block; at < block + length; ++at) {
        w_.judge.zeroed(at, w_.next_stamp());
      }
    } else {
      std::vector<uint64_t> stamps;
      for (std::size_t at = block; at < block + length; ++at) {
        stamps.push_back(w_.next_stamp());
        written_.emplace_back(at, stamps.back());
      }
      write.entry.crc = crc_of(stamps.data(), stamps.size());
      composing_.insert(composing_.end(), stamps.begin(), stamps.end());
    }
    write.flushed = w_.options.write_through && flushes_.size() < 3;
    event(write);
    if (!up_ || !serving()) {
      return;
    }
    if (write.flushed) {
      flush();
    }
  }
  if (w_.prng.chance(1, 3) && flushes_.size() < 3) {
    flush();
  }
}

void Node::flush() {
  flushes_.push_back({++flush_requests_, std::move(written_)});
  written_.clear();
  volume::Event flush{.kind = EventKind::Flush};
  flush.request = flush_requests_;
  event(flush);
}

std::string Node::describe() const {
  std::string text = name() + (up_ ? "" : " DOWN");
  const auto add = [&](const char* what, uint64_t value) {
    text += std::string(" ") + what + " " + std::to_string(value);
  };
  add("stage", static_cast<uint64_t>(s_.stage));
  add("standing", static_cast<uint64_t>(s_.record.standing));
  add("epoch", s_.record.epoch);
  add("tail", s_.record.tail / kBlock);
  add("checkpoint", s_.record.checkpoint / kBlock);
  add("applied", s_.applied / kBlock);
  add("committed", s_.committed / kBlock);
  add("synced", s_.synced / kBlock);
  add("appended", s_.appended / kBlock);
  add("issued", s_.issued / kBlock);
  add("gated", s_.gated);
  add("held", s_.held);
  add("claim", static_cast<uint64_t>(s_.claim.step));
  add("agreed", s_.peer.agreed);
  add("peer-standing", static_cast<uint64_t>(s_.peer.standing));
  add("peer-granted", s_.peer.granted);
  add("follower", s_.follower.active);
  add("sent", s_.follower.sent / kBlock);
  add("received", s_.follower.received / kBlock);
  add("their-synced", s_.follower.synced / kBlock);
  add("following", s_.following.active);
  add("wanted", s_.following.wanted);
  add("joining", s_.following.joining);
  add("preparing", s_.following.preparing);
  add("copying-in", s_.record.copying != 0);
  add("copying-out", s_.copying.active);
  add("prepared", s_.copying.prepared);
  add("in-flight", s_.copying.in_flight.size());
  add("dirty", s_.map.set_count());
  add("map", s_.record.map.present);
  add("record-outstanding", s_.record_outstanding);
  add("damaged", volume::damaged(s_));
  add("in-step", s_.in_step_said);
  add("flushes", flushes_.size());
  const volume::Record& r = s_.recording;
  add("recording: tail", r.tail / kBlock);
  add("checkpoint", r.checkpoint / kBlock);
  add("map", r.map.present);
  add("from", r.map.from / kBlock);
  add("to", r.map.to / kBlock);
  for (const volume::Epoch& epoch : r.epochs) {
    add("epoch", epoch.number);
    add("at", epoch.start / kBlock);
  }
  return text;
}

}  // namespace cb::sim_volume
