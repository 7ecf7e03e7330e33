// SPDX-License-Identifier: Apache-2.0
//
// Judges who owned an address over time, from the frames that were seen to come from it. Pure: the
// capture is elsewhere. The rule: the address may move from one machine to another only with an
// announcement of the new owner at the beginning of its tenure, and from then on no frame of the
// former owner is seen until it announces itself again. A frame that breaks this is one of two
// machines serving in overlapping time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cb::lab {

using Mac = std::array<uint8_t, 6>;

enum class Claim : uint8_t {
  Traffic,   // a packet with the address as its source
  Answer,    // an ARP reply or a solicited neighbour advertisement
  Announce,  // gratuitous ARP, or an unsolicited neighbour advertisement
};

struct Tenure {
  Mac mac{};
  int64_t first_ns = 0;
  int64_t last_ns = 0;
  uint64_t frames = 0;
  uint64_t answers = 0;
  uint64_t announces = 0;
  std::optional<int64_t> announced_ns;  // the first announcement
};

struct Violation {
  Mac stray{};  // who sent in between without an announcement
  Mac owner{};  // in whose tenure
  int64_t first_ns = 0;
  int64_t last_ns = 0;
  uint64_t frames = 0;
};

class Judge {
 public:
  void claim(const Mac& mac, int64_t at_ns, Claim kind);
  void finish();  // no more claims; to be called once before the verdict

  const std::vector<Tenure>& tenures() const { return tenures_; }
  const std::vector<Violation>& violations() const { return violations_; }

 private:
  void settle(const Tenure& stretch);

  std::optional<Tenure> stretch_;  // the frames of one machine in a row, not judged yet
  std::vector<Tenure> tenures_;
  std::vector<Violation> violations_;
};

}  // namespace cb::lab
