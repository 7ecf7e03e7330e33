// SPDX-License-Identifier: Apache-2.0
#include "transport/aead_engine.h"

#ifdef CB_HAS_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <sodium.h>

#include <array>

#include "base/check.h"

namespace cb::transport {
namespace {

// Which instructions to use is found out once. Only its table of functions is used, which holds no
// state of a packet.
IMB_MGR* manager() {
  static IMB_MGR* const kManager = [] {
    IMB_MGR* made = alloc_mb_mgr(0);
    if (made != nullptr) {
      IMB_ARCH arch = IMB_ARCH_NONE;
      init_mb_mgr_auto(made, &arch);
      if (imb_get_errno(made) != 0 || arch == IMB_ARCH_NONE || arch == IMB_ARCH_NOAESNI) {
        free_mb_mgr(made);
        made = nullptr;
      }
    }
    return made;
  }();
  return kManager;
}

class Wide final : public AeadEngine {
 public:
  Wide(IMB_MGR* with, const Key& key, bool seals) : with_(with), seals_(seals) {
    IMB_AES256_GCM_PRE(with_, key.data(), &key_);
  }
  ~Wide() override {
    explicit_bzero(&key_, sizeof key_);
    explicit_bzero(&packet_, sizeof packet_);
  }

  void begin(std::span<const std::uint8_t, kNonceBytes> nonce,
             std::span<const std::uint8_t> header) override {
    IMB_AES256_GCM_INIT(with_, &key_, &packet_, nonce.data(), header.data(), header.size());
  }

  void update(std::uint8_t* out, std::span<const std::uint8_t> in) override {
    if (in.empty()) {
      return;
    }
    if (seals_) {
      IMB_AES256_GCM_ENC_UPDATE(with_, &key_, &packet_, out, in.data(), in.size());
    } else {
      IMB_AES256_GCM_DEC_UPDATE(with_, &key_, &packet_, out, in.data(), in.size());
    }
  }

  void tag(std::span<std::uint8_t, kTagBytes> out) override {
    IMB_AES256_GCM_ENC_FINALIZE(with_, &key_, &packet_, out.data(), out.size());
    CB_CHECK_MSG(imb_get_errno(with_) == 0, "libipsec-mb does not seal");
  }

  bool matches(std::span<const std::uint8_t, kTagBytes> tag) override {
    std::array<std::uint8_t, kTagBytes> right{};
    IMB_AES256_GCM_DEC_FINALIZE(with_, &key_, &packet_, right.data(), right.size());
    CB_CHECK_MSG(imb_get_errno(with_) == 0, "libipsec-mb does not open");
    const bool same = sodium_memcmp(right.data(), tag.data(), right.size()) == 0;
    explicit_bzero(right.data(), right.size());  // the right tag of a forged packet is worth a lot
    return same;
  }

 private:
  IMB_MGR* with_;
  bool seals_;
  // The library reads whole lines of a cache with aligned instructions, and its header asks for
  // less.
  alignas(64) gcm_key_data key_{};
  alignas(64) gcm_context_data packet_{};
};

}  // namespace

std::unique_ptr<AeadEngine> wide_engine(Cipher cipher, const Key& key, bool seals) {
  IMB_MGR* const with = cipher == Cipher::Aes256Gcm ? manager() : nullptr;
  return with != nullptr ? std::make_unique<Wide>(with, key, seals) : nullptr;
}

}  // namespace cb::transport

#else

namespace cb::transport {

std::unique_ptr<AeadEngine> wide_engine(Cipher /*cipher*/, const Key& /*key*/, bool /*seals*/) {
  return nullptr;
}

}  // namespace cb::transport

#endif
