// SPDX-License-Identifier: Apache-2.0
//
// What stands in for a link or a device where none is configured.
#pragma once

#include "drivers/volume/front_end.h"
#include "transport/transport.h"

namespace cb::replication {

// No way to a peer: a node that is not paired, or not cabled yet.
class NoCarriage final : public transport::Carriage {
 public:
  void listen(transport::Calls /*calls*/) override {}
  std::size_t room(transport::Priority /*priority*/) const override { return 0; }
  void send(transport::Priority /*priority*/,
            std::span<const transport::ConstBytes> /*parts*/) override {}
  transport::Facts facts() const override { return {}; }
};

// No device (front_end = "none"): the data is kept in step, and nobody reads it here.
class NoFrontEnd final : public volume::FrontEnd {
 public:
  void attach(std::uint64_t /*bytes*/, std::function<void(const volume::Request&)> /*take*/,
              loop::Done done) override {
    done(0);
  }
  void answer(std::uint64_t /*id*/, int /*error*/) override {}
  void detach(loop::Done done) override { done(0); }
  volume::FrontEndFacts facts() const override {
    volume::FrontEndFacts facts;
    facts.kind = "none";
    return facts;
  }
};

}  // namespace cb::replication
