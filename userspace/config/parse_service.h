// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/ir.h"
#include "config/reader.h"

namespace cb::config {

// Every [[service]] of the document, with what can be checked of it.
void read_services(Reader& top, Node& node, Notes& notes);
// And every [[hook]].
void read_hooks(Reader& top, Node& node, Notes& notes);

}  // namespace cb::config
