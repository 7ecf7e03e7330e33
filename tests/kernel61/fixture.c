// SPDX-License-Identifier: Apache-2.0
//
// What the monitor needs from a kernel besides eBPF, each as small as can be. The selftest runs it
// in the guest:
//
//   fixture uring            a ring as the control loop makes it: timer, repeated poll
//   fixture deadline         SCHED_DEADLINE for a thread, as the probe thread asks for it
//   fixture lock             mlockall
//   fixture exits PROG MAP   attach the pinned raw tracepoint PROG, pin the link, watch it count in
//   MAP fixture packet IF MAC    a raw frame to MAC through interface IF, and its answer
//
// Prints what it found; exits 0 only if all of it works.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <liburing.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kAnswerWaitMs = 5000, kEtherType = 0x88b5 };

static int failed(const char* what, int error) {
  printf("%s: %s\n", what, strerror(error));
  return 1;
}

static uint64_t boot_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Waits for one completion, with a limit that a slow emulation does not reach.
static int completion(struct io_uring* ring, int* result, unsigned* flags) {
  struct io_uring_cqe* cqe = NULL;
  struct __kernel_timespec limit = {.tv_sec = 10};
  int error = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, NULL);
  if (error < 0) return failed("io_uring_submit_and_wait_timeout", -error);
  if (cqe == NULL) return failed("no completion", ETIME);
  *result = cqe->res;
  *flags = cqe->flags;
  io_uring_cqe_seen(ring, cqe);
  return 0;
}

static int test_uring(void) {
  struct io_uring ring;
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                            IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL};
  int error = io_uring_queue_init_params(64, &ring, &params);
  if (error < 0) return failed("io_uring_queue_init with SINGLE_ISSUER, DEFER_TASKRUN", -error);
  struct io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  if (probe == NULL) return failed("io_uring_get_probe", ENOMEM);
  printf("io_uring: features 0x%x, last operation %d\n", params.features, probe->last_op);
  io_uring_free_probe(probe);

  // An absolute timer, as the deadlines of the loop are.
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t due = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + 20000000u;
  struct __kernel_timespec at = {.tv_sec = (long long)(due / 1000000000u),
                                 .tv_nsec = (long long)(due % 1000000000u)};
  io_uring_prep_timeout(io_uring_get_sqe(&ring), &at, 0, IORING_TIMEOUT_ABS);
  int result = 0;
  unsigned flags = 0;
  uint64_t begun = boot_ns();
  if (completion(&ring, &result, &flags) != 0) return 1;
  if (result != -ETIME) return failed("timer", -result);
  printf("io_uring: a 20 ms timer took %.1f ms\n", (double)(boot_ns() - begun) / 1e6);

  int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  io_uring_prep_poll_multishot(io_uring_get_sqe(&ring), event, POLLIN);
  if (io_uring_submit(&ring) != 1) return failed("poll", EIO);
  for (int round = 0; round < 3; ++round) {
    eventfd_t value = 0;
    if (eventfd_write(event, 1) != 0) return failed("eventfd_write", errno);
    if (completion(&ring, &result, &flags) != 0) return 1;
    if (result < 0 || (flags & IORING_CQE_F_MORE) == 0)
      return failed("repeated poll", result < 0 ? -result : EIO);
    if (eventfd_read(event, &value) != 0) return failed("eventfd_read", errno);
  }
  printf("io_uring: one poll answered 3 times\n");
  io_uring_queue_exit(&ring);
  return 0;
}

// The kernel's first version of the structure; glibc 2.36 has no wrapper for it.
struct deadline_attr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns;
  uint64_t deadline_ns;
  uint64_t period_ns;
};

static int test_deadline(void) {
  struct deadline_attr want = {.size = sizeof(want),
                               .policy = 6,  // SCHED_DEADLINE
                               .runtime_ns = 200000,
                               .deadline_ns = 2000000,
                               .period_ns = 2000000};
  if (syscall(SYS_sched_setattr, 0, &want, 0) != 0)
    return failed("sched_setattr(SCHED_DEADLINE)", errno);
  struct deadline_attr got = {.size = sizeof(got)};
  if (syscall(SYS_sched_getattr, 0, &got, sizeof(got), 0) != 0)
    return failed("sched_getattr", errno);
  if (got.policy != 6 || got.period_ns != want.period_ns)
    return failed("the policy was not kept", EINVAL);
  uint64_t begun = boot_ns();
  for (int turn = 0; turn < 10; ++turn) sched_yield();  // under this policy: until the next period
  printf("SCHED_DEADLINE: 10 periods of 2 ms took %.1f ms\n", (double)(boot_ns() - begun) / 1e6);
  return 0;
}

