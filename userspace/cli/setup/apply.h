// SPDX-License-Identifier: Apache-2.0
//
// Carries a plan out: all of it, or nothing. Every new file is written and made durable beside the
// old one first, then all are renamed, then the programs run; whatever fails is put back. A machine
// that dies in between finds a journal, and recover() puts the old files back.
#pragma once

#include <string>

#include "cli/setup/machine.h"
#include "cli/setup/plan.h"

namespace cb::cli::setup {

// One run at a time; EBUSY when another one is under way.
Result<> apply(const Plan& plan, const std::string& root, Machine& machine);

// true: an earlier run had died halfway, and its files were put back.
Result<bool> recover(const std::string& root);

}  // namespace cb::cli::setup
