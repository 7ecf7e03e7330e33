// SPDX-License-Identifier: Apache-2.0
//
// What the actions of a node do to its disks and to the wire, with the planted bugs: all of them
// are bugs of edges, of the wire or of the register. The core itself is the one of the product.
#include <algorithm>
#include <cerrno>

#include "core/volume/dirty_map.h"
#include "core/volume/history.h"
#include "tests/sim_volume/node.h"

namespace cb::sim_volume {

using volume::ActionKind;
using volume::EventKind;
using volume::kBlock;

namespace {

std::shared_ptr<const std::vector<std::byte>> share(std::vector<std::byte> bytes) {
  return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

}  // namespace

void Node::run(const volume::Actions& actions) {
  for (const volume::Action& action : actions) {
    if (up_) {
      run(action);
    }
  }
}

void Node::run(const volume::Action& action) {
  switch (action.kind) {
    case ActionKind::None: break;
    case ActionKind::AnswerWrites:
      if (action.error == 0) {
        answered_ = s_.slots[static_cast<std::size_t>(action.slot)].header.end();
      } else {
        composing_.clear();
      }
      break;
    case ActionKind::AnswerFlushes: answer_flushes(action); break;
    case ActionKind::Append: append(action); break;
    case ActionKind::Sync: sync(action); break;
    case ActionKind::Record: record(); break;
    case ActionKind::Apply: apply(action); break;
    case ActionKind::SyncHome:
      later([this, mark = home_.mark(), position = action.position] {
        home_.sync_to(mark);
        event({.kind = EventKind::HomeSynced, .position = position});
      });
      break;
    case ActionKind::Fold: fold(action); break;
    case ActionKind::ReadRegister: w_.read_register(id_); break;
    case ActionKind::SwapRegister: w_.swap_register(id_, action.expected, action.wanted); break;
    case ActionKind::Say: say(action.message, nullptr, {}); break;
    case ActionKind::Send: send(action); break;
    case ActionKind::SendExtent: send_extent(action); break;
    case ActionKind::WriteExtent: write_extent(action); break;
    case ActionKind::ProtectImage: protect(action); break;
    case ActionKind::RestoreImage:
      later([this] {
        w_.log("%s: takes the image that it kept", name().c_str());
        home_ = *protected_;
        const volume::Record kept = *kept_;
        event({.kind = EventKind::ImageRestored, .record = &kept});
      });
      break;
    case ActionKind::ReleaseImage:
      protected_.reset();
      kept_.reset();
      check_disks("when a copy ended");
      break;
    case ActionKind::GrowFiles: grow(action); break;
    case ActionKind::LengthChanged:
      s_.map = volume::DirtyMap(map_words_, s_.record.volume_length);
      w_.log("%s: the volume has %llu blocks", name().c_str(),
             static_cast<unsigned long long>(s_.record.volume_length / kBlock));
      break;
    case ActionKind::ResizeDone:
      w_.log("%s: resize answered %d", name().c_str(), action.error);
      w_.resized(action.error == 0);
      break;
    case ActionKind::ReadSums: read_sums(action); break;
    case ActionKind::SendSums: say(action.message, nullptr, own_sums_); break;
    case ActionKind::KeepSums: their_sums_ = heard_; break;
    case ActionKind::VerifyDone: compare_sums(action); break;
    case ActionKind::PromoteDone:
      promote_error = action.error;
      w_.log("%s: promote answered %d", name().c_str(), action.error);
      break;
    case ActionKind::DiscardDone:
      w_.log("%s: discard answered %d", name().c_str(), action.error);
      break;
    case ActionKind::DemoteDone:
      demoted = action.error == 0;
      w_.log("%s: demote answered %d", name().c_str(), action.error);
      break;
    case ActionKind::InStep: w_.log("%s: in step", name().c_str()); break;
    case ActionKind::FellBehind: w_.log("%s: fell behind", name().c_str()); break;
    case ActionKind::Deposed: w_.log("%s: deposed", name().c_str()); break;
    case ActionKind::Stalled:
      w_.log("%s: stall %d", name().c_str(), static_cast<int>(action.stall));
      w_.log("%s", describe().c_str());
      if (action.stall == volume::Stall::Split || action.stall == volume::Stall::Unrelated) {
        w_.judge.object(
            "D2: " + name() + " sees " +
            (action.stall == volume::Stall::Split ? "a split history" : "an unrelated history"));
      }
      break;
  }
}

// What is kept must be what the history was at exactly the place that its record names: at any
// instant of the copy it may be all that there is.
void Node::protect(const volume::Action& action) {
  if (s_.record.copying == 0) {
    protected_ = home_;
    kept_.reset();
    if (action.number == 1) {
      kept_ = s_.record;
      const Content* expected = w_.judge.content_of(s_.record.checkpoint_digest);
      for (std::size_t i = 0; i < blocks() && !w_.options.media; ++i) {
        if (expected == nullptr || home_.read(i).stamp != (*expected)[i]) {
          w_.judge.object("D4: what " + name() + " keeps during a copy is no image, at block " +
                          std::to_string(i));
          break;
        }
      }
    }
  }
  later([this] { event({.kind = EventKind::ImageProtected}); });
}

void Node::append(const volume::Action& action) {
  const auto index = static_cast<std::size_t>(action.slot);
  const volume::Slot& slot = s_.slots[index];
  if (slot.answers) {
    payloads_[index] = std::move(composing_);
    composing_.clear();
  } else {
    payloads_[index] = heard_;
  }
  w_.judge.entered(digest_at(slot.header.position), slot.header, payloads_[index]);
  shadow_.emplace_back(slot.header.end(), slot.header.digest);
  std::vector<std::byte> bytes(kBlock);
  volume::encode(slot.header, bytes);
  ring_.write(ring_block(slot.header.position), {0, share(std::move(bytes))});
  volume::Position at = slot.header.position + kBlock;
  for (std::size_t i = 0; at < slot.header.end(); ++i, at += kBlock) {
    ring_.write(ring_block(at), {i < payloads_[index].size() ? payloads_[index][i] : 0, nullptr});
  }
  if (!slot.durably) {
    later([this, number = action.slot] { event({.kind = EventKind::Appended, .slot = number}); });
    return;
  }
  const auto blocks = (slot.header.end() - slot.header.position) / kBlock;
  sync_later(ring_.mark() - blocks, ring_.mark(),
             {.kind = EventKind::Appended, .slot = action.slot});
}

void Node::sync(const volume::Action& action) {
  sync_later(0, ring_.mark(), {.kind = EventKind::Synced, .position = action.position});
}

// What was written between two marks is durable when the answer comes.
void Node::sync_later(uint64_t from, uint64_t to, const volume::Event& answer) {
  later(Duration::from_us(50), Duration::from_ms(3), [this, from, to, answer] {
    const bool lies = w_.options.planted == Planted::FlushLies ||
                      (w_.options.planted == Planted::StandbyFlushLies && !serving());
    if (w_.options.sync_errors && !w_.healed() && w_.prng.chance(1, 300)) {
      w_.log("%s: sync fails", name().c_str());
      ring_.fail_sync();
      answered_ = 0;  // these writes are lost, and nobody may say otherwise
      volume::Event failed = answer;
      failed.error = EIO;
      event(failed);
      return;
    }
    if (!lies) {
      ring_.sync_between(from, to);
    }
    event(answer);
  });
}

void Node::record() {
  std::vector<std::byte> bytes(kBlock);
  volume::encode(s_.recording, bytes);
  const auto decoded = volume::decode_record(bytes);
  if (!decoded || !(*decoded == s_.recording)) {
    w_.judge.object("superblock: " + name() + " would write what it could not read");
    w_.log("%s", describe().c_str());
    return;
  }
  const std::size_t copy =
      w_.options.planted == Planted::OneSuperblock ? 0 : s_.recording.counter % 2;
  super_.write(copy, {0, share(std::move(bytes))});
  if (w_.options.planted == Planted::RecordLies) {
    later([this] { event({.kind = EventKind::Recorded}); });
    return;
  }
  later(Duration::from_us(100), Duration::from_ms(4), [this, mark = super_.mark()] {
    super_.sync_to(mark);
    event({.kind = EventKind::Recorded});
  });
}

void Node::apply(const volume::Action& action) {
  volume::Position at = action.from;
  volume::Digest digest = s_.applied_digest;
  const volume::Position limit =
      w_.options.planted == Planted::HomeTooFar ? s_.appended : action.position;
  int error = w_.options.full && !w_.healed() && w_.prng.chance(1, 200) ? ENOSPC : 0;
  volume::Position told = at;
  while (error == 0 && at < limit) {
    const auto batch = read_batch(at);
    if (!batch || batch->header.end() > limit) {
      error = batch ? 0 : EIO;
      break;
    }
    for (const volume::Entry& entry : batch->header.entries) {
      for (std::size_t i = 0; i < entry.length / kBlock; ++i) {
        const bool data = entry.type == volume::EntryType::Write;
        home_.write(entry.offset / kBlock + i,
                    {data ? batch->stamps[entry.payload_offset / kBlock + i] : 0, nullptr});
      }
    }
    at = batch->header.end();
    if (at <= action.position) {
      told = at;
      digest = batch->header.digest;
    }
  }
  later([this, told, digest, error] {
    event({.kind = EventKind::Applied, .error = error, .position = told, .digest = digest});
  });
}

void Node::fold(const volume::Action& action) {
  volume::Position at = action.from;
  volume::Digest digest = s_.record.tail_digest;
  int error = 0;
  while (at < action.position) {
    const auto batch = read_batch(at);
    if (!batch) {
      error = EIO;
      break;
    }
    s_.map.fold(batch->header);
    at = batch->header.end();
    digest = batch->header.digest;
  }
  std::vector<std::byte> bytes(kBlock);
  volume::encode_map_block(action.position, 0, map_words_, bytes);
  map_disk_.write(static_cast<std::size_t>(action.slot), {0, share(std::move(bytes))});
  w_.log("%s: folds the log up to %llu, %llu extents differ", name().c_str(),
         static_cast<unsigned long long>(at / kBlock),
         static_cast<unsigned long long>(s_.map.set_count()));
  later(Duration::from_us(100), Duration::from_ms(4),
        [this, at, digest, error, mark = map_disk_.mark()] {
          if (w_.options.planted != Planted::MapNotDurable) {
            map_disk_.sync_to(mark);
          }
          event({.kind = EventKind::Folded, .error = error, .position = at, .digest = digest});
        });
}

void Node::send(volume::Action action) {
  later(Duration::from_us(1), Duration::from_us(30), [this, action]() mutable {
    volume::Position at = action.from;
    for (int i = 0; i < 3 && at < action.position; ++i) {
      const auto batch = read_batch(at);
      if (!batch) {
        if (i == 0) {
          event({.kind = EventKind::Sent, .error = EIO, .number = action.number, .position = at});
          return;
        }
        break;
      }
      action.message.position = at;
      say(action.message, &*batch, batch->stamps);
      at = batch->header.end();
    }
    event({.kind = EventKind::Sent, .number = action.number, .position = at});
  });
}

void Node::say(const volume::Message& message, const StoredBatch* batch,
               const std::vector<uint64_t>& stamps) {
  Packet packet;
  packet.from = id_;
  packet.bytes.resize(volume::kMessageBytes + volume::kEpochsMax * volume::kEpochWireBytes +
                      kBlock);
  std::size_t used = volume::encode(message, s_.record.epochs, packet.bytes);
  if (batch != nullptr) {
    used += volume::encode(batch->header, volume::Bytes(packet.bytes).subspan(used));
  }
  packet.bytes.resize(used);
  packet.stamps = stamps;
  w_.send(packet);
}

void Node::send_extent(const volume::Action& action) {
  std::vector<uint64_t> stamps;
  for (std::size_t i = 0; i < kBlocksPerExtent; ++i) {
    stamps.push_back(home_.read(action.message.extent * kBlocksPerExtent + i).stamp);
  }
  if (w_.options.planted == Planted::MapBitEarly) {
    s_.map.clear(action.message.extent);
  }
  say(action.message, nullptr, stamps);
}

void Node::write_extent(const volume::Action& action) {
  if ((action.message.extent + 1) * volume::kExtent > s_.record.volume_length) {
    w_.judge.object("D3: " + name() + " was sent an extent beyond its end");
    return;
  }
  for (std::size_t i = 0; i < kBlocksPerExtent; ++i) {
    home_.write(action.message.extent * kBlocksPerExtent + i, {heard_[i], nullptr});
  }
  later([this, mark = home_.mark(), number = action.number, extent = action.message.extent] {
    home_.sync_to(mark);
    event({.kind = EventKind::ExtentWritten, .request = extent, .number = number});
  });
}

// Half of the stretch is read when it begins and half when it ends, so that whatever moves the
// image meanwhile is seen.
void Node::read_sums(const volume::Action& action) {
  const std::size_t first = action.message.extent * kBlocksPerStretch;
  auto sums = std::make_shared<std::vector<uint64_t>>();
  const std::size_t end = std::min<std::size_t>(first + kBlocksPerStretch, blocks());
  const auto read_half = [this, first, end, sums] {
    const std::size_t from = first + sums->size();
    for (std::size_t i = from; i < std::min(from + kBlocksPerStretch / 2, end); ++i) {
      sums->push_back(home_.read(i).stamp);
    }
  };
  const auto expected = [this, first, sums](volume::Position at) {
    const Content* content = w_.judge.content_of(digest_at(at));
    for (std::size_t i = 0; content != nullptr && i < sums->size(); ++i) {
      if ((*sums)[i] != (*content)[first + i] && !w_.options.media) {
        w_.judge.object("D3: block " + std::to_string(first + i) + " of " + name() +
                        " is not what the log says at the position compared");
        return;
      }
    }
  };
  const auto finish = [=, this] {
    read_half();
    const volume::Verifying& v = s_.verifying;
    if (v.reading && v.side != volume::Verifying::Side::None && v.number == action.number) {
      expected(action.position);  // else it was given up meanwhile, and nobody takes it
    }
    own_sums_ = *sums;
  };
  read_half();
  if (w_.options.planted == Planted::SumsUnheld) {
    s_.verifying.read = true;  // the image is not held any more
  }
  later([=, this] {
    finish();
    event({.kind = EventKind::SumsRead, .number = action.number});
  });
}

void Node::grow(const volume::Action& action) {
  const bool no_room = w_.options.full && !w_.healed() && w_.prng.chance(1, 3);
  if (!no_room && w_.options.planted != Planted::GrownDirty) {
    for (uint64_t at = action.from / kBlock; at < action.number / kBlock; ++at) {
      home_.write(static_cast<std::size_t>(at), {0, nullptr});
    }
  }
  later(Duration::from_ms(1), Duration::from_ms(30),
        [this, number = action.number, no_room, mark = home_.mark()] {
          home_.sync_to(mark);
          event({.kind = EventKind::FilesGrown, .error = no_room ? ENOSPC : 0, .number = number});
        });
}

void Node::compare_sums(const volume::Action& action) {
  if (action.error != 0) {
    return;
  }
  w_.compared();
  if (own_sums_ != their_sums_ && !w_.options.media) {
    w_.judge.object("D3: " + name() + " finds the images different in stretch " +
                    std::to_string(comparing_));
  }
}

void Node::compare(uint64_t stretch) {
  comparing_ = stretch;
  event({.kind = EventKind::Verify, .number = stretch});
}

void Node::answer_flushes(const volume::Action& action) {
  while (!flushes_.empty() && flushes_.front().request <= action.number) {
    if (action.error == 0) {
      w_.judge.flushed(flushes_.front().writes);
      ++flushes_answered_;
      const bool alone = volume::acknowledges_alone(s_);
      if (alone && w_.options.mode != volume::Mode::Async && w_.registered().holder != id_) {
        w_.judge.object("D2: " + name() + " acknowledged alone, and the register names the other");
      }
    }
    flushes_.pop_front();
  }
  if (action.error == 0) {
    w_.judge.acknowledged(name(), s_.committed, digest_at(s_.committed));
  }
}

void Node::spoil(volume::Event& event, std::optional<volume::BatchHeader>& batch) {
  const volume::Message& m = *event.message;
  if (w_.options.planted == Planted::DuplicateAccepted && batch && batch->position < s_.issued &&
      s_.following.active && batch->generation == s_.record.epochs.back().generation) {
    batch->position = s_.issued;
    batch->synced = batch->committed = 0;
    batch->digest = volume::digest_after(s_.issued_digest, *batch);
    const_cast<volume::Message&>(m).position = s_.issued;
  }
  if (w_.options.planted == Planted::InStepEarly && m.kind == volume::MessageKind::Join &&
      s_.stage == volume::Stage::Standing && !s_.record_outstanding && !s_.wanted.epochs.empty() &&
      m.epoch.number > s_.wanted.epochs.back().number) {
    volume::add(s_.wanted.epochs, m.epoch);
    s_.wanted.standing = volume::Standing::Together;
    s_.wanted.epoch = m.epoch.number;
    slow_from_ = s_.issued;
  }
  if (w_.options.planted == Planted::ExtentOrder && m.kind == volume::MessageKind::Extent) {
    // As if it had no number of its own, and the image were never whole.
    for (std::size_t i = 0; s_.record.standing != volume::Standing::Fresh && i < kBlocksPerExtent;
         ++i) {
      home_.write(m.extent * kBlocksPerExtent + i, {heard_[i], nullptr});
    }
  }
}

}  // namespace cb::sim_volume
