// SPDX-License-Identifier: Apache-2.0
//
// A question goes like this. At once: a probe for each virtual address, then a request for the
// gateway, and the same again after a while, as long as the gateway has not answered. When it has,
// the path works both ways at this moment: the addresses are probed once more, and a living owner
// on that path has defend_wait to answer. So a question takes the gateway's round trip plus
// defend_wait.
#include "edge/arp.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "edge/frames.h"
#include "loop/done.h"

namespace cb::edge {

namespace {

// When the question is repeated, after it was asked; then every kRepeat.
constexpr std::array<Duration, 3> kRounds = {Duration::from_us(500), Duration::from_us(2000),
                                             Duration::from_us(6000)};
constexpr Duration kRepeat = Duration::from_ms(10);
constexpr Duration kQuiet = Duration::from_s(1);  // between two calls about one conflict
constexpr int kSearchRounds = 4;                  // of looking for who has an address
constexpr std::size_t kSeenMax = 64;              // answers that one search takes in
constexpr std::size_t kFrameMax = 256;            // ARP is 42 bytes; what is longer is cut

}  // namespace

struct ArpEdge::Parts {
  struct Question {
    ArpQuestion asked;
    std::function<void(const ArpAnswer&)> done;
    Instant began;
    Instant gateway_answered;  // zero: not yet
    Mac gateway_mac;
    std::size_t rounds = 0;
    loop::TimerId again;
    loop::TimerId undefended;
    loop::TimerId deadline;
  };
  struct Search {
    std::vector<Ipv4> addresses;
    Duration every{};
    int rounds = kSearchRounds;
    std::vector<Seen> seen;
    std::function<void(const std::vector<Seen>&)> done;
    loop::TimerId again;
  };
  struct Conflict {
    std::function<void(Mac)> on_conflict;
    Instant quiet_until;
  };
  struct Health {
    Ipv4 gateway;
    Duration interval;
    int rise = 1;
    int fall = 1;
    std::function<void(bool)> on_change;
    bool answered = false;  // since the last request
    int streak = 0;         // intervals in a row, answered (positive) or not (negative)
    int told = -1;          // -1: nothing yet
    Mac mac;                // the gateway's, when it answered last
    loop::TimerId timer;
  };

  Parts(loop::Loop& l, Options o) : loop(l), options(std::move(o)) {}
  ~Parts();

  int bind_to_interface();
  int send(const Arp& arp);
  void drain();
  void on_arp(const Arp& arp);
  void ask_round(QuestionId id);
  void on_gateway(QuestionId id, const Mac& mac);
  void answer(QuestionId id, core::Verdict verdict, const Mac& by, const std::string& text);
  void health_tick();
  void search_round(QuestionId id);

  loop::Loop& loop;
  Options options;
  Fd socket;
  int index = 0;  // 0: not bound
  Mac mac;
  ArpStats stats;
  QuestionId last_question = 0;
  std::map<QuestionId, Question> questions;
  std::map<QuestionId, Search> searches;
  std::map<Ipv4, Conflict> conflicts;
  std::unique_ptr<Health> health;
  loop::Leash leash;
};

ArpEdge::ArpEdge(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ArpEdge::~ArpEdge() = default;

ArpEdge::Parts::~Parts() {
  for (auto& [id, question] : questions) {
    loop.cancel(question.again);
    loop.cancel(question.undefended);
    loop.cancel(question.deadline);
  }
  for (auto& [id, search] : searches) {
    loop.cancel(search.again);
  }
  if (health != nullptr) {
    loop.cancel(health->timer);
  }
  if (socket) {
    loop.unwatch(socket.get());
  }
}

Result<std::unique_ptr<ArpEdge>> ArpEdge::open(loop::Loop& loop, Options options) {
  if (options.interface.empty() || options.interface.size() >= IFNAMSIZ) {
    return fail(EINVAL, "listen to ARP on interface '" + options.interface + "'");
  }
  auto parts = std::make_unique<Parts>(loop, std::move(options));
  // Protocol 0 until it is bound: it must not hear the other interfaces meanwhile.
  parts->socket = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!parts->socket) {
    return fail(errno, errno == EPERM || errno == EACCES
                           ? "open a packet socket (needs root or CAP_NET_RAW)"
                           : "open a packet socket");
  }
  const int one = 1;
  if (::setsockopt(parts->socket.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) !=
      0) {
    return fail(errno, "listen to incoming frames alone (PACKET_IGNORE_OUTGOING)");
  }
  if (const int error = parts->bind_to_interface(); error != 0 && error != ENODEV) {
    return fail(error, "listen to ARP on " + parts->options.interface);
  }
  Parts* self = parts.get();
  loop.watch(parts->socket.get(), [self] { self->drain(); });
  return std::unique_ptr<ArpEdge>(new ArpEdge(std::move(parts)));
}

int ArpEdge::Parts::bind_to_interface() {
  index = 0;
  ifreq request{};
  std::memcpy(request.ifr_name, options.interface.c_str(), options.interface.size());
  if (::ioctl(socket.get(), SIOCGIFINDEX, &request) != 0) {
    return errno;
  }
  const int found = request.ifr_ifindex;
  if (::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) {
    return errno;
  }
  std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, mac.bytes.size());
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(kEtherTypeArp);
  address.sll_ifindex = found;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno;
  }
  index = found;
  return 0;
}

