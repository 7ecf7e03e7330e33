// SPDX-License-Identifier: Apache-2.0
//
// How the direct link's program gets to its interface: XDP by a pinned link, or a tc filter.
#include <linux/if_link.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "edge/kernel_load.h"

namespace cb::edge {

namespace {

// Answers to frames that were sent to a group come from the interface's own address.
template <class Skeleton>
void set_self(Skeleton& skeleton, const Mac& self) {
  std::memcpy(const_cast<unsigned char*>(&skeleton.rodata->cb_self_mac[0]), self.bytes.data(),
              self.bytes.size());
}

Result<Direct> load_direct(const KernelFacts& facts, const Mac& self, bool frags) {
  return load<Direct>(direct_bpf__open_opts, direct_bpf__load, "cb_direct", facts,
                      [&self, frags](direct_bpf& skeleton) {
                        set_self(skeleton, self);
                        if (frags) {
                          bpf_program__set_flags(skeleton.progs.cb_direct, BPF_F_XDP_HAS_FRAGS);
                        }
                      });
}

Result<DirectTc> load_direct_tc(const KernelFacts& facts, const Mac& self) {
  return load<DirectTc>(direct_tc_bpf__open_opts, direct_tc_bpf__load, "cb_direct_tc", facts,
                        [&self](direct_tc_bpf& skeleton) { set_self(skeleton, self); });
}

// A veth's packets are made for the stack whatever is attached, so XDP saves nothing there. Native
// it takes the other end's segmentation away and copies every frame, generic it copies every long
// packet: bulk beside the heartbeats falls to a third. Other drivers keep both.
bool gains_by_native(const Interface& interface) { return driver_of(interface.name) != "veth"; }

}  // namespace

bool is_there(const Interface& interface) {
  return static_cast<int>(if_nametoindex(interface.name.c_str())) == interface.index;
}

// Replaces the program of a link that is attached, or makes a link. Returns 0, or the errno with
// which the driver or an old kernel refuses this way.
Result<int> Kernel::Parts::try_direct(XdpLink& link, bool generic, bool frags) {
  auto loaded = load_direct(facts, direct.mac, frags);
  if (!loaded) {
    if (frags) {
      return loaded.error().code;  // kernels before 5.18 do not know the flag
    }
    return std::move(loaded).error();
  }
  const int program = fd_of((*loaded)->progs.cb_direct);
  if (link.fd) {
    if (bpf_link_update(link.fd.get(), program, nullptr) != 0) {
      return errno;
    }
  } else {
    bpf_link_create_opts options;
    std::memset(&options, 0, sizeof options);
    options.sz = sizeof options;
    options.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
    Fd fresh(bpf_link_create(program, direct.index, BPF_XDP, &options));
    if (!fresh) {
      return errno;
    }
    CB_TRY_DO(replace_pin(fresh.get(), pin(kDirectLink)));
    link.fd = std::move(fresh);
    link.interface = direct.index;
    new_direct = true;
  }
  direct_program = std::move(*loaded);
  facts.xdp_mode = generic ? XdpMode::Generic : XdpMode::Native;
  facts.xdp_frags = frags;
  return 0;
}

Result<> Kernel::Parts::attach_direct(XdpMode mode) {
  CB_TRY(link, open_xdp_link(pin(kDirectLink)));
  if (link.fd && (direct.index == 0 || link.interface != direct.index)) {
    CB_TRY_DO(close_xdp_link(link, pin(kDirectLink)));
  }
  if (direct.index == 0) {
    return {};
  }
  if (mode == XdpMode::Tc || (mode == XdpMode::Auto && !link.fd && !gains_by_native(direct))) {
    return attach_direct_tc(link);
  }
  CB_TRY(now, read_xdp(direct));
  if (now.program != 0 && (!link.fd || now.program != link.program)) {
    const ProgramName theirs = name_of_program(now.program);
    return fail(
        EBUSY,
        "attach to the direct link " + direct.name + ": XDP program " + std::to_string(theirs.id) +
            " (" + (theirs.name.empty() ? "no name" : theirs.name) +
            ") of somebody else is on it and was left alone; remove it with `ip link set dev " +
            direct.name + " xdp off`, or choose another interface for the cable");
  }
  CB_TRY_DO(attach_direct_xdp(link, now, mode));
  // Only now: there was no moment without an answer.
  return facts.xdp_mode == XdpMode::Tc ? Result<>() : detach_direct_filters(0);
}

Result<> Kernel::Parts::attach_direct_xdp(XdpLink& link, const XdpNow& now, XdpMode mode) {
  if (link.fd) {
    const bool fits = mode == XdpMode::Auto || (mode == XdpMode::Generic) == now.generic;
    for (const bool frags : {false, true}) {
      if (fits && !(frags && now.generic)) {
        CB_TRY(refusal, try_direct(link, now.generic, frags));
        if (refusal == 0) {
          return {};
        }
      }
    }
    CB_TRY_DO(close_xdp_link(link, pin(kDirectLink)));
  }
  int error = 0;
  if (mode != XdpMode::Generic) {
    // Without frags first: a driver that takes it so gives every frame in one piece. A large MTU
    // needs frags.
    for (const bool frags : {false, true}) {
      CB_TRY(refusal, try_direct(link, false, frags));
      if (refusal == 0) {
        return {};
      }
      error = refusal;
    }
  }
  if (mode == XdpMode::Auto) {
    return attach_direct_tc(link);
  }
  if (mode == XdpMode::Generic) {
    CB_TRY(refusal, try_direct(link, true, false));
    if (refusal == 0) {
      return {};
    }
    error = refusal;
  }
  return explain(error,
                 std::string("attach XDP (") + text_of(mode) + ") to " + direct.name +
                     (mode == XdpMode::Native
                          ? "; its driver or its MTU does not allow native mode: set xdp = \"auto\""
                          : "; set xdp = \"auto\", or choose another interface for the cable"));
}

// Before the XDP program of an earlier monitor goes: it answers until this one does.
Result<> Kernel::Parts::attach_direct_tc(XdpLink& link) {
  CB_TRY(loaded, load_direct_tc(facts, direct.mac));
  CB_TRY(is_new, attach_filter(direct, Filter::Direct, fd_of(loaded->progs.cb_direct_tc)));
  new_direct_filter = is_new;
  direct_tc_program = std::move(loaded);
  facts.xdp_mode = XdpMode::Tc;
  facts.xdp_frags = false;
  return link.fd ? close_xdp_link(link, pin(kDirectLink)) : Result<>();
}

// What another configuration left behind; all of them for 0.
Result<> Kernel::Parts::detach_direct_filters(int except) {
  for (const int elsewhere : interfaces_with_filters(except, std::array{Filter::Direct})) {
    CB_TRY_DO(detach_filter(elsewhere, Filter::Direct));
    CB_TRY_DO(remove_empty_clsact(elsewhere));
  }
  return {};
}

// In parts of its own, so that the thread that uses the Kernel sees nothing half done.
Result<Kernel::DirectAgain> Kernel::attach_direct_again() const {
  auto fresh = std::make_shared<Parts>();
  fresh->opened = true;  // it takes nothing back at its end: what it attached stays
  fresh->facts = parts_->facts;
  CB_TRY_DO(fresh->find_direct(parts_->direct.name));
  CB_TRY_DO(fresh->attach_direct(parts_->xdp_mode_wanted));
  DirectAgain again;
  again.parts_ = std::move(fresh);
  return again;
}

void Kernel::adopt(DirectAgain again) noexcept {
  auto* fresh = static_cast<Parts*>(again.parts_.get());
  if (fresh == nullptr) {
    return;
  }
  std::swap(parts_->direct, fresh->direct);
  // The old ones go with `again`.
  std::swap(parts_->direct_program, fresh->direct_program);
  std::swap(parts_->direct_tc_program, fresh->direct_tc_program);
  parts_->facts = fresh->facts;
}

}  // namespace cb::edge
