// SPDX-License-Identifier: Apache-2.0
//
// cb_tls: a stream over TLS 1.3 (AES-256-GCM) over cubic TCP, as OpenSSL does it, for comparison.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "tests/support/lab/frame.h"
#include "tests/support/lab/tool.h"

namespace cb::lab {
namespace {

constexpr const char* kUsage = R"(cb_tls send|receive ADDRESS PORT [--seconds N] [--congestion NAME]

The receiver listens at its ADDRESS, prints {"ready":true}, takes one stream and reports; the sender connects
there, writes for N seconds (default 3) and reports: bytes, seconds and processor seconds as JSON.
)";

struct Free {
  void operator()(SSL_CTX* it) const { SSL_CTX_free(it); }
  void operator()(SSL* it) const { SSL_free(it); }
  void operator()(X509* it) const { X509_free(it); }
  void operator()(EVP_PKEY* it) const { EVP_PKEY_free(it); }
};
template <class T>
using Held = std::unique_ptr<T, Free>;

[[noreturn]] void fail_ssl(const std::string& what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  fail(what + ": " + text);
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void report(uint64_t bytes, int64_t began, double processor) {
  const double seconds = static_cast<double>(boottime_ns() - began) / 1e9;
  const double used = processor_seconds() - processor;
  std::printf(
      "{\"bytes\":%llu,\"seconds\":%.6f,\"gbytes_per_s\":%.6f,\"processor_s\":%.6f,"
      "\"processor_share\":%.6f}\n",
      static_cast<unsigned long long>(bytes), seconds, static_cast<double>(bytes) / seconds / 1e9,
      used, used / seconds);
}

// A certificate for this run alone.
void certify(SSL_CTX* context) {
  const Held<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Held<X509> certificate(X509_new());
  if (!key || !certificate) {
    fail_ssl("make a key");
  }
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400);
  X509_set_pubkey(certificate.get(), key.get());
  if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0 ||
      SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    fail_ssl("make a certificate");
  }
}

Held<SSL_CTX> make_context(bool server) {
  Held<SSL_CTX> context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_256_GCM_SHA384") != 1) {
    fail_ssl("prepare TLS 1.3");
  }
  return context;
}

Held<SSL> secure(SSL_CTX* context, const Fd& socket, bool server) {
  Held<SSL> ssl(SSL_new(context));
  if (!ssl || SSL_set_fd(ssl.get(), socket.get()) != 1 ||
      (server ? SSL_accept(ssl.get()) : SSL_connect(ssl.get())) != 1) {
    fail_ssl("the handshake");
  }
  return ssl;
}

void run(const Options& options) {
  const auto& words = options.words();
  if (words.size() != 3 || (words[0] != "send" && words[0] != "receive")) {
    options.usage_error("what is to be done?");
  }
  const bool sends = words[0] == "send";
  Fd tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::string congestion = options.text("congestion", "cubic");
  if (setsockopt(tcp.get(), IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
                 static_cast<socklen_t>(congestion.size())) != 0) {
    fail_errno("congestion control " + congestion);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(to_number(words[2], "PORT")));
  address.sin_addr.s_addr = ipv4(words[1]);
  const auto context = make_context(!sends);
  std::vector<uint8_t> block(128 * 1024, 0x5a);
  uint64_t bytes = 0;
  if (sends) {
    if (connect(tcp.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      fail_errno("connect to " + words[1]);
    }
    const auto ssl = secure(context.get(), tcp, false);
    const int64_t began = boottime_ns();
    const double processor = processor_seconds();
    const int64_t end = began + options.number("seconds", 3) * 1'000'000'000;
    while (boottime_ns() < end) {
      if (SSL_write(ssl.get(), block.data(), static_cast<int>(block.size())) <= 0) {
        fail_ssl("write");
      }
      bytes += block.size();
    }
    report(bytes, began, processor);
    SSL_shutdown(ssl.get());
    return;
  }
  certify(context.get());
  const int one = 1;
  setsockopt(tcp.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(tcp.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(tcp.get(), 1) != 0) {
    fail_errno("listen on " + words[1]);
  }
  std::printf("{\"ready\":true}\n");
  std::fflush(stdout);
  const Fd peer(accept4(tcp.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!peer) {
    fail_errno("accept");
  }
  const auto ssl = secure(context.get(), peer, true);
  int n = SSL_read(ssl.get(), block.data(), static_cast<int>(block.size()));
  const int64_t began = boottime_ns();
  const double processor = processor_seconds();
  for (; n > 0; n = SSL_read(ssl.get(), block.data(), static_cast<int>(block.size()))) {
    bytes += static_cast<uint64_t>(n);
  }
  report(bytes, began, processor);
}

}  // namespace
}  // namespace cb::lab

int main(int argc, char** argv) {
  cb::lab::run(cb::lab::Options(argc, argv, cb::lab::kUsage, {"seconds", "congestion"}, {}));
  return 0;
}
