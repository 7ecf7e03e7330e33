// SPDX-License-Identifier: Apache-2.0
#include "core/arbitration.h"

#include <algorithm>

namespace cb::core {
namespace {

constexpr uint8_t kVoices = kArbitrateGateway | kArbitrateWitness;
constexpr uint8_t kKnown = kVoices | kArbitrateFence | kArbitrateNone;

}  // namespace

bool needs_asking(uint8_t arbitration) noexcept {
  // Nothing configured is not a licence: the edge is asked and will never grant.
  return (arbitration & kVoices) != 0 || (arbitration & kKnown) == 0;
}

Verdict verdict_of(uint8_t arbitration, const Voices& voices) noexcept {
  if ((arbitration & kKnown) == 0) {
    return Verdict::Unavailable;
  }
  if ((arbitration & kArbitrateGateway) != 0) {
    if (!voices.gateway_answers.value_or(false)) {
      return Verdict::Isolated;
    }
    if (!voices.address_defended.has_value()) {
      return Verdict::Unavailable;
    }
    if (*voices.address_defended) {
      return Verdict::Defended;
    }
  }
  if ((arbitration & kArbitrateWitness) != 0) {
    if (!voices.witness_granted.has_value()) {
      return Verdict::Unavailable;
    }
    if (!*voices.witness_granted) {
      return Verdict::Refused;
    }
  }
  return Verdict::Granted;
}

Duration confirm_of(const Settings& settings) noexcept {
  if (settings.confirm > Duration{}) {
    return settings.confirm;
  }
  return Duration::from_us(settings.grant_us) / 4;
}

std::optional<Instant> granted_from(const Question& question, const Settings& settings,
                                    Instant heard_at) noexcept {
  if (!question.answered || question.verdict != Verdict::Granted || question.asked_at < heard_at) {
    return std::nullopt;
  }
  return needs_asking(settings.arbitration) ? question.answered_at + confirm_of(settings)
                                            : question.answered_at;
}

Duration ask_again_after(const Settings& settings) noexcept {
  return std::clamp(settings.failover_wait / 16, Duration::from_ms(20), Duration::from_s(1));
}

}  // namespace cb::core
