// SPDX-License-Identifier: Apache-2.0
//
// The state of the service and direct interfaces as the kernel reports it: there or gone, up, with
// carrier; with MAC, MTU and addresses. Followed by name: an interface that goes and comes back is
// the same link with another index.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/net.h"
#include "base/result.h"
#include "config/ir.h"
#include "loop/hands.h"
#include "loop/loop.h"

namespace cb::edge {

enum class LinkState : std::uint8_t {
  Gone,       // no interface of this name
  Down,       // set down by an administrator
  NoCarrier,  // up, but no cable or no partner
  Up,
};
const char* text_of(LinkState state) noexcept;  // "gone", "down", "no carrier", "up"

struct LinkFacts {
  std::string name;
  LinkState state = LinkState::Gone;
  int index = 0;  // 0: gone
  Mac mac;
  unsigned mtu = 0;
  std::vector<config::Prefix> addresses;
  bool operator==(const LinkFacts&) const = default;
};

class LinkEdge {
 public:
  // on_change: any fact of an interface changed; `before` is what it was. In the loop's thread,
  // from a turn; not for the facts at open.
  using OnChange = std::function<void(const LinkFacts& now, const LinkFacts& before)>;

  // Blocks (reads the state): at start only. Interfaces need not exist.
  static Result<std::unique_ptr<LinkEdge>> open(loop::Loop& loop, loop::Hands& hands,
                                                std::vector<std::string> interfaces,
                                                OnChange on_change);
  ~LinkEdge();
  LinkEdge(const LinkEdge&) = delete;
  LinkEdge& operator=(const LinkEdge&) = delete;

  // An interface named at open (checked).
  const LinkFacts& facts(const std::string& interface) const;

 private:
  struct Parts;
  explicit LinkEdge(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cb::edge
