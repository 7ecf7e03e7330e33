// SPDX-License-Identifier: Apache-2.0
//
// What a disk or a peer may hold: superblocks, batches, blocks of the map, messages. Whatever
// decodes must encode to the same bytes. The checksums are put right first, or nothing would get
// past them.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "core/volume/batch.h"
#include "core/volume/dirty_map.h"
#include "core/volume/message.h"
#include "core/volume/superblock.h"

namespace {

using namespace cb::core::volume;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void put_crc(std::vector<std::byte>& bytes, std::size_t at, uint32_t crc) {
  Put put(Bytes(bytes).subspan(at, 4));
  put(crc);
}

void batch(std::vector<std::byte> bytes) {
  if (bytes.size() < kBatchHeaderFixed) {
    return;
  }
  const std::size_t count = static_cast<std::size_t>(bytes[76]) % (kEntriesMax + 1);
  const std::size_t used = kBatchHeaderFixed + count * kEntryBytes;
  bytes.resize(std::max(bytes.size(), used));
  bytes[76] = static_cast<std::byte>(count);
  bytes[77] = std::byte{0};
  put_crc(bytes, 4, cb::crc32c(ConstBytes(bytes).subspan(8, used - 8)));
  if (const auto decoded = decode_batch(bytes, 1 << 30)) {
    std::vector<std::byte> again(kBlock);
    require(encode(*decoded, again) == used && std::memcmp(again.data(), bytes.data(), used) == 0);
  }
}

void superblock(std::vector<std::byte> bytes) {
  bytes.resize(kBlock);
  put_crc(bytes, kBlock - 4, cb::crc32c(ConstBytes(bytes).first(kBlock - 4)));
  if (const auto decoded = decode_record(bytes)) {
    std::vector<std::byte> again(kBlock);
    encode(*decoded, again);
    require(again == bytes);
  }
}

void message(const std::vector<std::byte>& bytes) {
  if (const auto decoded = decode_message(bytes)) {
    std::vector<std::byte> again(kMessageBytes + kEpochsMax * kEpochWireBytes);
    require(encode(decoded->message, decoded->epochs, again) == decoded->used);
    require(std::memcmp(again.data(), bytes.data(), decoded->used) == 0);
  }
}

void map_block(std::vector<std::byte> bytes) {
  bytes.resize(kBlock);
  put_crc(bytes, 4, cb::crc32c(ConstBytes(bytes).subspan(8)));
  std::array<uint64_t, 4> words{};
  (void)decode_map_block(bytes, 1, 0, words);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  std::vector<std::byte> bytes(size - 1);
  std::memcpy(bytes.data(), data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: batch(std::move(bytes)); break;
    case 1: superblock(std::move(bytes)); break;
    case 2: message(bytes); break;
    case 3: map_block(std::move(bytes)); break;
  }
  return 0;
}
