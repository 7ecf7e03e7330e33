// SPDX-License-Identifier: Apache-2.0
#include "replication/files.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "core/volume/dirty_map.h"
#include "core/volume/scan.h"
#include "replication/device.h"
#include "replication/log.h"
#include "replication/sums.h"

namespace cb::replication {

using core::volume::DirtyMap;
using core::volume::kBlock;
using core::volume::Record;

namespace {

constexpr std::size_t kChunk = Pool::kLargest;

Error cannot(const std::string& what) { return fail(errno, what); }

Result<> read_at(int fd, std::span<std::byte> into, std::uint64_t offset, const char* what) {
  std::size_t got = 0;
  while (got < into.size()) {
    const ssize_t n =
        ::pread(fd, into.data() + got, into.size() - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return fail(n < 0 ? errno : EIO, std::string("read the ") + what);
    }
    got += static_cast<std::size_t>(n);
  }
  return {};
}

Result<> write_at(int fd, std::span<const std::byte> from, std::uint64_t offset,
                  const std::string& what) {
  std::size_t put = 0;
  while (put < from.size()) {
    const ssize_t n =
        ::pwrite(fd, from.data() + put, from.size() - put, static_cast<off_t>(offset + put));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return fail(n < 0 ? errno : EIO, "write " + what);
    }
    put += static_cast<std::size_t>(n);
  }
  return {};
}

Result<std::uint64_t> bytes_of(int fd, const std::string& what) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    return cannot("look at " + what);
  }
  std::uint64_t bytes = static_cast<std::uint64_t>(info.st_size);
  if (S_ISBLK(info.st_mode) && ::ioctl(fd, BLKGETSIZE64, &bytes) != 0) {
    return cannot("ask for the size of " + what);
  }
  return bytes;
}

// Room that is only reserved costs a commit of the file system's own journal when it is written for
// the first time, which a flush then waits for. A log that is larger pays that once for the rest.
constexpr std::uint64_t kFilledMost = std::uint64_t{1} << 30;
constexpr std::size_t kFilledAtOnce = 1u << 20;

Result<> fill(int fd, std::uint64_t bytes, const std::string& path) {
  const std::vector<std::byte> zeros(kFilledAtOnce);
  for (std::uint64_t at = 0; at < bytes; at += kFilledAtOnce) {
    const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(bytes - at, kFilledAtOnce));
    CB_TRY_DO(write_at(fd, std::span(zeros).first(now), at, path));
  }
  return {};
}

// A file of this length, or a link to a device that has at least as much.
Result<> make_part(const std::string& path, const std::string& device, std::uint64_t bytes,
                   bool allocate, const std::string& folder = {}, bool overwrite = false) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return cannot("remove the old " + path);
  }
  if (!device.empty()) {
    CB_TRY(fd, claim_device(device, bytes, folder, overwrite));
    // Two new copies are alike: what is never written reads as zeros on both. (Batches of an
    // earlier life in a log are kept out by their generation.)
    std::uint64_t range[2] = {0, bytes};
    if (!allocate && ::ioctl(fd.get(), BLKZEROOUT, range) != 0) {
      return cannot("fill " + device + " with zeros");
    }
    if (::symlink(device.c_str(), path.c_str()) != 0) {
      return cannot("link " + path);
    }
    return {};
  }
  const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) {
    return cannot("make " + path);
  }
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return cannot("give " + path + " its length");
  }
  if (allocate && ::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    return cannot("reserve the room of " + path);
  }
  if (allocate) {
    CB_TRY_DO(fill(fd.get(), std::min(bytes, kFilledMost), path));
  }
  if (::fsync(fd.get()) != 0) {
    return cannot("make " + path + " durable");
  }
  return {};
}

// Of a volume that was made before there were sums it is made now: it learns what it reads.
Fd open_sums(const std::string& folder, int home, bool writable) {
  const std::string path = folder + "/sums";
  Fd fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (fd || errno != ENOENT || !writable) {
    return fd;
  }
  const auto bytes = bytes_of(home, "the home image");
  const auto made =
      bytes ? make_part(path, "", Sums::sum_bytes(*bytes), true) : Result<>(bytes.error());
  if (!made) {
    log_warning("volume: what is read is not checked: %s", to_text(made.error()).c_str());
    (void)::unlink(path.c_str());  // ignored: a short one is not used either
    return {};
  }
  return Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
}

struct Freed {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using Aligned = std::unique_ptr<std::byte, Freed>;

Aligned aligned(std::size_t bytes) {
  return Aligned(static_cast<std::byte*>(std::aligned_alloc(kBlock, bytes)));
}

// The ring, read in large pieces.
class Reader {
 public:
  Reader(int fd, std::uint64_t ring_length)
      : fd_(fd), ring_length_(ring_length), memory_(aligned(kChunk)) {}