static int test_lock(void) {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return failed("mlockall", errno);
  printf("mlockall: ok\n");
  return 0;
}

static int test_packet(const char* interface, const char* mac_text) {
  uint8_t mac[6];
  if (sscanf(mac_text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
             &mac[5]) != 6)
    return failed(mac_text, EINVAL);
  int fd = socket(AF_PACKET, SOCK_RAW, htons(kEtherType));
  if (fd < 0) return failed("socket(AF_PACKET)", errno);
  struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                .sll_protocol = htons(kEtherType),
                                .sll_ifindex = (int)if_nametoindex(interface)};
  if (address.sll_ifindex == 0) return failed(interface, errno);
  if (bind(fd, (struct sockaddr*)&address, sizeof(address)) != 0) return failed("bind", errno);
  int one = 1;
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) != 0)
    return failed("PACKET_IGNORE_OUTGOING", errno);
  if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) != 0)
    return failed("PACKET_QDISC_BYPASS", errno);

  uint8_t frame[64] = {0};
  uint8_t answer[256];
  memcpy(frame, mac, 6);
  frame[6] = 0x02;  // a locally administered sender; the answer comes back to it
  frame[12] = kEtherType >> 8;
  frame[13] = kEtherType & 0xff;
  memcpy(frame + 14, "crossbeat fixture", 17);
  uint64_t begun = boot_ns();
  if (send(fd, frame, sizeof(frame), 0) != (ssize_t)sizeof(frame)) return failed("send", errno);
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  if (poll(&wait, 1, kAnswerWaitMs) != 1) return failed("no answer", ETIMEDOUT);
  ssize_t size = recv(fd, answer, sizeof(answer), 0);
  if (size != (ssize_t)sizeof(frame) || memcmp(answer + 6, mac, 6) != 0 ||
      memcmp(answer + 14, frame + 14, 50) != 0)
    return failed("the answer is not the frame turned round", EBADMSG);
  printf("AF_PACKET: answered by XDP after %.0f us\n", (double)(boot_ns() - begun) / 1e3);
  close(fd);
  return 0;
}

// Slot 2 of the fixture's map: {seen, last_boot_ns}.
static int exits_seen(int map, uint64_t seen[2]) {
  uint32_t slot = 2;
  return bpf_map_lookup_elem(map, &slot, seen) != 0 ? failed("bpf_map_lookup_elem", errno) : 0;
}

static int test_exits(const char* program_path, const char* map_path) {
  int program = bpf_obj_get(program_path);
  if (program < 0) return failed(program_path, errno);
  int map = bpf_obj_get(map_path);
  if (map < 0) return failed(map_path, errno);
  int link = bpf_raw_tracepoint_open("sched_process_exit", program);
  if (link < 0) return failed("bpf_raw_tracepoint_open", errno);
  // A pin makes the link outlive its maker, as the exit mark must outlive the monitor.
  if (bpf_obj_pin(link, "/sys/fs/bpf/fixture_exit_link") != 0) return failed("pin the link", errno);
  close(link);

  uint64_t before[2];
  uint64_t after[2];
  if (exits_seen(map, before) != 0) return 1;
  uint64_t begun = boot_ns();
  pid_t child = fork();
  if (child == 0) _exit(0);
  if (child < 0 || waitpid(child, NULL, 0) != child) return failed("fork", errno);
  if (exits_seen(map, after) != 0) return 1;
  if (after[0] <= before[0]) return failed("the exit was not counted", ENOMSG);
  if (after[1] < begun || after[1] > boot_ns())
    return failed("the kernel's boot clock is not ours", ERANGE);
  return 0;
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char* what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "uring") == 0) return test_uring();
  if (strcmp(what, "deadline") == 0) return test_deadline();
  if (strcmp(what, "lock") == 0) return test_lock();
  if (strcmp(what, "exits") == 0 && argc == 4) return test_exits(argv[2], argv[3]);
  if (strcmp(what, "packet") == 0 && argc == 4) return test_packet(argv[2], argv[3]);
  fprintf(stderr, "usage: %s uring | deadline | lock | exits PROG MAP | packet IF MAC\n", argv[0]);
  return 2;
}
