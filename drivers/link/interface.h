// SPDX-License-Identifier: Apache-2.0
//
// What a link must know of its interface, followed by name: one that goes and comes back is the
// same with another index.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"
#include "loop/loop.h"

namespace cb::link {

struct InterfaceFacts {
  int index = 0;  // 0: gone
  Mac mac;
  std::size_t mtu = 0;
  bool carrier = false;   // up, and with carrier
  bool segments = false;  // cuts TCP superframes itself (or hands them on uncut)
  bool merges = false;    // what arrives is merged again (GRO)
  bool operator==(const InterfaceFacts&) const = default;
};

class Interface {
 public:
  // on_change comes in the loop's thread, from a turn or from look().
  static Result<std::unique_ptr<Interface>> open(loop::Loop& loop, std::string name,
                                                 std::function<void()> on_change);
  ~Interface();
  Interface(const Interface&) = delete;
  Interface& operator=(const Interface&) = delete;

  const std::string& name() const noexcept { return name_; }
  const InterfaceFacts& facts() const noexcept { return facts_; }
  // Asks the kernel now: for what it tells nobody of (offloads), and for lost notices.
  void look();

 private:
  Interface(loop::Loop& loop, std::string name, std::function<void()> on_change, Fd notices,
            Fd socket);
  void on_notice();
  InterfaceFacts ask() const;

  loop::Loop& loop_;
  std::string name_;
  std::function<void()> on_change_;
  Fd notices_;
  Fd socket_;
  InterfaceFacts facts_;
};

}  // namespace cb::link
