// SPDX-License-Identifier: Apache-2.0
//
// state_text.h - the words for everything that the core names. name_of() gives stable identifiers:
// the nine state names exactly as they are an interface, the others in kebab-case for JSON, metrics
// and tables. text_of() gives one short line for an operator, with what to do where that helps.
// Every function answers with a string of static life, also for a number that is no enumerator.
#pragma once

#include <string_view>

#include "core/action.h"
#include "core/event.h"
#include "core/state.h"
#include "core/types.h"

namespace cb::core {

std::string_view name_of(StateName name) noexcept;  // "PRIMARY_ACTIVE"
std::string_view name_of(SubState sub) noexcept;    // "peer-silent-waiting"
std::string_view name_of(Reason reason) noexcept;
std::string_view name_of(Report report) noexcept;
std::string_view name_of(Role role) noexcept;  // "primary"
std::string_view name_of(Link link) noexcept;  // "direct"
std::string_view name_of(GuardMode mode) noexcept;
std::string_view name_of(Verdict verdict) noexcept;
std::string_view name_of(ActionKind kind) noexcept;
std::string_view name_of(EventKind kind) noexcept;
std::string_view name_of(Ladder ladder) noexcept;
std::string_view name_of(Goal goal) noexcept;
std::string_view name_of(SoloBasis basis) noexcept;

std::string_view text_of(SubState sub) noexcept;   // empty for None
std::string_view text_of(Reason reason) noexcept;  // empty for None
std::string_view text_of(Report report) noexcept;
std::string_view text_of(Verdict verdict) noexcept;

}  // namespace cb::core
