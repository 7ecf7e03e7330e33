// SPDX-License-Identifier: Apache-2.0
#include "replication/protection.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <span>

#include "base/file.h"
#include "core/volume/dirty_map.h"
#include "core/volume/superblock.h"
#include "replication/files.h"

namespace cb::replication {

using core::volume::DirtyMap;
using core::volume::kExtent;

// What the other thread finds or makes.
struct Protection::Work {
  How how = How::None;
  Fd overlay;
  std::vector<bool> saved;
  std::optional<core::volume::Record> kept;
};

namespace {

std::string clone_of(const std::string& folder) { return folder + "/home.clone"; }
std::string kept_of(const std::string& folder) { return folder + "/home.kept"; }
std::string record_of(const std::string& folder) { return folder + "/superblock.kept"; }
std::string discarded_of(const std::string& folder) { return folder + "/superblock.discarded"; }

int remove_all(const std::string& folder) {
  for (const std::string& path :
       {clone_of(folder), kept_of(folder), record_of(folder), discarded_of(folder)}) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return errno;
    }
  }
  return sync_folder(folder);
}

// The old superblock beside the old image: without it nobody knows what the image is.
int keep_record(const std::string& folder, bool whole) {
  auto bytes = read_all(folder + "/superblock", 64u << 10);
  if (!bytes) {
    return bytes.error().code;
  }
  const auto written =
      write_atomically(whole ? record_of(folder) : discarded_of(folder), *bytes, 0600);
  return written ? 0 : written.error().code;
}

// Nothing when there is none, or none that can be trusted.
std::optional<core::volume::Record> kept_record(const std::string& folder) {
  const auto text = read_all(record_of(folder), 64u << 10);
  if (!text || text->size() < 2 * core::volume::kBlock) {
    return std::nullopt;
  }
  const auto bytes = std::as_bytes(std::span(text->data(), text->size()));
  return core::volume::newer(
      core::volume::decode_record(bytes.first(core::volume::kBlock)),
      core::volume::decode_record(bytes.subspan(core::volume::kBlock, core::volume::kBlock)));
}

int put_back_clone(const std::string& folder, const std::string& image) {
  const Fd from(::open(clone_of(folder).c_str(), O_RDONLY | O_CLOEXEC));
  const Fd to(::open(image.c_str(), O_RDWR | O_CLOEXEC));
  if (!from || !to || ::ioctl(to.get(), FICLONE, from.get()) != 0 || ::fsync(to.get()) != 0) {
    return errno;
  }
  return 0;
}

struct FreeDeleter {
  void operator()(void* memory) const { ::free(memory); }
};

int put_back_overlay(const std::string& folder, const std::string& image, std::uint64_t length,
                     const std::vector<bool>& saved) {
  const Fd from = open_direct(kept_of(folder), O_RDONLY);
  const Fd to = open_direct(image, O_RDWR);
  if (!from || !to) {
    return errno;
  }
  const std::unique_ptr<void, FreeDeleter> buffer(::aligned_alloc(core::volume::kBlock, kExtent));
  if (!buffer) {
    return ENOMEM;
  }
  for (std::size_t extent = 0; extent < saved.size(); ++extent) {
    if (!saved[extent]) {
      continue;
    }
    const std::uint64_t offset = extent * kExtent;
    const auto bytes = static_cast<std::size_t>(std::min(kExtent, length - offset));
    const auto at = static_cast<off_t>(offset);
    if (::pread(from.get(), buffer.get(), bytes, at) != static_cast<ssize_t>(bytes) ||
        ::pwrite(to.get(), buffer.get(), bytes, at) != static_cast<ssize_t>(bytes)) {
      return errno != 0 ? errno : EIO;
    }
  }
  return ::fsync(to.get()) != 0 ? errno : 0;
}

// A reflink, made whole under another name first.
int make_clone(const std::string& folder, const std::string& image) {
  const Fd from(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string unfinished = clone_of(folder) + ".new";
  const Fd to(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!from || !to) {
    return errno;
  }
  if (::ioctl(to.get(), FICLONE, from.get()) != 0 || ::fsync(to.get()) != 0 ||
      ::rename(unfinished.c_str(), clone_of(folder).c_str()) != 0) {
    const int error = errno;
    ::unlink(unfinished.c_str());
    return error;
  }
  return sync_folder(folder);
}

int make_overlay(const std::string& folder, std::uint64_t length, Fd& overlay) {
  overlay = open_direct(kept_of(folder), O_RDWR | O_CREAT);
  if (!overlay) {
    return errno;
  }
  if (::ftruncate(overlay.get(), static_cast<off_t>(length)) != 0 || ::fsync(overlay.get()) != 0) {
    return errno;
  }
  return sync_folder(folder);
}

// The extents that the sparse file holds are the ones that were saved.
std::vector<bool> saved_in(int fd, std::uint64_t length) {
  std::vector<bool> saved(static_cast<std::size_t>(DirtyMap::extents_in(length)));
  off_t at = 0;
  while ((at = ::lseek(fd, at, SEEK_DATA)) >= 0) {
    const off_t hole = ::lseek(fd, at, SEEK_HOLE);
    if (hole < 0) {
      break;
    }
    for (auto extent = static_cast<std::uint64_t>(at) / kExtent;
         extent * kExtent < static_cast<std::uint64_t>(hole) && extent < saved.size(); ++extent) {
      saved[static_cast<std::size_t>(extent)] = true;
    }
    at = hole;
  }
  return saved;
}

}  // namespace

