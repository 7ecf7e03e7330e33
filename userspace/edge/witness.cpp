// SPDX-License-Identifier: Apache-2.0
#include "edge/witness.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace cb::edge {
namespace {

using core::witness::Holder;
using core::witness::Operation;
using core::witness::Request;
using core::witness::Result;
using witness::is_authentic;
using witness::Message;
using witness::Type;

constexpr Duration kLookEvery = 1_s;
constexpr Duration kFirstResend = 5_ms;
constexpr Duration kResendMost = 250_ms;  // while somebody waits; else as often as it is looked
constexpr Duration kSayEvery = 60_s;
constexpr unsigned kSendsOfASocket =
    8;  // then another one: the address of the machine may have changed
constexpr std::uint64_t kRelease = ~std::uint64_t{0};
constexpr std::uint64_t kLook = kRelease - 1;
constexpr std::uint64_t kSeize = kRelease - 2;

std::string answer_text(Result result, const core::witness::Record& record) {
  switch (result) {
    case Result::Done: return "done";
    case Result::Refused:
      return std::string("the address is held by ") + text_of(record.holder) + ", for term " +
             std::to_string(record.term);
    case Result::Learning: return "the witness is new and has not heard both nodes yet";
    case Result::Failed: return "the witness cannot read or write what it granted";
  }
  return "";
}

}  // namespace

const char* text_of(Holder holder) noexcept {
  switch (holder) {
    case Holder::Nobody: return "nobody";
    case Holder::Primary: return "the primary";
    case Holder::Secondary: return "the secondary";
  }
  return "nobody";
}

WitnessEdge::WitnessEdge(loop::Loop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      request_key_(witness::node_key(options_.key, options_.node, witness::Direction::Request)),
      answer_key_(witness::node_key(options_.key, options_.node, witness::Direction::Answer)),
      opened_at_(boottime_now()) {}

WitnessEdge::~WitnessEdge() {
  if (socket_) {
    loop_.unwatch(socket_.get());
  }
  loop_.cancel(tick_);
  loop_.cancel(resend_);
  if (grant_) {
    loop_.cancel(grant_->timer);
  }
  for (const Ask& ask : asks_) {
    loop_.cancel(ask.timer);
  }
  for (witness::Key* key :
       {&options_.key, &request_key_, &answer_key_, &session_request_, &session_answer_}) {
    witness::wipe(*key);
  }
}

cb::Result<std::unique_ptr<WitnessEdge>> WitnessEdge::open(loop::Loop& loop, Options options) {
  CB_TRY_DO(witness::crypto_ready());
  std::unique_ptr<WitnessEdge> edge(new WitnessEdge(loop, std::move(options)));
  // No way there now is no reason to fail: it is tried again.
  if (auto opened = edge->open_socket(); !opened) {
    edge->facts_.trouble = to_text(opened.error());
  }
  edge->on_tick();
  return edge;
}

cb::Result<> WitnessEdge::open_socket() {
  if (socket_) {
    loop_.unwatch(socket_.get());
    socket_.reset();
  }
  const bool v4 = options_.address.is_v4();
  Fd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return fail(errno, "open a socket to the witness");
  }
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(options_.port);
  std::memcpy(&four.sin_addr, options_.address.bytes.data() + 12, 4);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(options_.port);
  std::memcpy(&six.sin6_addr, options_.address.bytes.data(), 16);
  const auto* name =
      v4 ? reinterpret_cast<const sockaddr*>(&four) : reinterpret_cast<const sockaddr*>(&six);
  // The kernel chooses our address now, and only the witness's datagrams come in.
  if (::connect(fd.get(), name, v4 ? sizeof four : sizeof six) != 0) {
    return fail(errno, "no way to the witness " + options_.address.text());
  }
  socket_ = std::move(fd);
  loop_.watch(socket_.get(), leash_.guard([this] { on_readable(); }));
  return cb::Done{};
}

// ---- what is wanted

std::function<void()> WitnessEdge::grant(
    std::uint64_t term, Instant deadline,
    std::function<void(core::Verdict, const std::string&)> done) {
  if (grant_) {
    loop_.cancel(grant_->timer);
  }
  release_ = false;
  Ask ask;
  ask.id = ++last_id_;
  ask.request.operation = Operation::Grant;
  ask.request.term = term;
  ask.done = [done = std::move(done)](const WitnessAnswer& answer) {
    const core::Verdict verdict = answer.result == Result::Done      ? core::Verdict::Granted
                                  : answer.result == Result::Refused ? core::Verdict::Refused
                                                                     : core::Verdict::Unavailable;
    done(verdict, verdict == core::Verdict::Granted ? "granted" : answer.text);
  };
  const std::uint64_t id = ask.id;
  ask.timer = loop_.at(deadline, leash_.guard([this, id] {
    finish(id, {std::nullopt, {}, facts_.trouble.empty() ? "no answer" : facts_.trouble});
  }));
  grant_ = std::move(ask);
  pump();
  return leash_.guard([this, id] {
    if (grant_ && grant_->id == id) {
      loop_.cancel(grant_->timer);
      grant_.reset();
      wake();
    }
  });
}

