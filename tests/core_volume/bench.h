// SPDX-License-Identifier: Apache-2.0
//
// One node of the volume's core on a bench: its disks, its register and its peer are the test.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "base/prng.h"
#include "core/volume/history.h"
#include "core/volume/step.h"
#include "core/volume/superblock.h"

namespace cb::core::volume {

inline constexpr uint64_t kVolume = 64 * kBlock;

class Bench {
 public:
  explicit Bench(Mode mode = Mode::Sync, Standing standing = Standing::Alone, Node node = 0) {
    record_.ring_length = 64 * kBlock;
    record_.volume_length = kVolume;
    record_.node = node;
    record_.standing = standing;
    if (standing != Standing::Fresh) {
      record_.epoch = 2;
      record_.epochs.push({2, {1, 1}, 0, {}, 0});
    }
    Settings settings;
    settings.mode = mode;
    begin(*state_, settings, DirtyMap(words_, kVolume));
    give({.kind = EventKind::Started, .session = 7, .seed = {3, 4}, .record = &record_});
  }

  State& state() { return *state_; }

  Bench& give(Event event) {
    const Actions actions = step(*state_, event, now_);
    for (const Action& action : actions) {
      said_.push_back(action);
    }
    return *this;
  }
  // The last action of this kind since the last call; its absence fails the test.
  Action take(ActionKind kind) {
    for (std::size_t i = said_.size(); i-- > 0;) {
      if (said_[i].kind == kind) {
        const Action action = said_[i];
        said_.erase(said_.begin() + static_cast<std::ptrdiff_t>(i));
        return action;
      }
    }
    ADD_FAILURE() << "no action " << static_cast<int>(kind);
    return {};
  }
  bool wants(ActionKind kind) const {
    for (const Action& action : said_) {
      if (action.kind == kind) {
        return true;
      }
    }
    return false;
  }
  Message said(MessageKind kind) {
    for (std::size_t i = said_.size(); i-- > 0;) {
      if (said_[i].kind == ActionKind::Say && said_[i].message.kind == kind) {
        return said_[i].message;
      }
    }
    ADD_FAILURE() << "no message " << static_cast<int>(kind);
    return {};
  }
  int count(ActionKind kind, MessageKind message = MessageKind::Hello) const {
    int found = 0;
    for (const Action& action : said_) {
      found += action.kind == kind && (kind != ActionKind::Say || action.message.kind == message);
    }
    return found;
  }

  Bench& settle() {
    while (wants(ActionKind::Record)) {
      take(ActionKind::Record);
      give({.kind = EventKind::Recorded});
    }
    return *this;
  }
  // Answers some of what was asked for, as a sound owner would.
  void complete(Prng& prng) {
    for (std::size_t i = 0; i < said_.size();) {
      const Action action = said_[i];
      if (prng.chance(1, 3)) {
        ++i;
        continue;
      }
      said_.erase(said_.begin() + static_cast<std::ptrdiff_t>(i));
      Event event;
      event.position = action.position;
      event.slot = action.slot;
      event.number = action.number;
      event.request = action.message.extent;
      event.seen = held;
      event.digest = {action.position, 1};
      switch (action.kind) {
        case ActionKind::Append: event.kind = EventKind::Appended; break;
        case ActionKind::Sync: event.kind = EventKind::Synced; break;
        case ActionKind::Record: {
          std::vector<std::byte> bytes(kBlock);
          encode(state_->recording, bytes);
          EXPECT_TRUE(decode_record(bytes).has_value()) << "a record that cannot be read again";
          event.kind = EventKind::Recorded;
          break;
        }
        case ActionKind::Apply: event.kind = EventKind::Applied; break;
        case ActionKind::SyncHome: event.kind = EventKind::HomeSynced; break;
        case ActionKind::Fold: event.kind = EventKind::Folded; break;
        case ActionKind::ReadRegister: event.kind = EventKind::RegisterRead; break;
        case ActionKind::SwapRegister:
          event.kind = EventKind::RegisterSwapped;
          event.granted = held == action.expected;
          held = event.granted ? action.wanted : held;
          break;
        case ActionKind::Send: event.kind = EventKind::Sent; break;
        case ActionKind::WriteExtent: event.kind = EventKind::ExtentWritten; break;
        case ActionKind::ProtectImage: event.kind = EventKind::ImageProtected; break;
        case ActionKind::GrowFiles: event.kind = EventKind::FilesGrown; break;
        case ActionKind::LengthChanged: {
          words_.resize(DirtyMap::words_for(state_->record.volume_length));
          state_->map = DirtyMap(words_, state_->record.volume_length);
          continue;
        }
        case ActionKind::ResizeDone: continue;
        case ActionKind::ReadSums: event.kind = EventKind::SumsRead; break;
        case ActionKind::SendSums:
        case ActionKind::KeepSums:
        case ActionKind::VerifyDone:
        case ActionKind::RestoreImage:
        case ActionKind::None:
        case ActionKind::AnswerWrites:
        case ActionKind::AnswerFlushes:
        case ActionKind::Say:
        case ActionKind::SendExtent:
        case ActionKind::ReleaseImage:
        case ActionKind::PromoteDone:
        case ActionKind::DiscardDone:
        case ActionKind::DemoteDone:
        case ActionKind::InStep:
        case ActionKind::FellBehind:
        case ActionKind::Deposed:
        case ActionKind::Stalled: continue;
      }
      give(event);
    }
  }
  Register held{2, {1, 1}, Kind::Alone, 0};
  Bench& serve() {
    give({.kind = EventKind::Promote});
    take(ActionKind::ReadRegister);
    give({.kind = EventKind::RegisterRead, .seen = held});
    held = take(ActionKind::SwapRegister).wanted;
    give({.kind = EventKind::RegisterSwapped, .granted = true});
    return settle();
  }
  Bench& write() {
    Event event{.kind = EventKind::Write};
    event.entry.length = 4096;
    return give(event);
  }
  Bench& flush(uint64_t request) { return give({.kind = EventKind::Flush, .request = request}); }
  Bench& append() {
    const Action action = take(ActionKind::Append);
    return give({.kind = EventKind::Appended, .slot = action.slot});
  }
  Bench& sync(int error = 0) {
    const Action action = take(ActionKind::Sync);
    return give({.kind = EventKind::Synced, .error = error, .position = action.position});
  }
  Bench& pass(Duration span) {
    now_ = now_ + span;
    return give({.kind = EventKind::Tick});
  }