Protection::Protection(loop::Loop& loop, Pool& pool, loop::Hands& hands, std::string folder,
                       std::string image, std::uint64_t length)
    : loop_(loop),
      pool_(pool),
      hands_(hands),
      folder_(std::move(folder)),
      image_(std::move(image)),
      length_(length) {}

const char* Protection::name() const noexcept {
  switch (how_) {
    case How::None: return "none";
    case How::Clone: return "reflink";
    case How::Overlay: return "overlay";
  }
  return "none";
}

void Protection::use(const std::shared_ptr<Work>& work) {
  how_ = work->how;
  saved_ = std::move(work->saved);
  kept_ = work->kept;
  overlay_.reset();
  overlay_sync_.reset();
  if (work->overlay) {
    overlay_ = std::make_unique<FileDisk>(loop_, pool_, std::move(work->overlay));
    overlay_sync_ = std::make_unique<SharedSync>(*overlay_);
  }
}

void Protection::open(bool resume, loop::Done done) {
  auto work = std::make_shared<Work>();
  hands_.run(
      [work, folder = folder_, length = length_, resume] {
        if (!resume) {
          // What says that it is not needed may have been read from a cache only.
          const Fd superblock(::open((folder + "/superblock").c_str(), O_RDONLY | O_CLOEXEC));
          if (!superblock || ::fsync(superblock.get()) != 0) {
            return errno;
          }
          return remove_all(folder);
        }
        struct stat info {};
        if (::stat(clone_of(folder).c_str(), &info) == 0) {
          work->how = How::Clone;
        } else if (::stat(kept_of(folder).c_str(), &info) == 0) {
          work->overlay = open_direct(kept_of(folder), O_RDWR);
          if (!work->overlay) {
            return errno;
          }
          work->how = How::Overlay;
          work->saved = saved_in(work->overlay.get(), length);
        }
        if (work->how != How::None) {
          work->kept = kept_record(folder);
        }
        return 0;
      },
      leash_.guard([this, work, done = std::move(done)](int error) {
        if (error == 0) {
          use(work);
        }
        done(error);
      }));
}

void Protection::protect(bool anew, bool whole, loop::Done done) {
  if (how_ != How::None && !anew) {
    loop_.post(leash_.guard([done = std::move(done)] { done(0); }));
    return;
  }
  auto work = std::make_shared<Work>();
  hands_.run(
      [work, folder = folder_, image = image_, length = length_, whole] {
        if (const int error = remove_all(folder); error != 0) {
          return error;
        }
        if (const int error = keep_record(folder, whole); error != 0) {
          return error;
        }
        work->kept = kept_record(folder);
        if (make_clone(folder, image) == 0) {
          work->how = How::Clone;
          return 0;
        }
        work->how = How::Overlay;
        work->saved.resize(static_cast<std::size_t>(DirtyMap::extents_in(length)));
        return make_overlay(folder, length, work->overlay);
      },
      leash_.guard([this, work, done = std::move(done)](int error) {
        if (error == 0) {
          use(work);
        }
        done(error);
      }));
}

void Protection::release(loop::Done done) {
  how_ = How::None;
  kept_.reset();
  saved_.clear();
  overlay_sync_.reset();
  overlay_.reset();
  hands_.run([folder = folder_] { return remove_all(folder); },
             leash_.guard([done = std::move(done)](int error) { done(error); }));
}

void Protection::restore(loop::Done done) {
  if (!kept_) {
    loop_.post(leash_.guard([done = std::move(done)] { done(ENOENT); }));
    return;
  }
  hands_.run(
      [folder = folder_, image = image_, length = length_, how = how_, saved = saved_] {
        return how == How::Clone ? put_back_clone(folder, image)
                                 : put_back_overlay(folder, image, length, saved);
      },
      leash_.guard([done = std::move(done)](int error) { done(error); }));
}

void Protection::before_write(Home& home, std::uint64_t extent, loop::Done done) {
  const auto index = static_cast<std::size_t>(extent);
  if (how_ != How::Overlay || saved_[index]) {
    done(0);
    return;
  }
  home.read(
      extent * kExtent, home.extent_length(extent),
      leash_.guard([this, extent, index, done = std::move(done)](int error,
                                                                 const Slice& old) mutable {
        // What has rotted is kept as it is: the copy that is coming replaces it.
        error = error == EBADMSG ? 0 : error;
        if (error != 0 || !overlay_) {
          done(error != 0 ? error : ECANCELED);
          return;
        }
        overlay_->write(
            extent * kExtent, old,
            leash_.guard([this, index, done = std::move(done)](int failed) mutable {
              if (failed != 0 || !overlay_sync_) {
                done(failed != 0 ? failed : ECANCELED);
                return;
              }
              overlay_sync_->ask(leash_.guard([this, index, done = std::move(done)](int unsynced) {
                if (unsynced == 0 && index < saved_.size()) {
                  saved_[index] = true;
                }
                done(unsynced);
              }));
            }));
      }));
}

}  // namespace cb::replication