void WitnessEdge::release() {
  if (grant_) {
    loop_.cancel(grant_->timer);
    grant_.reset();
  }
  release_ = true;
  later_ = false;
  seize_.reset();
  pump();
}

void WitnessEdge::seize(std::uint64_t term) {
  release_ = false;
  later_ = false;
  seize_ = term;
  pump();
}

void WitnessEdge::add(Request request, Instant deadline, OnAnswer done) {
  Ask ask;
  ask.id = ++last_id_;
  ask.request = request;
  ask.done = std::move(done);
  const std::uint64_t id = ask.id;
  ask.timer = loop_.at(deadline, leash_.guard([this, id] {
    finish(id, {std::nullopt, {}, facts_.trouble.empty() ? "no answer" : facts_.trouble});
  }));
  asks_.push_back(std::move(ask));
  wake();
}

void WitnessEdge::read(Instant deadline, OnAnswer done) {
  Request request;
  request.operation = Operation::Read;
  add(request, deadline, std::move(done));
}

void WitnessEdge::swap(const core::volume::Register& expected, const core::volume::Register& wanted,
                       Instant deadline, OnAnswer done) {
  Request request;
  request.operation = Operation::Swap;
  request.expected = expected;
  request.wanted = wanted;
  add(request, deadline, std::move(done));
}

void WitnessEdge::finish(std::uint64_t id, const WitnessAnswer& answer) {
  OnAnswer done;
  if (grant_ && grant_->id == id) {
    loop_.cancel(grant_->timer);
    done = std::move(grant_->done);
    grant_.reset();
  } else {
    const auto found =
        std::find_if(asks_.begin(), asks_.end(), [id](const Ask& ask) { return ask.id == id; });
    if (found == asks_.end()) {
      return;
    }
    loop_.cancel(found->timer);
    done = std::move(found->done);
    asks_.erase(found);
  }
  wake();
  done(answer);  // may destroy us
}

// In a turn of its own: nobody is called from within his question.
void WitnessEdge::wake() {
  if (!std::exchange(woken_, true)) {
    loop_.at(Instant{}, leash_.guard([this] {
      woken_ = false;
      pump();
    }));
  }
}

// ---- what is asked

std::uint64_t WitnessEdge::best() const {
  return seize_ && !later_     ? kSeize
         : grant_              ? grant_->id
         : release_ && !later_ ? kRelease
         : !asks_.empty()      ? asks_.front().id
         : look_               ? kLook
                               : 0;
}

void WitnessEdge::pump() {
  const std::uint64_t next = best();
  if (next == asking_) {
    return;
  }
  loop_.cancel(resend_);
  asking_ = next;
  if (next == 0) {
    return;
  }
  request_ = Request{};
  if (next == kSeize) {
    request_.operation = Operation::Seize;
    request_.term = *seize_;
  } else if (grant_) {
    request_ = grant_->request;
  } else if (next == kRelease) {
    request_.operation = Operation::Release;
  } else if (next != kLook) {
    request_ = asks_.front().request;
  }
  if (request_.operation == Operation::Read) {
    request_.holds = options_.holds && options_.holds();
    request_.known = known_;
  }
  request_.node = options_.node;
  ++sequence_;
  sends_ = 0;
  send();
}

void WitnessEdge::send() {
  if (!socket_ || (sends_ != 0 && sends_ % kSendsOfASocket == 0)) {
    if (auto opened = open_socket(); !opened) {
      facts_.trouble = to_text(opened.error());
    }
  }
  sent_at_ = boottime_now();
  if (has_session_) {
    send_request();
  } else {
    send_hello();
  }
  const Duration most = asking_ == kLook ? kLookEvery : kResendMost;
  const Duration wait = std::min(most, kFirstResend * (1 << std::min(sends_, 10u)));
  ++sends_;
  loop_.cancel(resend_);
  resend_ = loop_.after(wait, leash_.guard([this] {
    if (asking_ != 0) {
      send();
    }
  }));
}

void WitnessEdge::send_hello() {
  if (client_ == witness::Nonce{}) {
    witness::draw(client_.data(), client_.size());
  }
  Message hello;
  hello.type = Type::Hello;
  hello.pairing = options_.pairing;
  hello.request.node = options_.node;
  hello.client = client_;
  put(encode(hello, &request_key_));
}

void WitnessEdge::send_request() {
  Message message;
  message.type = Type::Request;
  message.pairing = options_.pairing;
  message.client = client_;
  message.server = server_;
  message.sequence = sequence_;
  message.request = request_;
  put(encode(message, &session_request_));
}

