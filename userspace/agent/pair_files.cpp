// SPDX-License-Identifier: Apache-2.0
#include "agent/pair_files.h"

#include <optional>
#include <utility>

#include "base/log.h"
#include "config/config.h"

namespace cb::agent {
namespace {

// Hands know only numbers; a Result has words, and may hold what was opened.
template <class T>
void by_hand(loop::Hands& hands, std::function<Result<T>()> work,
             std::function<void(Result<T>)> done) {
  auto result = std::make_shared<std::optional<Result<T>>>();
  hands.run(
      [result, work = std::move(work)] {
        result->emplace(work());
        return 0;
      },
      [result, done = std::move(done)](int) { done(std::move(**result)); });
}

Result<std::unique_ptr<edge::Ledger>> create_all(loop::Loop& loop, const std::string& root,
                                                 const config::Pair& pair) {
  CB_TRY_DO(edge::Ledger::remove(root, pair.primary_hm.text()));
  CB_TRY_DO(config::save_pair(root, pair));
  auto ledger = edge::Ledger::open(loop, root, pair.primary_hm.text(), pair.id);
  if (!ledger) {
    (void)config::remove_pair(root, pair);  // ignored: the first error is the one to tell
  }
  return ledger;
}

}  // namespace

PairFiles::PairFiles(loop::Loop& loop, loop::Hands& hands, std::string root)
    : loop_(loop), hands_(hands), root_(std::move(root)) {}

void PairFiles::create(const config::Pair& pair, Created done) {
  by_hand<std::unique_ptr<edge::Ledger>>(
      hands_, [&loop = loop_, root = root_, pair] { return create_all(loop, root, pair); },
      std::move(done));
}

void PairFiles::renew(const config::Pair& pair, Finished done) {
  by_hand<cb::Done>(
      hands_, [root = root_, pair] { return config::save_pair(root, pair); }, std::move(done));
}

void PairFiles::remove(const config::Pair& pair, Finished done) {
  by_hand<cb::Done>(
      hands_, [root = root_, pair] { return config::remove_pair(root, pair); }, std::move(done));
}

void PairFiles::remove_ledger(const config::Pair& pair) {
  by_hand<cb::Done>(
      hands_,
      [root = root_, name = pair.primary_hm.text()] { return edge::Ledger::remove(root, name); },
      [](const Result<>& removed) {
        if (!removed) {
          log_warning("%s", to_text(removed.error()).c_str());
        }
      });
}

}  // namespace cb::agent
