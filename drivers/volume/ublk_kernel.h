// SPDX-License-Identifier: Apache-2.0
//
// The kernel's ublk protocol: <linux/ublk_cmd.h>, and what Debian 12's copy of it does not have
// yet.
#pragma once

#include <linux/ioctl.h>
#include <linux/ublk_cmd.h>

#include <cstdint>

namespace cb::volume {

// Commands in the way of ioctl numbers (kernel 6.4): the older plain numbers may be switched off.
inline constexpr std::uint32_t kUblkGetInfo = _IOR('u', UBLK_CMD_GET_DEV_INFO, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkAdd = _IOWR('u', UBLK_CMD_ADD_DEV, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkRemove = _IOWR('u', UBLK_CMD_DEL_DEV, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkStart = _IOWR('u', UBLK_CMD_START_DEV, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkStop = _IOWR('u', UBLK_CMD_STOP_DEV, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkSetParams = _IOWR('u', UBLK_CMD_SET_PARAMS, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkGetParams = _IOR('u', UBLK_CMD_GET_PARAMS, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkRecover =
    _IOWR('u', UBLK_CMD_START_USER_RECOVERY, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkRecovered =
    _IOWR('u', UBLK_CMD_END_USER_RECOVERY, ublksrv_ctrl_cmd);
inline constexpr std::uint32_t kUblkFetch = _IOWR('u', UBLK_IO_FETCH_REQ, ublksrv_io_cmd);
inline constexpr std::uint32_t kUblkCommit =
    _IOWR('u', UBLK_IO_COMMIT_AND_FETCH_REQ, ublksrv_io_cmd);

inline constexpr std::uint64_t kUblkIoctlNumbers = 1ULL << 6;  // UBLK_F_CMD_IOCTL_ENCODE

inline constexpr std::uint16_t kUblkNoQueue = 0xffff;
inline constexpr std::uint32_t kUblkAnyId = 0xffffffff;

inline constexpr unsigned kUblkSector = 512;

}  // namespace cb::volume