  // `length` bytes at a position; valid until the next call. Empty: it cannot be read.
  std::span<const std::byte> at(std::uint64_t position, std::size_t length) {
    if (!(position >= begin_ && position + length <= end_) && !load(position)) {
      return {};
    }
    if (position + length > end_) {
      return {};
    }
    return std::span(memory_.get() + (position - begin_), length);
  }

 private:
  bool load(std::uint64_t position) {
    begin_ = end_ = position;
    std::size_t got = 0;
    while (got < kChunk && got < ring_length_) {
      const std::uint64_t at = (position + got) % ring_length_;
      const auto now = static_cast<std::size_t>(
          std::min<std::uint64_t>({kChunk - got, ring_length_ - at, ring_length_ - got}));
      // Block by block where a piece of it cannot be read: only that one is lost.
      if (!read_at(fd_, std::span(memory_.get() + got, now), at, "log")) {
        if (!read_at(fd_, std::span(memory_.get() + got, kBlock), at, "log")) {
          break;
        }
        got += kBlock;
        break;
      }
      got += now;
    }
    end_ = begin_ + got;
    return got > 0;
  }

  int fd_;
  std::uint64_t ring_length_;
  Aligned memory_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

void scan_log(int fd, Found& found) {
  const Record& record = found.record;
  core::volume::Scan scan(record);
  DirtyMap changed(found.changed, record.volume_length);
  Reader reader(fd, record.ring_length);
  while (!scan.finished()) {
    const std::uint64_t at = scan.next();
    const auto block = reader.at(at, kBlock);
    auto header =
        block.empty() ? std::nullopt : core::volume::decode_batch(block, record.volume_length);
    bool fine = false;
    if (header && header->position == at && !scan.looking_on()) {
      const auto whole = reader.at(at, kBlock + header->payload_length);
      fine = !whole.empty() && payload_fine(*header, whole.subspan(kBlock));
    }
    const auto before = scan.end();
    scan.found(header ? &*header : nullptr, fine);
    if (scan.end() != before) {
      ++found.batches;
      changed.fold(*header);
    }
  }
  found.end = scan.end();
  found.digest = scan.digest();
  found.committed = scan.committed();
  found.damaged_until = scan.damaged() ? scan.durable() : 0;
}

bool read_map(int fd, Found& found) {
  const Record& record = found.record;
  const std::uint64_t slot = map_slot_bytes(record.volume_length);
  const Aligned memory = aligned(kBlock);
  const std::size_t words_each = core::volume::kMapBlockBits / 64;
  std::size_t done = 0;
  for (std::uint64_t index = 0; done < found.map.size(); ++index) {
    const std::size_t words = std::min(words_each, found.map.size() - done);
    const std::span block(memory.get(), kBlock);
    if (!read_at(fd, block, record.map.slot * slot + index * kBlock, "map") ||
        !core::volume::decode_map_block(block, record.map.to, index,
                                        std::span(found.map).subspan(done, words))) {
      return false;
    }
    done += words;
  }
  return true;
}

}  // namespace

Fd open_direct(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_DIRECT | O_CLOEXEC, 0600));
  if (!fd && errno == EINVAL) {
    fd.reset(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  }
  return fd;
}

int sync_folder(const std::string& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && ::fsync(fd.get()) == 0 ? 0 : errno;
}

std::uint64_t map_slot_bytes(std::uint64_t volume_bytes) {
  const std::uint64_t bits = DirtyMap::extents_in(volume_bytes);
  return (bits + core::volume::kMapBlockBits - 1) / core::volume::kMapBlockBits * kBlock;
}

Result<> could_create(const Format& f) {
  if (f.volume_bytes == 0 || f.volume_bytes % kBlock != 0 ||
      f.volume_bytes > (std::uint64_t{1} << 56)) {
    return fail(EINVAL, "the size of a volume is a multiple of 4096 bytes");
  }
  if (f.log_bytes < kLogBytesMin || f.log_bytes % kBlock != 0) {
    return fail(EINVAL, "the log has at least " + std::to_string(kLogBytesMin) +
                            " bytes, a multiple of 4096");
  }
  if (is_one_device(f.log_device, f.home_device)) {
    return fail(EINVAL, "log and image lie on devices of their own, or on none");
  }
  if (f.node > 1 || (f.instance_high == 0 && f.instance_low == 0)) {
    return fail(EINVAL, "the node is 0 or 1, and the instance's id not zero");
  }
  struct stat info {};
  if (::lstat((f.folder + "/superblock").c_str(), &info) == 0) {
    return fail(EEXIST, "there is a volume in " + f.folder + " already");
  }
  for (const auto& [device, bytes] :
       {std::pair(f.log_device, f.log_bytes), std::pair(f.home_device, f.volume_bytes)}) {
    if (!device.empty()) {
      CB_TRY_DO(look_at_device(device, bytes, f.folder, f.overwrite));
    }
  }
  return {};
}

