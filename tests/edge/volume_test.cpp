// SPDX-License-Identifier: Apache-2.0
#include "edge/volume.h"

#include <cerrno>

#include "base/clock.h"
#include "drivers/volume/none.h"
#include "tests/loop/turning.h"

namespace cb::test {
namespace {

// A driver that keeps what it is asked, for the test to answer.
class Slow final : public volume::Volume {
 public:
  void listen(volume::Events given) override { events = std::move(given); }
  void promote(bool, loop::Done done) override { asked.push_back(std::move(done)); }
  void demote(bool, loop::Done done) override { asked.push_back(std::move(done)); }
  void resync(volume::Resync, loop::Done done) override { asked.push_back(std::move(done)); }
  void pause(bool, loop::Done done) override { asked.push_back(std::move(done)); }
  void verify(bool, loop::Done done) override { asked.push_back(std::move(done)); }
  void resize(std::uint64_t, bool, std::function<void(int, const std::string&)> done) override {
    done(ENODEV, "");
  }
  volume::Status status() const override { return {}; }
  void mount(loop::Done done) override { asked.push_back(std::move(done)); }
  void unmount(bool, loop::Done done) override { asked.push_back(std::move(done)); }
  void allow_alone(bool) override {}
  void end() override {}
  void history(std::function<void(int, const std::string&)> done) override { done(ENODEV, ""); }

  volume::Events events;
  std::vector<loop::Done> asked;
};

TEST(VolumeEdge, WithoutAVolumeEverythingSucceedsAndIsInStep) {
  auto loop = open_loop();
  bool in_step = false;
  volume::Events events;
  events.in_step = [&] { in_step = true; };
  edge::VolumeEdge edge(*loop, std::make_unique<volume::None>(), events);
  std::vector<int> answers;
  const auto done = [&](int error) { answers.push_back(error); };
  const Instant deadline = boottime_now() + Duration::from_s(5);
  edge.promote(false, deadline, done);
  edge.mount(deadline, done);
  edge.unmount(false, deadline, done);
  edge.demote(false, deadline, done);
  edge.pause(true, deadline, done);
  edge.resync(volume::Resync::Follow, deadline, done);
  EXPECT_EQ(answers, (std::vector<int>{0, 0, 0, 0, 0, 0}));
  EXPECT_FALSE(in_step) << "events come in a later turn";
  EXPECT_TRUE(turn_until(*loop, [&] { return in_step; }));
  EXPECT_TRUE(edge.status().in_step);
  EXPECT_FALSE(edge.status().present);
}

TEST(VolumeEdge, ALateDriverIsAnsweredForAndDoesNotAnswerAgain) {
  auto loop = open_loop();
  auto driver = std::make_unique<Slow>();
  Slow& slow = *driver;
  edge::VolumeEdge edge(*loop, std::move(driver), {});
  std::vector<int> answers;
  edge.promote(false, boottime_now() + Duration::from_ms(3),
               [&](int error) { answers.push_back(error); });
  EXPECT_TRUE(turn_until(*loop, [&] { return !answers.empty(); }));
  slow.asked.at(0)(0);
  EXPECT_EQ(answers, std::vector<int>{ETIMEDOUT});
}

TEST(VolumeEdge, PassesTheDriversEventsOn) {
  auto loop = open_loop();
  auto driver = std::make_unique<Slow>();
  Slow& slow = *driver;
  std::vector<std::string> seen;
  volume::Events events;
  events.progress = [&](unsigned permille) { seen.push_back(std::to_string(permille)); };
  events.fell_behind = [&] { seen.push_back("fell behind"); };
  events.disk_failed = [&](int error) { seen.push_back("failed " + std::to_string(error)); };
  edge::VolumeEdge edge(*loop, std::move(driver), events);
  slow.events.progress(250);
  slow.events.fell_behind();
  slow.events.disk_failed(EIO);
  slow.events.in_step();  // nobody listens to this one
  EXPECT_TRUE(turn_until(*loop, [&] { return seen.size() == 3; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"250", "fell behind", "failed 5"}));
}

}  // namespace
}  // namespace cb::test
