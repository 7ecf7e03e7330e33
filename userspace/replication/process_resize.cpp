// SPDX-License-Identifier: Apache-2.0
//
// A volume that gets longer while it is written: both copies first, then the device.
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "replication/grow.h"
#include "replication/process.h"

namespace cb::replication {

using namespace core::volume;

namespace {

constexpr std::uint64_t kLengthMax = std::uint64_t{1} << 56;

std::string why(int error, bool at_peer, std::uint64_t now) {
  const std::string where = at_peer ? "on the peer" : "on this node";
  switch (error) {
    case EINVAL:
      return "a volume only gets longer, in whole MiB: it has " + std::to_string(now) + " bytes";
    case EROFS: return "this node's copy follows: the node in command resizes";
    case ENOTCONN: return "the peer is not in step: both copies get longer, or none";
    case ENOSPC: return "there is not enough room " + where;
    case ETIMEDOUT: return "the peer did not get as long (a version without this?); ask again";
    case EBUSY: return "it is being resized already, to another size";
    default: return std::string(std::strerror(error)) + " " + where;
  }
}

}  // namespace

void Process::resize(const Verb& verb, std::uint64_t bytes, bool dry_run) {
  const State& s = engine_->state();
  const std::uint64_t now = s.record.volume_length;
  int error = 0;
  if (bytes < now || bytes % (1u << 20) != 0 || bytes > kLengthMax) {
    error = EINVAL;
  } else if (s.stage != Stage::Serving || !attached_) {
    error = EROFS;
  } else if (resize_.running && resize_.bytes != bytes) {
    error = EBUSY;
  } else if (!s.in_step_said) {
    error = ENOTCONN;
  }
  if (error != 0) {
    reply(verb, error, why(error, false, now));
    return;
  }
  hands_.run(
      [folder = settings_->directory, bytes] {
        const auto room = room_for(folder, bytes);
        return room ? 0 : room.error().code;
      },
      leash_.guard([this, verb, bytes, dry_run](int failed) {
        if (failed != 0 || dry_run) {
          reply(verb, failed, why(failed, false, engine_->state().record.volume_length));
          return;
        }
        reply(verb, 0);
        if (!resize_.running) {
          resize_ = {.running = true, .bytes = bytes, .error = 0, .text = {}};
          engine_->resize(bytes);
        }
      }));
}

void Process::on_resized(int error, bool at_peer) {
  if (error != 0) {
    end_resize(error, why(error, at_peer, engine_->state().record.volume_length));
    return;
  }
  front_end_->resize(resize_.bytes, leash_.guard([this](int failed) {
    end_resize(failed, failed == 0 ? std::string("both copies and the device have the new size")
                                   : std::string("both copies have the new size; the device gets "
                                                 "it when it is attached next: ") +
                                         std::strerror(failed));
  }));
}

void Process::end_resize(int error, const std::string& text) {
  resize_.running = false;
  resize_.error = error;
  resize_.text = text;
  event({{"event", "resized"}, {"bytes", resize_.bytes}, {"error", error}, {"text", text}});
}

}  // namespace cb::replication
