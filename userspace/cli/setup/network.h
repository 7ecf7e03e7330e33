// SPDX-License-Identifier: Apache-2.0
//
// The programs that may have a machine's interfaces in hand, behind one interface.
#pragma once

#include <memory>

#include "cli/setup/plan.h"

namespace cb::cli::setup {

struct PortPlan {
  Port port;
  std::string gateway;           // of the first; "" for none
  std::vector<std::string> dns;  // of the first
  std::string domain;
};

class NetworkApplier {
 public:
  NetworkApplier() = default;
  NetworkApplier(const NetworkApplier&) = delete;
  NetworkApplier& operator=(const NetworkApplier&) = delete;
  virtual ~NetworkApplier() = default;

  virtual const char* name() const = 0;
  // Gives the interface this one address for good, and on a running machine at once.
  virtual void plan(const Draft& draft, const PortPlan& port, Plan& plan) const = 0;
  // Does it tell the resolver about the name servers? Else /etc/resolv.conf is written.
  virtual bool brings_name_servers(const Draft& draft) const = 0;
};

std::unique_ptr<NetworkApplier> networkd();
std::unique_ptr<NetworkApplier> ifupdown();
std::unique_ptr<NetworkApplier> network_manager();

// The one in charge: ifupdown when its files name one of the interfaces, else whichever of
// NetworkManager and systemd-networkd is enabled, else ifupdown if it is there, else networkd.
std::unique_ptr<NetworkApplier> network_in_charge(const Draft& draft);

}  // namespace cb::cli::setup
