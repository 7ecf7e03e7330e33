// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/context.h"

namespace cb::cli {

// resolve_verbs.cpp: on the secondary, end a conflict; the newer term goes on
int resolve_conflict(const Context& context);

}  // namespace cb::cli
