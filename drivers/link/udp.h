// SPDX-License-Identifier: Apache-2.0
//
// The link over UDP, for the service network: a connected socket, so that the kernel keeps what
// others send away. Packets of one size go down in one piece and come up in one piece
// (UDP_SEGMENT, UDP_GRO) where the kernel has that. The "do not fragment" bit is always set.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "drivers/link/interface.h"
#include "drivers/link/list.h"
#include "drivers/link/writable.h"

namespace cb::link {

class Udp final : public Link {
 public:
  static Result<std::unique_ptr<Udp>> open(loop::Loop& loop, UdpOptions options);
  ~Udp() override;

  void listen(Events events) override;
  std::size_t packet_max() const override;
  std::size_t batch_best() const override;
  std::size_t send(std::span<const ConstBytes> packets) override;
  Facts facts() const override;

 private:
  Udp(loop::Loop& loop, UdpOptions options, Fd socket);
  Result<> start();
  void on_interface();
  void connect_if_needed();
  void tell_if_changed();
  void tick();
  void drain();
  void split(ConstBytes bytes, std::size_t segment);
  void flush();
  std::size_t together(std::span<const ConstBytes> packets) const noexcept;
  std::size_t send_some(std::span<const ConstBytes> packets, bool* blocked);

  loop::Loop& loop_;
  UdpOptions options_;
  Events events_;
  Fd socket_;
  std::unique_ptr<Interface> interface_;
  std::unique_ptr<Writable> writable_;
  loop::TimerId timer_;
  bool connected_ = false;
  int connect_error_ = 0;
  bool segments_ = false;  // UDP_SEGMENT is there and works
  bool merges_ = false;    // UDP_GRO is on
  std::unique_ptr<std::uint8_t[]> buffers_;
  std::vector<ConstBytes> batch_;
  std::size_t told_max_ = 0;
  bool told_carrier_ = false;

  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t foreign_ = 0;
};

}  // namespace cb::link