Result<> create(const Format& f) {
  CB_TRY_DO(could_create(f));
  if (::mkdir(f.folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return cannot("make the folder " + f.folder);
  }
  const std::string superblock = f.folder + "/superblock";
  CB_TRY_DO(make_part(f.folder + "/map", "", 2 * map_slot_bytes(f.volume_bytes), true));
  CB_TRY_DO(make_part(f.folder + "/log", f.log_device, f.log_bytes, true, f.folder, f.overwrite));
  CB_TRY_DO(
      make_part(f.folder + "/home", f.home_device, f.volume_bytes, false, f.folder, f.overwrite));
  CB_TRY_DO(make_part(f.folder + "/sums", "", Sums::sum_bytes(f.volume_bytes), true));

  Record record;
  record.instance_high = f.instance_high;
  record.instance_low = f.instance_low;
  record.ring_length = f.log_bytes;
  record.volume_length = f.volume_bytes;
  record.node = f.node;
  if (f.node == 0 && !f.fresh) {
    // The first copy: may acknowledge alone from the start, in an epoch that nobody else has.
    core::volume::Epoch first;
    first.number = 2;
    if (::getrandom(&first.generation, sizeof first.generation, 0) !=
        static_cast<ssize_t>(sizeof first.generation)) {
      return cannot("draw a random number");
    }
    first.generation.high |= 1;
    record.standing = core::volume::Standing::Alone;
    record.epoch = first.number;
    record.epochs.push(first);
  }
  std::vector<std::byte> bytes(2 * kBlock);
  core::volume::encode(record, std::span(bytes).first(kBlock));
  core::volume::encode(record, std::span(bytes).subspan(kBlock));
  // The superblock last and whole: with it the volume is there, without it nothing is.
  const std::string unfinished = superblock + ".new";
  if (::unlink(unfinished.c_str()) != 0 && errno != ENOENT) {
    return cannot("remove the old " + unfinished);
  }
  {
    const Fd fd(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) {
      return cannot("make " + unfinished);
    }
    CB_TRY_DO(write_at(fd.get(), bytes, 0, unfinished));
    if (::fsync(fd.get()) != 0) {
      return cannot("make " + unfinished + " durable");
    }
  }
  // link, not rename: it fails when somebody else was faster.
  if (::link(unfinished.c_str(), superblock.c_str()) != 0) {
    return cannot("make " + superblock);
  }
  (void)::unlink(unfinished.c_str());  // ignored: a second name does no harm
  const std::string parent = f.folder + "/..";
  if (sync_folder(f.folder) != 0 || sync_folder(parent) != 0) {
    return cannot("make " + f.folder + " durable");
  }
  return {};
}

Result<OpenFiles> open_files(const std::string& folder, bool writable) {
  OpenFiles files;
  const int flags = writable ? O_RDWR : O_RDONLY;
  const std::pair<const char*, Fd*> parts[] = {{"/superblock", &files.superblock},
                                               {"/map", &files.map},
                                               {"/log", &files.log},
                                               {"/home", &files.home}};
  for (const auto& [name, fd] : parts) {
    *fd = open_direct(folder + name, flags);
    if (!*fd) {
      return cannot("open " + folder + name);
    }
  }
  files.sums = open_sums(folder, files.home.get(), writable);
  return files;
}

Result<Found> inspect(const OpenFiles& files) {
  Found found;
  const Aligned memory = aligned(2 * kBlock);
  std::optional<Record> copies[2];
  for (std::size_t copy = 0; copy < 2; ++copy) {
    const std::span block(memory.get() + copy * kBlock, kBlock);
    if (read_at(files.superblock.get(), block, copy * kBlock, "superblock")) {
      copies[copy] = core::volume::decode_record(block);
    }
  }
  const auto newest = core::volume::newer(copies[0], copies[1]);
  if (!newest) {
    return fail(EBADMSG,
                "neither copy of the superblock can be read: this node's copy is lost. Create the "
                "volume anew; the peer fills it");
  }
  found.record = *newest;
  found.one_copy = !copies[0] || !copies[1];
  CB_TRY(log_bytes, bytes_of(files.log.get(), "the log"));
  CB_TRY(home_bytes, bytes_of(files.home.get(), "the home image"));
  CB_TRY(map_bytes, bytes_of(files.map.get(), "the map"));
  if (log_bytes < found.record.ring_length || home_bytes < found.record.volume_length ||
      map_bytes < 2 * map_slot_bytes(found.record.volume_length)) {
    return fail(EBADMSG, "a file of the volume is shorter than its superblock says");
  }
  found.map.resize(DirtyMap::words_for(found.record.volume_length));
  if (found.record.map.present && !read_map(files.map.get(), found)) {
    found.map_lost = true;  // the peer gets a copy of everything
    found.record.map = {};
    std::fill(found.map.begin(), found.map.end(), 0);
  }
  found.changed.resize(found.map.size());
  scan_log(files.log.get(), found);
  return found;
}

}  // namespace cb::replication
