// SPDX-License-Identifier: Apache-2.0
//
// The route netlink as the address and link edges use it: requests that wait for their answer (so
// for a Hands, or at start), notices through the loop, and the two kinds of message that matter, as
// plain values.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"
#include "config/ir.h"
#include "loop/loop.h"

struct nl_msg;
struct nl_sock;

namespace cb::edge {

struct AddressMessage {
  bool added = false;  // false: removed
  int index = 0;       // of the interface
  config::Prefix prefix;
  std::string label;
  std::uint8_t protocol = 0;
  std::uint32_t flags = 0;
  std::uint32_t by = 0;  // netlink port of who asked for it; 0: the kernel itself
};

struct LinkMessage {
  bool there = false;  // false: the interface is gone
  int index = 0;
  std::string name;
  unsigned flags = 0;  // IFF_
  unsigned mtu = 0;
  Mac mac;  // zero when it has none of six bytes
};

// Nothing for messages of other kinds, other families, or that are malformed.
std::optional<AddressMessage> parse_address_message(const nlmsghdr& message);
std::optional<LinkMessage> parse_link_message(const nlmsghdr& message);

// A socket for requests. Blocks; one thread at a time.
class RtnlRequests {
 public:
  static Result<std::unique_ptr<RtnlRequests>> open();
  ~RtnlRequests();
  RtnlRequests(const RtnlRequests&) = delete;
  RtnlRequests& operator=(const RtnlRequests&) = delete;

  // What notices carry as AddressMessage::by for our own requests.
  std::uint32_t port() const;

  // 0 or errno. One address, as it stands in `what`: EADDRNOTAVAIL when one to remove is not there.
  int add_address(const AddressMessage& what);
  int remove_address(const AddressMessage& what);

  int read_addresses(std::vector<AddressMessage>& into);
  int read_links(std::vector<LinkMessage>& into);

 private:
  explicit RtnlRequests(nl_sock* socket) : socket_(socket) {}
  int change_address(int type, int flags, const AddressMessage& what, bool with_protocol);
  int dump(int type, const std::function<void(const nlmsghdr&)>& take);
  nl_sock* socket_;
};

// Notices of groups (RTNLGRP_), through the loop.
class RtnlWatch {
 public:
  // on_lost: notices were lost (ENOBUFS): the reader must read everything anew.
  static Result<std::unique_ptr<RtnlWatch>> open(loop::Loop& loop,
                                                 const std::vector<unsigned>& groups,
                                                 std::function<void(const nlmsghdr&)> on_message,
                                                 std::function<void()> on_lost);
  ~RtnlWatch();
  RtnlWatch(const RtnlWatch&) = delete;
  RtnlWatch& operator=(const RtnlWatch&) = delete;

  int descriptor() const noexcept { return socket_.get(); }  // for tests of lost notices

 private:
  RtnlWatch(loop::Loop& loop, Fd socket) : loop_(loop), socket_(std::move(socket)) {}
  void drain();

  loop::Loop& loop_;
  Fd socket_;
  std::function<void(const nlmsghdr&)> on_message_;
  std::function<void()> on_lost_;
  std::vector<std::byte> buffer_;
};

}  // namespace cb::edge