  // The other node, serving in an epoch of its own that begins at 0.
  Message from_peer(MessageKind kind) {
    Message m;
    m.kind = kind;
    m.session = 9;
    m.to_session = 7;
    m.node = static_cast<Node>(1 - record_.node);
    m.volume_length = kVolume;
    m.standing = Standing::Alone;
    m.granted = 4;
    m.serving = true;
    return m;
  }
  Epochs their_epochs{{2, {1, 1}, 0, {}, 0}, {4, {2, 2}, 0, {}, 0}};
  Bench& hear(Message m, const BatchHeader* batch = nullptr) {
    return give({.kind = EventKind::Heard, .message = &m, .epochs = &their_epochs, .batch = batch});
  }
  // ... and this node follows it.
  Bench& follow() {
    give({.kind = EventKind::LinkUp});
    Message hello = from_peer(MessageKind::Hello);
    hello.number = 1;
    hear(hello);
    return settle();
  }
  // This node serves, and the other one has followed it into step.
  Bench& lead() {
    serve();
    give({.kind = EventKind::LinkUp});
    their_epochs = state_->record.epochs;
    Message hello = from_follower(MessageKind::Hello);
    hello.number = 1;
    hear(hello);
    Message follow = from_follower(MessageKind::Follow);
    follow.number = 1;
    hear(follow).settle().pass(1_ms).settle();
    Message joined = from_follower(MessageKind::Joined);
    joined.epoch = said(MessageKind::Join).epoch;
    hear(joined).settle();
    take(ActionKind::ReadRegister);
    give({.kind = EventKind::RegisterRead, .seen = held});
    held = take(ActionKind::SwapRegister).wanted;
    return give({.kind = EventKind::RegisterSwapped, .granted = true}).settle();
  }
  Message from_follower(MessageKind kind) {
    Message m = from_peer(kind);
    m.standing = Standing::CatchingUp;
    m.granted = 0;
    m.serving = false;
    return m;
  }
  Bench& sent() {
    Event event{.kind = EventKind::Sent};
    event.position = take(ActionKind::Send).position;
    event.number = state_->follower.number;
    return give(event);
  }
  Bench& hear_ack(Position received, Position synced) {
    Message ack = from_follower(MessageKind::Ack);
    ack.standing = Standing::Together;
    ack.granted = state_->record.epoch;
    ack.number = state_->follower.number;
    ack.position = received;
    ack.synced = synced;
    return hear(ack);
  }
  BatchHeader batch(Position position) {
    BatchHeader header;
    header.position = position;
    header.generation = {2, 2};
    header.epoch = 4;
    header.entries.push({EntryType::Zero, 4096, 0, 0, 0});
    header.digest = digest_after(state_->issued_digest, header);
    return header;
  }
  Bench& hear_batch(const BatchHeader& header, Position committed = 0, Position flush = 0) {
    Message m = from_peer(MessageKind::Batch);
    m.committed = committed;
    m.flush = flush;
    m.number = state_->following.number;
    m.position = header.position;
    return hear(m, &header);
  }

 private:
  Record record_;
  std::vector<uint64_t> words_ = std::vector<uint64_t>(DirtyMap::words_for(kVolume));
  std::unique_ptr<State> state_ = std::make_unique<State>();
  std::vector<Action> said_;
  Instant now_ = Instant::from_ns(1'000'000'000);
};

}  // namespace cb::core::volume
