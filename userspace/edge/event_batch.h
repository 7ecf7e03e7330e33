// SPDX-License-Identifier: Apache-2.0
//
// Events on their way to the peer, as bytes: what one call carries (docs/protocol-pairing.md). The
// call is authentic, its content is a stranger's all the same: every length is bounded, whatever
// does not fit is refused whole. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge/event_entry.h"

namespace cb::edge {

inline constexpr std::size_t kBatchMax = 64;               // events
inline constexpr std::size_t kBatchBytesMax = 12u * 1024;  // and bytes of one call

// As many of the entries as one call takes, from the first on; `taken` says how many. All of one
// origin, 16 hex digits.
std::string encode_batch(const std::vector<EventEntry>& entries, std::size_t& taken);

// What a peer of this pairing sent. Who generated it is known from the pairing, not from the peer,
// and so is the pairing; the origin carries it, so that no node writes in another's name.
std::optional<std::vector<EventEntry>> decode_batch(std::string_view bytes,
                                                    const std::string& pairing,
                                                    const std::string& generated_by);

}  // namespace cb::edge
