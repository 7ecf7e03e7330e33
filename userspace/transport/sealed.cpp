// SPDX-License-Identifier: Apache-2.0
#include "transport/sealed.h"

#include <sodium.h>
#include <string.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

namespace cb::transport {

namespace core = cb::core::transport;

static_assert(kPriorities == core::kClasses);
static_assert(static_cast<int>(Priority::Control) == core::kControl &&
              static_cast<int>(Priority::Log) == core::kLog &&
              static_cast<int>(Priority::Resync) == core::kResync);

namespace {

Opening::Options opening_options(Options& options) {
  Opening::Options out{.psk = Key(options.psk),
                       .node = options.node,
                       .instance = options.instance,
                       .ciphers = options.ciphers};
  std::ranges::copy(options.receive_room, out.room);
  explicit_bzero(options.psk.data(), options.psk.size());
  return out;
}

bool is_room(std::size_t size) {
  return size >= 2 * kMessageMax && (size & (size - 1)) == 0 && size <= (std::size_t{1} << 30);
}

}  // namespace

Transport::Transport(loop::Loop& loop, Options& options)
    : loop_(loop),
      settings_(options.settings),
      links_(std::move(options.links)),
      outboxes_(links_.size()),
      opening_(opening_options(options)),
      core_(std::make_unique<core::State>()),
      refused_max_(options.refused_max),
      scratch_(core::kSizeMax),
      place_([this](ConstBytes front) { return place_for(front); }) {
  std::ranges::copy(options.receive_room, settings_.receive_room);
}

Result<std::unique_ptr<Transport>> Transport::open(loop::Loop& loop, Options options) {
  if (sodium_init() < 0) {
    return fail(0, "libsodium does not start");
  }
  if (options.links.empty() || options.links.size() > core::kPathsMax) {
    return fail(EINVAL, "a transport needs one to four links");
  }
  if ((options.node != 0 && options.node != 1) || (options.ciphers & ~own_ciphers() & 3) != 0 ||
      options.ciphers == 0) {
    return fail(EINVAL, "no such node, or a cipher that this machine does not have");
  }
  for (std::size_t i = 0; i < kPriorities; ++i) {
    if (!is_room(options.send_room[i]) || !is_room(options.receive_room[i])) {
      return fail(EINVAL, "the room of a class is a power of two from 4 MiB on");
    }
  }
  const auto send_room = options.send_room;
  const auto receive_room = options.receive_room;
  std::unique_ptr<Transport> transport(new Transport(loop, options));
  for (std::size_t i = 0; i < kPriorities; ++i) {
    CB_TRY(out, Ring::make(send_room[i]));
    CB_TRY(in, Ring::make(receive_room[i]));
    transport->out_[i] = std::move(out);
    transport->in_[i] = std::move(in);
  }
  return transport;
}

Transport::~Transport() {
  if (up_) {
    const Instant now = boottime_now();
    core::step(*core_, {.kind = core::EventKind::Goodbye}, now);
    pump();
  }
  loop_.cancel(timer_);
  loop_.cancel(soon_);
}

void Transport::listen(Calls calls) {
  calls_ = std::move(calls);
  for (int i = 0; i < static_cast<int>(links_.size()); ++i) {
    listen_to(i);
    on_link_changed(i);
  }
  start();
}

void Transport::listen_to(int index) {
  links_[static_cast<std::size_t>(index)]->listen({
      .on_packets = leash_.guard(
          [this, index](std::span<const link::ConstBytes> packets) { on_packets(index, packets); }),
      .on_writable = leash_.guard([this, index] {
        outboxes_[static_cast<std::size_t>(index)].blocked = false;
        pump();
      }),
      .on_changed = leash_.guard([this, index] {
        const auto alive = leash_.sight();
        on_link_changed(index);
        if (alive.expired()) {
          return;
        }
        if (opening_.wishes()) {
          ask();  // perhaps it is this link that was waited for
        }
        pump();
      }),
  });
}

void Transport::start() {
  opening_.start(boottime_now());
  ask();
  arm();
}

// One Open on every link: the first that gets through decides.
void Transport::ask() {
  const ConstBytes packet = opening_.open(boottime_now());
  for (const auto& link : links_) {
    if (link->facts().carrier) {
      link->send(std::span(&packet, 1));
    }
  }
}

void Transport::on_link_changed(int index) {
  const link::Link& link = *links_[static_cast<std::size_t>(index)];
  const link::Facts facts = link.facts();
  const auto packet_max =
      static_cast<std::uint32_t>(std::min<std::size_t>(link.packet_max(), core::kSizeMax));
  const core::Outcome outcome = core::step(*core_,
                                           {.kind = core::EventKind::PathChanged,
                                            .path = index,
                                            .carrier = facts.carrier,
                                            .packet_max = packet_max},
                                           boottime_now());
  if (outcome.dead && up_) {
    end_session("the peer does not answer");
  }
}

// From now on everything goes by these keys. What was under way in the session before is lost, and
// the layer above is told so.
void Transport::adopt(Agreed agreed, std::unique_ptr<Opener> opener, int link) {
  const auto alive = leash_.sight();
  if (up_) {
    up_ = false;
    log_info("transport: the peer begins anew");
    if (calls_.on_down) {
      calls_.on_down();
      if (alive.expired()) {
        return;
      }
    }
  }
  opening_.stop();
  opening_.forget_pending();
  agreed_ = std::move(agreed);
  sealer_.emplace(agreed_.cipher, std::move(agreed_.send));
  opener_ = opener != nullptr ? std::move(opener)
                              : std::make_unique<Opener>(agreed_.cipher, agreed_.receive.copy());
  agreed_.receive.wipe();
  given_ = {};
  waited_for_ = {};
  refused_now_ = 0;
  for (Outbox& out : outboxes_) {
    out.packets.clear();
    out.used = out.taken = 0;
  }
  const std::uint64_t before = core_->counts.sent_again;
  totals_.bytes_sent_again += before;
  core::begin(*core_, settings_, agreed_.peer_room, link, boottime_now());
  up_ = true;
  log_info("transport: a session over %s, %s, %016llx",
           links_[static_cast<std::size_t>(link)]->facts().name.c_str(), name_of(agreed_.cipher),
           static_cast<unsigned long long>(agreed_.session));
  if (calls_.on_up) {
    calls_.on_up();
  }
}

void Transport::end_session(const char* why) {
  up_ = false;
  core_->alive = false;
  sealer_.reset();
  opener_.reset();
  log_notice("transport: the session has ended: %s", why);
  opening_.start(boottime_now());
  wake_soon();
  if (calls_.on_down) {
    calls_.on_down();
  }
}

void Transport::on_tick() {
  timer_ = {};
  const Instant now = boottime_now();
  const auto alive = leash_.sight();
  if (opening_.wishes() && opening_.next_open() <= now) {
    ask();
  }
  if (up_ && core::next_deadline(*core_) <= now) {
    if (core::step(*core_, {.kind = core::EventKind::Tick}, now).dead) {
      end_session("the peer does not answer");
      if (alive.expired()) {
        return;
      }
    }
  }
  pump();
}

// One timer for all; left alone when it comes early enough, since it looks again when it has come.
void Transport::arm() {
  Instant next = opening_.next_open();
  if (up_) {
    next = std::min(next, core::next_deadline(*core_));
  }
  if (next.is_never() || (timer_ && timer_.at <= next)) {
    return;
  }
  loop_.cancel(timer_);
  timer_ = loop_.at(next, leash_.guard([this] { on_tick(); }));
}

// At the end of this turn, so that what is sent in one turn goes out together.
void Transport::wake_soon() {
  if (!soon_) {
    soon_ = loop_.at(Instant{}, leash_.guard([this] {
      soon_ = {};
      pump();
    }));
  }
}

Facts Transport::facts() const {
  Facts facts = totals_;
  facts.up = up_;
  facts.refused += opening_.counts().forged;
  facts.limited = opening_.counts().limited;
  if (up_) {
    facts.cipher = name_of(agreed_.cipher);
    facts.session = agreed_.session;
    facts.phase = core_->phase;
  }
  facts.bytes_sent_again += core_->counts.sent_again;
  const Instant now = boottime_now();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const core::Path& path = core_->paths[i];
    const int index = static_cast<int>(i);
    facts.paths.push_back({.link = links_[i]->facts().name,
                           .answers = up_ && core::answers(*core_, index, now),
                           .in_use = up_ && core_->active == index,
                           .packet_max = path.size,
                           .round_trip = path.trip.known ? path.trip.smooth : Duration{},
                           .lost = path.lost});
  }
  return facts;
}

}  // namespace cb::transport
