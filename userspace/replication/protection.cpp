// SPDX-License-Identifier: Apache-2.0
#include "replication/protection.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "core/volume/dirty_map.h"
#include "replication/files.h"

namespace cb::replication {

using core::volume::DirtyMap;
using core::volume::kExtent;

// What the other thread finds or makes.
struct Protection::Work {
  How how = How::None;
  Fd overlay;
  std::vector<bool> saved;
};

namespace {

std::string clone_of(const std::string& folder) { return folder + "/home.clone"; }
std::string kept_of(const std::string& folder) { return folder + "/home.kept"; }
std::string record_of(const std::string& folder) { return folder + "/superblock.kept"; }

int remove_all(const std::string& folder) {
  for (const std::string& path : {clone_of(folder), kept_of(folder), record_of(folder)}) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return errno;
    }
  }
  return sync_folder(folder);
}

// The old superblock beside the old image: without it nobody knows what the image is.
int keep_record(const std::string& folder) {
  auto bytes = read_all(folder + "/superblock", 64u << 10);
  if (!bytes) {
    return bytes.error().code;
  }
  const auto written = write_atomically(record_of(folder), *bytes, 0600);
  return written ? 0 : written.error().code;
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
        return 0;
      },
      leash_.guard([this, work, done = std::move(done)](int error) {
        if (error == 0) {
          use(work);
        }
        done(error);
      }));
}

void Protection::protect(loop::Done done) {
  if (how_ != How::None) {
    loop_.post(leash_.guard([done = std::move(done)] { done(0); }));
    return;
  }
  auto work = std::make_shared<Work>();
  hands_.run(
      [work, folder = folder_, image = image_, length = length_] {
        if (const int error = remove_all(folder); error != 0) {
          return error;
        }
        if (const int error = keep_record(folder); error != 0) {
          return error;
        }
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
  saved_.clear();
  overlay_sync_.reset();
  overlay_.reset();
  hands_.run([folder = folder_] { return remove_all(folder); },
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
