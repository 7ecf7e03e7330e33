// SPDX-License-Identifier: Apache-2.0
#include "replication/view.h"

#include <algorithm>

namespace cb::replication {

using core::volume::Entry;
using core::volume::EntryType;
using core::volume::kBlock;

namespace {

Piece cut(const Piece& piece, std::uint64_t offset, std::uint64_t end) {
  Piece part = piece;
  part.offset = std::max(piece.offset, offset);
  part.end = std::min(piece.end, end);
  if (!piece.zero) {
    part.at += static_cast<std::uint32_t>(part.offset - piece.offset);
  }
  return part;
}

}  // namespace

// Afterwards no piece reaches across `offset`.
void View::cut_at(std::uint64_t offset) {
  auto after = pieces_.lower_bound(offset);
  if (after == pieces_.begin()) {
    return;
  }
  Piece& before = std::prev(after)->second;
  if (before.end > offset) {
    const Piece rest = cut(before, offset, before.end);
    before.end = offset;
    pieces_.emplace_hint(after, offset, rest);
  }
}

void View::put(const Piece& piece) {
  cut_at(piece.offset);
  cut_at(piece.end);
  const auto first = pieces_.lower_bound(piece.offset);
  const auto last = pieces_.lower_bound(piece.end);
  const auto next = pieces_.erase(first, last);
  pieces_.emplace_hint(next, piece.offset, piece);
}

void View::put(const core::volume::BatchHeader& header) {
  for (const Entry& entry : header.entries) {
    Piece piece;
    piece.offset = entry.offset;
    piece.end = entry.offset + entry.length;
    piece.batch = header.position;
    piece.zero = entry.type != EntryType::Write;
    piece.give_back = entry.type == EntryType::Discard;
    piece.at = piece.zero ? 0 : static_cast<std::uint32_t>(kBlock) + entry.payload_offset;
    put(piece);
  }
}

void View::forget(std::uint64_t offset, std::uint64_t end, core::volume::Position before) {
  cut_at(offset);
  cut_at(end);
  for (auto piece = pieces_.lower_bound(offset); piece != pieces_.end() && piece->first < end;) {
    piece = piece->second.batch < before ? pieces_.erase(piece) : std::next(piece);
  }
}

void View::forget_before(core::volume::Position before) {
  std::erase_if(pieces_, [before](const auto& entry) { return entry.second.batch < before; });
}

void View::collect(std::uint64_t offset, std::uint64_t end, std::vector<Piece>& into) const {
  auto piece = pieces_.upper_bound(offset);
  if (piece != pieces_.begin() && std::prev(piece)->second.end > offset) {
    --piece;
  }
  for (; piece != pieces_.end() && piece->first < end; ++piece) {
    into.push_back(cut(piece->second, offset, end));
  }
}

std::vector<Piece> View::all() const {
  std::vector<Piece> list;
  list.reserve(pieces_.size());
  for (const auto& [offset, piece] : pieces_) {
    list.push_back(piece);
  }
  return list;
}

}  // namespace cb::replication
