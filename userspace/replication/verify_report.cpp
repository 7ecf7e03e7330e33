// SPDX-License-Identifier: Apache-2.0
#include "replication/verify_report.h"

#include <cerrno>
#include <cstring>

namespace cb::replication {
namespace {

using Result = CompareFacts::Result;

const char* name_of(Result result) {
  switch (result) {
    case Result::None: return "none";
    case Result::Same: return "same";
    case Result::Different: return "different";
    case Result::Incomplete: return "incomplete";
  }
  return "";
}

std::string why(int error) {
  switch (error) {
    case ENOTCONN: return "the peer is not in step";
    case ETIMEDOUT: return "the peer does not answer (a version without this?)";
    case ECANCELED: return "it was ended";
    case EAGAIN:
    case EBUSY: return "one of the images does not come to a rest";
    default: return std::strerror(error);
  }
}

}  // namespace

Json verify_of(const CompareFacts& facts, std::uint64_t volume_bytes, Instant now) {
  const bool known = facts.result != Result::None;
  return {{"running", facts.running},
          {"result", name_of(facts.result)},
          {"text", text_of(facts)},
          {"bytes", volume_bytes},
          {"bytes_done", facts.bytes_done},
          {"permille", volume_bytes == 0 ? 0 : facts.bytes_done * 1000 / volume_bytes},
          {"differing", facts.differing},
          {"unreadable_here", facts.unreadable_here},
          {"unreadable_there", facts.unreadable_there},
          {"blocks", facts.first},
          {"compared_bytes", facts.compared_bytes},
          {"seconds_ago", known ? Json((now - facts.ended_at).as_s()) : Json()}};
}

std::string text_of(const CompareFacts& facts) {
  std::string text;
  if (facts.differing != 0) {
    text = "the two images differ in " + std::to_string(facts.differing) +
           " blocks, and nothing tells which of them is right";
  }
  const std::uint64_t unreadable = facts.unreadable_here + facts.unreadable_there;
  if (unreadable != 0) {
    text += (text.empty() ? "" : "; ") + std::to_string(facts.unreadable_here) +
            " blocks here and " + std::to_string(facts.unreadable_there) +
            " on the peer are not what was written there";
  }
  if (!text.empty()) {
    text += ", the first is block " +
            std::to_string(facts.first.empty() ? 0 : facts.first.front()) + " of 4 KiB";
  }
  if (facts.result == Result::Incomplete) {
    text +=
        (text.empty() ? "" : "; ") + std::string("not compared to the end: ") + why(facts.error);
  } else if (facts.result == Result::Same && text.empty()) {
    text = "both images are the same";
  }
  return text;
}

std::string verify_fault(int error) {
  switch (error) {
    case 0: return "";
    case EROFS: return "this node's copy follows; the node that writes compares";
    case ENOTCONN: return "the peer does not follow: there is nothing to compare with";
    default: return std::strerror(error);
  }
}

}  // namespace cb::replication
