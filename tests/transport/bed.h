// SPDX-License-Identifier: Apache-2.0
//
// Two transports on one loop, and cables between them that do what a test wants.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "loop/loop.h"
#include "transport/sealed.h"

namespace cb::transport::test {

using Packet = std::vector<std::uint8_t>;

// One end of a made-up cable. What is sent is handed to the other end in a later callback.
class FakeLink final : public link::Link {
 public:
  FakeLink(loop::Loop& loop, std::string name) : loop_(loop), name_(std::move(name)) {}
  ~FakeLink() override {
    loop_.cancel(timer_);
    if (other != nullptr) {
      other->other = nullptr;
    }
  }

  void listen(link::Events events) override { events_ = std::move(events); }
  std::size_t packet_max() const override { return packet_max_; }
  std::size_t batch_best() const override { return 16; }
  std::size_t send(std::span<const link::ConstBytes> packets) override {
    std::size_t taken = 0;
    for (const auto& packet : packets) {
      if (taken == room) {
        ++refused_;
        return taken;
      }
      ++taken;
      sent_ += 1;
      pass(Packet(packet.begin(), packet.end()));
    }
    return taken;
  }
  link::Facts facts() const override {
    return {.name = name_, .mtu = packet_max_, .carrier = carrier_};
  }

  void writable() { events_.on_writable(); }
  void set_carrier(bool carrier) {
    carrier_ = carrier;
    events_.on_changed();
  }
  void set_packet_max(std::size_t size) {
    packet_max_ = size;
    events_.on_changed();
  }
  // As if it had come over the cable.
  void inject(Packet packet) {
    inbox_.push_back(std::move(packet));
    if (!timer_) {
      timer_ = loop_.at(Instant{}, [this] { deliver(); });
    }
  }

  FakeLink* other = nullptr;
  std::size_t room = SIZE_MAX;      // packets taken by one send
  std::size_t path_max = SIZE_MAX;  // what the cable carries, whatever the link says
  // Says of each packet sent whether it arrives; may alter it.
  std::function<bool(Packet&)> passes;
  std::vector<Packet>* record = nullptr;
  std::size_t packet_max_ = 1400;
  std::uint64_t sent_ = 0;
  std::uint64_t refused_ = 0;

 private:
  void pass(Packet packet) {
    if (record != nullptr) {
      record->push_back(packet);
    }
    if (!carrier_ || packet.size() > path_max || (passes && !passes(packet)) || other == nullptr) {
      return;
    }
    other->inject(std::move(packet));
  }
  void deliver() {
    timer_ = {};
    const std::deque<Packet> packets = std::exchange(inbox_, {});
    std::vector<link::ConstBytes> views(packets.begin(), packets.end());
    events_.on_packets(views);
  }

  loop::Loop& loop_;
  std::string name_;
  bool carrier_ = true;
  link::Events events_;
  std::deque<Packet> inbox_;
  loop::TimerId timer_;
};

struct Message {
  Priority priority;
  Packet bytes;
};

// One node: a transport and what it told.
struct Node {
  std::unique_ptr<Transport> transport;
  std::vector<FakeLink*> links;
  std::vector<Message> messages;
  int ups = 0;
  int downs = 0;
  int rooms = 0;
  std::size_t bytes = 0;
  bool keep = true;
  std::function<void(Priority, ConstBytes)> on_message;

  bool send(Priority priority, const Packet& bytes_to_send) {
    if (transport->room(priority) == 0) {
      return false;
    }
    const ConstBytes part(bytes_to_send);
    transport->send(priority, std::span(&part, 1));
    return true;
  }
};

inline Packet pattern(std::size_t length, std::uint8_t seed) {
  Packet bytes(length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<std::uint8_t>(seed + i * 7 + (i >> 8) * 13);
  }
  return bytes;
}

class Bed : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = loop::Loop::open();
    ASSERT_TRUE(opened) << opened.error().what;
    loop = *std::move(opened);
    psk[0].fill(7);
    psk[1].fill(7);
  }
  void TearDown() override {
    // What a test hung in is gone by now.
    for (Node& node : nodes) {
      node.on_message = nullptr;
      for (FakeLink* link : node.links) {
        link->passes = nullptr;
        link->record = nullptr;
      }
    }
    nodes[0].transport.reset();
    nodes[1].transport.reset();
  }

  // Opens a node, also anew: its cables are plugged into those of the other.
  void start(int node, Options options = {}) {
    Node& self = nodes[static_cast<std::size_t>(node)];
    Node& peer = nodes[static_cast<std::size_t>(1 - node)];
    self.transport.reset();
    self.links.clear();
    options.psk = psk[static_cast<std::size_t>(node)];
    options.node = node;
    options.instance = 42;
    for (int i = 0; i < cables; ++i) {
      auto link = std::make_unique<FakeLink>(*loop, "fake" + std::to_string(i));
      link->packet_max_ = packet_max;
      self.links.push_back(link.get());
      if (i < static_cast<int>(peer.links.size())) {
        link->other = peer.links[static_cast<std::size_t>(i)];
        peer.links[static_cast<std::size_t>(i)]->other = link.get();
      }
      if (prepare) {
        prepare(node, i, *link);
      }
      options.links.push_back(std::move(link));
    }
    auto opened = Transport::open(*loop, std::move(options));
    ASSERT_TRUE(opened) << opened.error().what;
    self.transport = *std::move(opened);
    self.transport->listen({
        .on_up = [&self] { ++self.ups; },
        .on_down = [&self] { ++self.downs; },
        .on_message =
            [&self](Priority priority, ConstBytes message) {
              self.bytes += message.size();
              if (self.on_message) {
                self.on_message(priority, message);
              }
              if (self.keep) {
                self.messages.push_back({priority, Packet(message.begin(), message.end())});
              }
            },
        .on_room = [&self](Priority) { ++self.rooms; },
    });
  }
  void stop(int node) {
    nodes[static_cast<std::size_t>(node)].transport.reset();
    nodes[static_cast<std::size_t>(node)].links.clear();
  }
  // A process that dies says no goodbye.
  void kill(int node) {
    for (FakeLink* link : nodes[static_cast<std::size_t>(node)].links) {
      if (link->other != nullptr) {
        link->other->other = nullptr;
      }
      link->other = nullptr;
    }
    stop(node);
  }
  void start_both() {
    start(0);
    start(1);
    ASSERT_TRUE(until([this] { return up(); }));
  }
  bool up() const { return a.transport->facts().up && b.transport->facts().up; }

  bool until(const std::function<bool()>& condition, Duration patience = Duration::from_s(20)) {
    const Instant end = boottime_now() + patience;
    while (!condition()) {
      if (boottime_now() > end || !loop->turn(boottime_now() + Duration::from_ms(20))) {
        return false;
      }
    }
    return true;
  }
  // Lets the world go on.
  void pass(Duration span) {
    const Instant end = boottime_now() + span;
    while (boottime_now() < end) {
      ASSERT_TRUE(loop->turn(end));
    }
  }

  std::unique_ptr<loop::Loop> loop;
  std::array<std::array<std::uint8_t, 32>, 2> psk{};
  int cables = 1;
  std::size_t packet_max = 1400;
  std::function<void(int node, int cable, FakeLink&)> prepare;
  std::array<Node, 2> nodes;
  Node& a = nodes[0];
  Node& b = nodes[1];
};

}  // namespace cb::transport::test