void ArpEdge::on_interface_changed() {
  if (const int error = parts_->bind_to_interface(); error != 0 && error != ENODEV) {
    log_warning("%s",
                to_text(fail(error, "listen to ARP on " + parts_->options.interface)).c_str());
  }
}

int ArpEdge::Parts::send(const Arp& arp) {
  const ArpFrame frame = to_frame(arp);
  for (int tries = 0;; ++tries) {
    if (index == 0) {
      if (const int error = bind_to_interface(); error != 0) {
        ++stats.send_failed;
        return error;
      }
    }
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(kEtherTypeArp);
    to.sll_ifindex = index;
    to.sll_halen = 6;
    std::memcpy(to.sll_addr, arp.frame_target.bytes.data(), 6);
    if (::sendto(socket.get(), frame.data(), frame.size(), 0,
                 reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0) {
      return 0;
    }
    const int error = errno;
    if ((error == ENXIO || error == ENODEV) && tries == 0) {
      index = 0;  // the interface was replaced by another of the same name
      continue;
    }
    ++stats.send_failed;
    return error;
  }
}

// ---- what is heard

void ArpEdge::Parts::drain() {
  const auto alive = leash.sight();
  std::array<std::uint8_t, kFrameMax> bytes{};
  for (int i = 0; i < 64; ++i) {  // a flood must not hold up the turn; the rest is for the next
    const ssize_t count = ::recv(socket.get(), bytes.data(), bytes.size(), 0);
    if (count < 0 && (errno == EINTR || errno == ENETDOWN)) {
      continue;
    }
    if (count < 0) {
      return;
    }
    const auto arp = parse_arp(std::span(bytes).first(static_cast<std::size_t>(count)));
    if (!arp) {
      ++stats.malformed;
      continue;
    }
    ++stats.heard;
    on_arp(*arp);
    if (alive.expired()) {
      return;
    }
  }
}

void ArpEdge::Parts::on_arp(const Arp& arp) {
  if (arp.sender_mac == mac || arp.sender.is_zero()) {
    return;  // our own, reflected; or somebody who asks without claiming anything
  }
  const auto alive = leash.sight();
  const bool answers_us = arp.operation == ArpOperation::Reply && arp.target == options.self;
  if (health != nullptr && answers_us && arp.sender == health->gateway) {
    health->answered = true;
    health->mac = arp.sender_mac;
  }
  std::vector<QuestionId> ids;
  for (const auto& [id, question] : questions) {
    ids.push_back(id);
  }
  for (const QuestionId id : ids) {
    const auto found = questions.find(id);
    if (found == questions.end()) {
      continue;
    }
    const ArpQuestion& asked = found->second.asked;
    const auto& addresses = asked.virtual_addresses;
    if (std::find(addresses.begin(), addresses.end(), arp.sender) != addresses.end()) {
      answer(id, core::Verdict::Defended, arp.sender_mac,
             to_text(arp.sender_mac) + " answers for " + to_text(arp.sender));
    } else if (answers_us && arp.sender == asked.gateway) {
      on_gateway(id, arp.sender_mac);
    }
    if (alive.expired()) {
      return;
    }
  }
  for (auto& [id, search] : searches) {
    const Seen seen{arp.sender, arp.sender_mac};
    const bool wanted = std::find(search.addresses.begin(), search.addresses.end(), arp.sender) !=
                        search.addresses.end();
    if (wanted && search.seen.size() < kSeenMax &&
        std::find(search.seen.begin(), search.seen.end(), seen) == search.seen.end()) {
      search.seen.push_back(seen);
    }
  }
  if (const auto found = conflicts.find(arp.sender); found != conflicts.end()) {
    const Instant now = boottime_now();
    if (now >= found->second.quiet_until) {
      found->second.quiet_until = now + kQuiet;
      const auto call = found->second.on_conflict;
      call(arp.sender_mac);
    }
  }
}

// ---- questions

ArpEdge::QuestionId ArpEdge::ask(ArpQuestion question, std::function<void(const ArpAnswer&)> done) {
  Parts& parts = *parts_;
  const QuestionId id = ++parts.last_question;
  Parts::Question& mine = parts.questions[id];
  mine.asked = std::move(question);
  mine.done = std::move(done);
  mine.began = boottime_now();
  if (mine.asked.gateway.is_zero()) {
    mine.deadline = parts.loop.after(Duration{}, [&parts, id] {
      parts.answer(id, core::Verdict::Unavailable, Mac{}, "no gateway is configured");
    });
    return id;
  }
  if (!mine.asked.deadline.is_never()) {
    mine.deadline = parts.loop.at(mine.asked.deadline, [&parts, id] {
      const Parts::Question& late = parts.questions.at(id);
      const bool answered = late.gateway_answered != Instant{};
      parts.answer(id, answered ? core::Verdict::Unavailable : core::Verdict::Isolated,
                   late.gateway_mac,
                   "the gateway " + to_text(late.asked.gateway) +
                       (answered ? " answered too late" : " does not answer"));
    });
  }
  parts.ask_round(id);
  return id;
}

void ArpEdge::Parts::ask_round(QuestionId id) {
  Question& question = questions.at(id);
  for (const Ipv4& address : question.asked.virtual_addresses) {
    send(arp_probe(mac, address));  // ignored: counted; then the gateway's request fails as well
  }
  send(arp_request(mac, options.self, question.asked.gateway));
  const Duration next = question.rounds < kRounds.size()
                            ? question.began + kRounds[question.rounds] - boottime_now()
                            : kRepeat;
  ++question.rounds;
  question.again = loop.after(next, [this, id] { ask_round(id); });
}

void ArpEdge::Parts::on_gateway(QuestionId id, const Mac& gateway_mac) {
  Question& question = questions.at(id);
  if (question.gateway_answered != Instant{}) {
    return;
  }
  const Instant now = boottime_now();
  question.gateway_answered = now;
  question.gateway_mac = gateway_mac;
  loop.cancel(question.again);
  for (const Ipv4& address : question.asked.virtual_addresses) {
    send(arp_probe(mac, address));
  }
  question.undefended = loop.at(now + question.asked.defend_wait, [this, id] {
    const Question& over = questions.at(id);
    std::string text = "the gateway " + to_text(over.asked.gateway) + " answered after " +
                       to_text(over.gateway_answered - over.began);
    for (const Ipv4& address : over.asked.virtual_addresses) {
      text += ", nobody defends " + to_text(address);
    }
    // What came in while we did not run is drained before timers run, so silence is silence.
    answer(id, core::Verdict::Granted, over.gateway_mac, text);
  });
}

void ArpEdge::Parts::answer(QuestionId id, core::Verdict verdict, const Mac& by,
                            const std::string& text) {
  const auto found = questions.extract(id);
  if (found.empty()) {
    return;
  }
  const Question& question = found.mapped();
  loop.cancel(question.again);
  loop.cancel(question.undefended);
  loop.cancel(question.deadline);
  ArpAnswer result;
  result.verdict = verdict;
  result.by = by;
  result.took = boottime_now() - question.began;
  if (question.gateway_answered != Instant{}) {
    result.gateway = question.gateway_answered - question.began;
  }
  result.text = text;
  question.done(result);
}

void ArpEdge::cancel(QuestionId id) {
  const auto found = parts_->questions.extract(id);
  if (!found.empty()) {
    parts_->loop.cancel(found.mapped().again);
    parts_->loop.cancel(found.mapped().undefended);
    parts_->loop.cancel(found.mapped().deadline);
  }
  if (const auto search = parts_->searches.extract(id); !search.empty()) {
    parts_->loop.cancel(search.mapped().again);
  }
}

// ---- searches

ArpEdge::QuestionId ArpEdge::look(std::vector<Ipv4> addresses, Duration span,
                                  std::function<void(const std::vector<Seen>&)> done) {
  Parts& parts = *parts_;
  const QuestionId id = ++parts.last_question;
  Parts::Search& mine = parts.searches[id];
  mine.addresses = std::move(addresses);
  mine.every = Duration{span.as_ns() / kSearchRounds};
  mine.done = std::move(done);
  parts.search_round(id);
  return id;
}

void ArpEdge::Parts::search_round(QuestionId id) {
  Search& search = searches.at(id);
  if (search.rounds-- == 0) {
    const auto over = searches.extract(id);
    over.mapped().done(over.mapped().seen);
    return;
  }
  for (const Ipv4& address : search.addresses) {
    send(arp_probe(mac, address));  // ignored: counted; then nobody answers
  }
  search.again = loop.after(search.every, [this, id] { search_round(id); });
}

// ---- watching

void ArpEdge::watch_conflicts(Ipv4 address, std::function<void(Mac)> on_conflict) {
  parts_->conflicts[address] = {std::move(on_conflict), Instant{}};
}

void ArpEdge::unwatch_conflicts(Ipv4 address) { parts_->conflicts.erase(address); }

void ArpEdge::watch_gateway(Ipv4 gateway, Duration interval, int rise, int fall,
                            std::function<void(bool)> on_change) {
  unwatch_gateway();
  auto health = std::make_unique<Parts::Health>();
  health->gateway = gateway;
  health->interval = interval;
  health->rise = std::max(rise, 1);
  health->fall = std::max(fall, 1);
  health->on_change = std::move(on_change);
  parts_->health = std::move(health);
  parts_->send(arp_request(parts_->mac, parts_->options.self, gateway));
  Parts* parts = parts_.get();
  parts_->health->timer = parts_->loop.after(interval, [parts] { parts->health_tick(); });
}

void ArpEdge::unwatch_gateway() {
  if (parts_->health != nullptr) {
    parts_->loop.cancel(parts_->health->timer);
    parts_->health.reset();
  }
}

void ArpEdge::Parts::health_tick() {
  Health& mine = *health;
  const bool answered = std::exchange(mine.answered, false);
  mine.streak = answered ? std::max(mine.streak, 0) + 1 : std::min(mine.streak, 0) - 1;
  mine.streak = std::clamp(mine.streak, -mine.fall, mine.rise);
  // To its own MAC while it answers: a broadcast every interval would be noise for the whole
  // network.
  send(arp_request(mac, options.self, mine.gateway,
                   answered && !mine.mac.is_zero() ? mine.mac : kBroadcast));
  mine.timer = loop.after(mine.interval, [this] { health_tick(); });
  const bool up = mine.streak >= mine.rise;
  if ((up || mine.streak <= -mine.fall) && mine.told != static_cast<int>(up)) {
    mine.told = static_cast<int>(up);
    const auto call = mine.on_change;  // the callback may unwatch
    call(up);
  }
}

const ArpStats& ArpEdge::stats() const noexcept { return parts_->stats; }

}  // namespace cb::edge