void WitnessEdge::put(const witness::Datagram& bytes) {
  if (!socket_) {
    return;
  }
  ++facts_.sent;
  if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
      errno != ECONNREFUSED) {
    facts_.trouble = to_text(fail(errno, "send to the witness " + options_.address.text()));
    loop_.unwatch(socket_.get());
    socket_.reset();  // another one next time
  }
}

// ---- what comes back

void WitnessEdge::on_readable() {
  // A few a turn: whoever floods us must not hold up the loop.
  for (int i = 0; i < 8 && socket_; ++i) {
    std::array<std::byte, witness::kMessageBytes + 1> bytes;
    const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count < 0) {
      return;  // nothing more, or the machine says that nobody listens there: no answer
    }
    const std::span<const std::byte> datagram(bytes.data(), static_cast<std::size_t>(count));
    const auto message = witness::decode(datagram);
    if (!message || message->pairing != options_.pairing ||
        message->request.node != options_.node || message->client != client_) {
      ++facts_.dropped;
      continue;
    }
    const auto alive = leash_.sight();
    on_message(*message, datagram);
    if (alive.expired()) {
      return;
    }
  }
}

void WitnessEdge::on_message(const Message& message, std::span<const std::byte> bytes) {
  if (message.type == Type::Stranger) {
    // Not authentic: for people, and only while nothing better is known.
    facts_.trouble = "the witness does not know this pairing; enrol it: crossbeat witness key";
    return;
  }
  if (message.type == Type::Challenge && !has_session_ && is_authentic(bytes, answer_key_)) {
    server_ = message.server;
    session_request_ = witness::session_key(request_key_, client_, server_);
    session_answer_ = witness::session_key(answer_key_, client_, server_);
    has_session_ = true;
    sequence_ = 1;
    if (asking_ != 0) {
      sends_ = 0;
      send();
    }
    return;
  }
  const bool to_this = has_session_ && message.server == server_ && message.sequence == sequence_;
  if (to_this && message.type == Type::NoSession && is_authentic(bytes, answer_key_)) {
    has_session_ = false;
    client_ = {};
    if (asking_ != 0) {
      send();
    }
    return;
  }
  if (to_this && message.type == Type::Answer && asking_ != 0 &&
      message.request.operation == request_.operation && is_authentic(bytes, session_answer_)) {
    on_answer(message);
    return;
  }
  ++facts_.dropped;
}

void WitnessEdge::on_answer(const Message& message) {
  const Instant now = boottime_now();
  ++facts_.answered;
  facts_.answered_at = now;
  facts_.round_trip = now - sent_at_;
  facts_.record = message.record;
  const bool well = message.result == Result::Done || message.result == Result::Refused;
  facts_.trouble = well ? "" : answer_text(message.result, message.record);
  look_ = false;
  judge(now);
  WitnessAnswer answer{message.result, message.record, answer_text(message.result, message.record)};
  // Asked again after its answer was lost, a swap finds its own work.
  if (request_.operation == Operation::Swap && answer.result == Result::Refused &&
      answer.record.volume == request_.wanted) {
    answer.result = Result::Done;
  }
  const std::uint64_t asked = std::exchange(asking_, 0);
  loop_.cancel(resend_);
  if (asked == kRelease || asked == kSeize) {
    later_ = message.result == Result::Failed;  // not at once: its disk does not mend so soon
    if (!later_) {
      release_ = false;
      seize_.reset();
    }
  }
  if (asked == kRelease || asked == kSeize || asked == kLook) {
    wake();
  } else {
    finish(asked, answer);
  }
}

// ---- whether it is there

void WitnessEdge::on_tick() {
  look_ = true;
  later_ = false;
  const Instant now = boottime_now();
  judge(now);
  tick_ = loop_.after(kLookEvery, leash_.guard([this] { on_tick(); }));
  wake();
}

void WitnessEdge::judge(Instant now) {
  const Instant since = facts_.answered_at == Instant{} ? opened_at_ : facts_.answered_at;
  const bool late = now - since >= options_.deadline;
  facts_.answers = facts_.answered_at != Instant{} && !late;
  if (late && facts_.trouble.empty()) {
    facts_.trouble =
        "no answer from " + options_.address.text() + " port " + std::to_string(options_.port);
  }
  // Wanting to say it: that it does not answer, or that it does again. The first answer is no news.
  if (!facts_.answers && !late) {
    return;
  }
  if (!said_ && facts_.answers) {
    said_ = true;
    return;
  }
  if (said_ == facts_.answers || (said_at_ != Instant{} && now - said_at_ < kSayEvery)) {
    return;
  }
  said_ = facts_.answers;
  said_at_ = now;
  if (options_.on_change) {
    options_.on_change(facts_.answers, facts_.answers ? "" : facts_.trouble);
  }
}

}  // namespace cb::edge
