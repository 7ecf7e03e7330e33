// SPDX-License-Identifier: Apache-2.0
//
// The list of the drivers: here a new one is named.
#include "drivers/service/command.h"
#include "drivers/service/systemd.h"

namespace cb::service {

std::unique_ptr<Driver> make_driver(const config::Service& service, Surroundings with) {
  switch (service.kind) {
    case config::Service::Kind::Unit: return std::make_unique<Systemd>(service, std::move(with));
    case config::Service::Kind::Command: return std::make_unique<Command>(service, std::move(with));
  }
  return nullptr;
}

}  // namespace cb::service
