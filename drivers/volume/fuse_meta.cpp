// SPDX-License-Identifier: Apache-2.0
//
// The part of the file system that is not the volume's data: answered at once, from constants.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/log.h"
#include "drivers/volume/fuse.h"

namespace cb::volume {

namespace {

constexpr std::uint64_t kYear = 365ULL * 24 * 3600;  // what we say never changes
constexpr std::uint64_t kDirectory = FUSE_ROOT_ID;

constexpr std::uint64_t kWanted = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO |
                                  FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS | FUSE_ABORT_ERROR |
                                  FUSE_INIT_EXT | kFuseHasResend;

// Background requests leave a few slots to flushes and discards.
constexpr std::uint16_t kBackground = kSlots - 8;

fuse_attr attributes(std::uint64_t node, std::uint64_t bytes) {
  fuse_attr attr{};
  attr.ino = node;
  attr.blksize = kRequestAlign;
  if (node == kFileNode) {
    attr.size = bytes;
    attr.blocks = bytes / 512;
    attr.mode = S_IFREG | 0600;
    attr.nlink = 1;
  } else {
    attr.mode = S_IFDIR | 0700;
    attr.nlink = 2;
  }
  return attr;
}

bool is_ours(std::uint64_t node) { return node == kDirectory || node == kFileNode; }

void add_name(std::string& listing, std::uint64_t node, std::uint64_t next, std::uint32_t type,
              std::string_view name) {
  fuse_dirent entry{};
  entry.ino = node;
  entry.off = next;
  entry.namelen = static_cast<std::uint32_t>(name.size());
  entry.type = type;
  listing.append(reinterpret_cast<const char*>(&entry), FUSE_NAME_OFFSET);
  listing.append(name);
  listing.resize(FUSE_REC_ALIGN(listing.size()), '\0');
}

}  // namespace

void Fuse::handle_meta(unsigned slot) {
  const fuse_in_header& header = pool_->header(slot);
  switch (header.opcode) {
    case FUSE_INIT: on_init(slot); return;
    case FUSE_LOOKUP: on_lookup(slot); return;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: drop(slot); return;
    case FUSE_GETATTR:
      if (!is_ours(header.nodeid)) {
        reply_error(slot, ENOENT);
        return;
      }
      reply(slot, fuse_attr_out{kYear, 0, 0, attributes(header.nodeid, bytes_)});
      return;
    case FUSE_OPEN: {
      // Nothing is cached between the loop device and us, and writes need not wait for one another.
      fuse_open_out out{};
      out.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES | FOPEN_NOFLUSH;
      reply(slot, out);
      return;
    }
    case FUSE_OPENDIR: reply(slot, fuse_open_out{}); return;
    case FUSE_READDIR: on_readdir(slot); return;
    case FUSE_STATFS: {
      fuse_statfs_out out{};
      out.st.blocks = bytes_ / kRequestAlign;
      out.st.bsize = kRequestAlign;  // also the loop device's granularity of discards
      out.st.frsize = kRequestAlign;
      out.st.files = 1;
      out.st.namelen = 255;
      reply(slot, out);
      return;
    }
    // Closing a file promises nothing, and no cache is behind it.
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_DESTROY: reply_error(slot, 0); return;
    case FUSE_SETATTR:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_SYMLINK:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_LINK:
    case FUSE_CREATE: reply_error(slot, EPERM); return;
    // "Not known", which the kernel does not ask again. Never for FSYNC: see handle().
    default: reply_error(slot, ENOSYS); return;
  }
}

void Fuse::on_init(unsigned slot) {
  const auto in = pool_->long_argument<fuse_init_in>(slot);
  if (in.major != FUSE_KERNEL_VERSION || in.minor < kFuseOldestMinor) {
    log_error("volume: this kernel speaks FUSE %u.%u; %u.%u is needed", in.major, in.minor,
              static_cast<unsigned>(FUSE_KERNEL_VERSION), kFuseOldestMinor);
    reply_error(slot, EPROTO);
    return;
  }
  std::uint64_t offered = in.flags;
  if ((in.flags & FUSE_INIT_EXT) != 0) {
    offered |= std::uint64_t{in.flags2} << 32;
  }
  const std::uint64_t agreed = offered & kWanted;
  pool_->facts().init_flags = agreed;
  fuse_init_out out{};
  out.major = FUSE_KERNEL_VERSION;
  out.minor = std::min(in.minor, kFuseOurMinor);
  out.max_readahead = 0;
  out.flags = static_cast<std::uint32_t>(agreed);
  out.flags2 = static_cast<std::uint32_t>(agreed >> 32);
  out.max_background = kBackground;
  out.congestion_threshold = kBackground;
  out.max_write = kRequestMax;
  out.max_pages = static_cast<std::uint16_t>(kRequestMax / 4096);
  out.time_gran = 1;
  reply(slot, out);
}

void Fuse::on_lookup(unsigned slot) {
  const fuse_in_header& header = pool_->header(slot);
  const std::span<const char> tail = pool_->tail(slot);
  const std::string_view name(tail.data(), ::strnlen(tail.data(), tail.size()));
  if (header.nodeid != kDirectory || name != kFileName) {
    reply_error(slot, ENOENT);
    return;
  }
  fuse_entry_out out{};
  out.nodeid = kFileNode;
  out.entry_valid = kYear;
  out.attr_valid = kYear;
  out.attr = attributes(kFileNode, bytes_);
  reply(slot, out);
}

void Fuse::on_readdir(unsigned slot) {
  const auto& in = pool_->argument<fuse_read_in>(slot);
  std::string listing;
  if (in.offset < 1) {
    add_name(listing, kDirectory, 1, DT_DIR, ".");
  }
  if (in.offset < 2) {
    add_name(listing, kDirectory, 2, DT_DIR, "..");
  }
  if (in.offset < 3) {
    add_name(listing, kFileNode, 3, DT_REG, kFileName);
  }
  if (listing.size() > in.size) {
    reply_error(slot, EINVAL);
    return;
  }
  reply_bytes(slot, 0, listing.data(), listing.size());
}

}  // namespace cb::volume
