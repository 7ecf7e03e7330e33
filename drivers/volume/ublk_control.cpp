// SPDX-License-Identifier: Apache-2.0
#include "drivers/volume/ublk_control.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text.h"

namespace cb::volume {

namespace {

ublksrv_ctrl_cmd command_for(std::uint32_t number) {
  ublksrv_ctrl_cmd command{};
  command.dev_id = number;
  command.queue_id = kUblkNoQueue;
  return command;
}

template <class T>
void ask(UblkRing& ring, std::uint32_t operation, std::uint32_t number, const T& about,
         std::function<void(int, const T&)> done) {
  auto memory = std::make_shared<T>(about);
  ublksrv_ctrl_cmd command = command_for(number);
  command.addr = reinterpret_cast<std::uint64_t>(memory.get());
  command.len = sizeof(T);
  ring.control(operation, command, memory, [memory, done = std::move(done)](int result) {
    done(result < 0 ? -result : 0, *memory);
  });
}

}  // namespace

std::vector<std::uint32_t> ublk_devices() {
  std::vector<std::uint32_t> found;
  std::error_code error;
  constexpr std::string_view kPrefix = "ublkc";
  for (std::filesystem::directory_iterator at("/sys/class/ublk-char", error), end;
       !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    if (!name.starts_with(kPrefix)) {
      continue;
    }
    if (const auto number =
            parse_number(std::string_view(name).substr(kPrefix.size()), UINT32_MAX - 1)) {
      found.push_back(static_cast<std::uint32_t>(*number));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string ublk_device_path(std::uint32_t number) { return "/dev/ublkb" + std::to_string(number); }

std::string ublk_channel_path(std::uint32_t number) {
  return "/dev/ublkc" + std::to_string(number);
}

std::string ublk_queue_path(std::uint32_t number) {
  return "/sys/block/ublkb" + std::to_string(number) + "/queue/";
}

void ublk_info(UblkRing& ring, std::uint32_t number,
               std::function<void(int, const ublksrv_ctrl_dev_info&)> done) {
  ask(ring, kUblkGetInfo, number, ublksrv_ctrl_dev_info{}, std::move(done));
}

void ublk_params_of(UblkRing& ring, std::uint32_t number,
                    std::function<void(int, const ublk_params&)> done) {
  ublk_params params{};
  params.len = sizeof params;
  ask(ring, kUblkGetParams, number, params, std::move(done));
}

void ublk_add(UblkRing& ring, const ublksrv_ctrl_dev_info& wanted,
              std::function<void(int, const ublksrv_ctrl_dev_info&)> done) {
  ask(ring, kUblkAdd, wanted.dev_id, wanted, std::move(done));
}

void ublk_set_params(UblkRing& ring, std::uint32_t number, const ublk_params& params,
                     UblkDone done) {
  ask<ublk_params>(ring, kUblkSetParams, number, params,
                   [done = std::move(done)](int error, const ublk_params&) { done(error); });
}

void ublk_do(UblkRing& ring, std::uint32_t operation, std::uint32_t number, UblkDone done) {
  ublksrv_ctrl_cmd command = command_for(number);
  command.data[0] = static_cast<__u64>(::getpid());  // of those that start to serve
  ring.control(operation, command, nullptr,
               [done = std::move(done)](int result) { done(result < 0 ? -result : 0); });
}

}  // namespace cb::volume
