// SPDX-License-Identifier: Apache-2.0
#include "witness/service.h"

#include <algorithm>
#include <vector>

#include "base/clock.h"

namespace cb::witness {

using core::witness::Outcome;
using core::witness::Record;
using core::witness::Result;

bool Bucket::take(Instant now) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t price = kSecond / per_second_;
  spent_ns_ = std::max<std::int64_t>(0, spent_ns_ - (now - at_).as_ns());
  at_ = now;
  if (spent_ns_ + price > price * most_) {
    return false;
  }
  spent_ns_ += price;
  return true;
}

Service::Service(Store& store) : store_(store), started_(boottime_now()) {
  draw(secret_.data(), secret_.size());
}

// What the node must say back to begin its next session.
Nonce Service::nonce_for(const Message& message, std::uint64_t sessions) const {
  Key seed = secret_;
  Nonce who{};
  for (std::size_t i = 0; i < 8; ++i) {
    who[i] = static_cast<std::uint8_t>(message.pairing >> (8 * i));
    who[8 + i] = static_cast<std::uint8_t>((sessions << 1 | message.request.node) >> (8 * i));
  }
  const Key mixed = session_key(seed, message.client, who);
  Nonce out{};
  std::copy_n(mixed.begin(), out.size(), out.begin());
  return out;
}

Service::Node& Service::node_of(const Message& message) {
  return nodes_[{message.pairing, message.request.node}];
}

std::optional<Datagram> Service::on_datagram(std::span<const std::byte> bytes, Instant now) {
  ++counts_.received;
  const auto message = decode(bytes);
  if (!message || (message->type != Type::Hello && message->type != Type::Request)) {
    ++counts_.malformed;
    return std::nullopt;
  }
  Store::Entry* entry = store_.find(message->pairing);
  if (entry == nullptr || entry->key == Key{}) {
    ++counts_.strangers;
    if (!stranger_hints_.take(now)) {
      return std::nullopt;
    }
    Message hint;
    hint.type = Type::Stranger;
    hint.pairing = message->pairing;
    hint.request.node = message->request.node;
    hint.client = message->client;
    return encode(hint, nullptr);
  }
  auto reply = message->type == Type::Hello ? on_hello(*entry, *message, bytes, now)
                                            : on_request(*entry, *message, bytes, now);
  counts_.answered += reply ? 1U : 0U;
  return reply;
}

std::optional<Datagram> Service::on_hello(const Store::Entry& entry, const Message& message,
                                          std::span<const std::byte> bytes, Instant now) {
  const core::volume::Node self = message.request.node;
  if (!is_authentic(bytes, node_key(entry.key, self, Direction::Request))) {
    ++counts_.forged;
    return std::nullopt;
  }
  Node& node = node_of(message);
  if (!node.hellos.take(now)) {
    ++counts_.too_many;
    return std::nullopt;
  }
  Message challenge;
  challenge.type = Type::Challenge;
  challenge.pairing = message.pairing;
  challenge.request.node = self;
  challenge.client = message.client;
  challenge.server = nonce_for(message, node.sessions);
  const Key key = node_key(entry.key, self, Direction::Answer);
  return encode(challenge, &key);
}

std::optional<Datagram> Service::no_session(const Store::Entry& entry, const Message& message,
                                            std::span<const std::byte> bytes, Instant now) {
  // Only who knows the key is told; what he is told moves nothing.
  const core::volume::Node self = message.request.node;
  const Key request_key = node_key(entry.key, self, Direction::Request);
  if (!is_authentic(bytes, session_key(request_key, message.client, message.server))) {
    ++counts_.forged;
    return std::nullopt;
  }
  if (!node_of(message).hints.take(now)) {
    ++counts_.too_many;
    return std::nullopt;
  }
  Message reply;
  reply.type = Type::NoSession;
  reply.pairing = message.pairing;
  reply.request.node = self;
  reply.client = message.client;
  reply.server = message.server;
  reply.sequence = message.sequence;
  const Key key = node_key(entry.key, self, Direction::Answer);
  return encode(reply, &key);
}

std::optional<Datagram> Service::on_request(Store::Entry& entry, const Message& message,
                                            std::span<const std::byte> bytes, Instant now) {
  Node& node = node_of(message);
  const bool current =
      node.has_session && message.client == node.client && message.server == node.server;
  if (!current) {
    if (message.server != nonce_for(message, node.sessions)) {
      return no_session(entry, message, bytes, now);
    }
    const core::volume::Node self = message.request.node;
    const Key request_key =
        session_key(node_key(entry.key, self, Direction::Request), message.client, message.server);
    if (!is_authentic(bytes, request_key)) {
      ++counts_.forged;
      return std::nullopt;
    }
    ++node.sessions;
    node.has_session = true;
    node.client = message.client;
    node.server = message.server;
    node.request_key = request_key;
    node.answer_key =
        session_key(node_key(entry.key, self, Direction::Answer), message.client, message.server);
    node.sequence = 0;
    node.answer.reset();
  } else if (!is_authentic(bytes, node.request_key)) {
    ++counts_.forged;
    return std::nullopt;
  }
  if (message.sequence < node.sequence) {
    ++counts_.old;
    return std::nullopt;
  }
  node.heard = now;
  if (message.sequence == node.sequence) {
    return node.answer;  // its answer was lost: the same again
  }
  return answer(entry, node, message, now);
}

std::optional<Datagram> Service::answer(Store::Entry& entry, Node& node, const Message& message,
                                        Instant now) {
  Message reply;
  reply.type = Type::Answer;
  reply.pairing = message.pairing;
  reply.request.node = message.request.node;
  reply.request.operation = message.request.operation;
  reply.client = message.client;
  reply.server = message.server;
  reply.sequence = message.sequence;
  if (entry.trouble.empty()) {
    Record record = entry.record;
    const Outcome outcome = core::witness::apply(record, message.request);
    reply.result = outcome.result;
    if (outcome.changed) {
      if (!node.changes.take(now)) {
        ++counts_.too_many;
        return std::nullopt;  // it asks again
      }
      ++counts_.changes;
      if (auto written = store_.write(entry, record); !written) {
        reply.result = Result::Failed;
      }
    }
    reply.record = entry.record;
  } else {
    reply.result = Result::Failed;
  }
  if (reply.result == Result::Failed) {
    ++counts_.in_trouble;
    reply.record = Record{};  // nobody knows what the disk holds
  }
  node.sequence = message.sequence;
  node.answer = encode(reply, &node.answer_key);
  return node.answer;
}

}  // namespace cb::witness
