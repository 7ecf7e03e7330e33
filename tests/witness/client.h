// SPDX-License-Identifier: Apache-2.0
//
// The node's end of the protocol, by hand, for tests of the service.
#pragma once

#include <optional>

#include "witness/message.h"

namespace cb::witness {

inline Enrolment test_enrolment(std::uint8_t seed = 7) {
  Enrolment enrolment;
  enrolment.pairing = 0x1122334455667700u + seed;
  enrolment.key.fill(seed);
  return enrolment;
}

class TestNode {
 public:
  TestNode(const Enrolment& enrolment, core::volume::Node node)
      : enrolment_(enrolment), node_(node) {
    renew();
  }

  void renew() {
    draw(client_.data(), client_.size());
    sequence_ = 0;
  }
  Datagram hello() const {
    Message m = blank(Type::Hello);
    const Key key = node_key(enrolment_.key, node_, Direction::Request);
    return encode(m, &key);
  }
  bool on_challenge(const std::optional<Datagram>& bytes) {
    if (!bytes || !is_authentic(*bytes, node_key(enrolment_.key, node_, Direction::Answer))) {
      return false;
    }
    const auto m = decode(*bytes);
    if (!m || m->type != Type::Challenge || m->client != client_) {
      return false;
    }
    server_ = m->server;
    return true;
  }
  Datagram ask(core::witness::Request request) {
    ++sequence_;
    Message m = blank(Type::Request);
    request.node = node_;
    m.request = request;
    m.server = server_;
    m.sequence = sequence_;
    const Key key =
        session_key(node_key(enrolment_.key, node_, Direction::Request), client_, server_);
    return encode(m, &key);
  }
  std::optional<Message> answer(const std::optional<Datagram>& bytes) const {
    const Key key =
        session_key(node_key(enrolment_.key, node_, Direction::Answer), client_, server_);
    if (!bytes || !is_authentic(*bytes, key)) {
      return std::nullopt;
    }
    const auto m = decode(*bytes);
    return m && m->type == Type::Answer && m->sequence == sequence_ ? m : std::nullopt;
  }
  bool is_no_session(const std::optional<Datagram>& bytes) const {
    return bytes && is_authentic(*bytes, node_key(enrolment_.key, node_, Direction::Answer)) &&
           decode(*bytes) && decode(*bytes)->type == Type::NoSession;
  }

 private:
  Message blank(Type type) const {
    Message m;
    m.type = type;
    m.pairing = enrolment_.pairing;
    m.request.node = node_;
    m.client = client_;
    return m;
  }
  Enrolment enrolment_;
  core::volume::Node node_;
  Nonce client_{};
  Nonce server_{};
  std::uint64_t sequence_ = 0;
};

inline core::witness::Request request_of(core::witness::Operation operation,
                                         std::uint64_t term = 0) {
  core::witness::Request request;
  request.operation = operation;
  request.term = term;
  return request;
}

}  // namespace cb::witness
