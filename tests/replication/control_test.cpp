// SPDX-License-Identifier: Apache-2.0
//
// Conversations on the control socket, word for word. "> " the monitor says, "< " the process says;
// "*" stands for what differs from run to run.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "base/clock.h"
#include "replication/apart.h"
#include "replication/process.h"
#include "tests/base/temporary_folder.h"
#include "tests/replication/bed.h"

namespace cb::replication {
namespace {

class DeviceOfTest final : public volume::FrontEnd {
 public:
  void attach(std::uint64_t /*bytes*/, std::function<void(const volume::Request&)> /*take*/,
              loop::Done done) override {
    device_ = "/dev/test0";
    done(0);
  }
  void answer(std::uint64_t /*id*/, int /*error*/) override {}
  void detach(loop::Done done) override {
    if (busy) {
      done(EBUSY);
      return;
    }
    device_.clear();
    done(0);
  }
  volume::FrontEndFacts facts() const override {
    volume::FrontEndFacts facts;
    facts.kind = "test";
    facts.device = device_;
    return facts;
  }
  bool busy = false;

 private:
  std::string device_;
};

class Control : public testing::Test {
 protected:
  Control() {
    loop_ = std::move(*loop::Loop::open());
    hands_ = std::move(*loop::Hands::start(*loop_, {}));
    Format format;
    format.folder = folder_.at("volume");
    format.volume_bytes = 16u << 20;
    format.log_bytes = 8u << 20;
    format.instance_low = 1;
    EXPECT_TRUE(create(format));
  }
  ~Control() override {
    process_.reset();
    hands_.reset();
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }

  Result<std::unique_ptr<Process>> open() {
    Makers makers;
    makers.carriage = [](loop::Loop&, const Settings&,
                         std::uint64_t) -> Result<std::unique_ptr<transport::Carriage>> {
      return std::unique_ptr<transport::Carriage>(new NoCarriage());
    };
    makers.front_end = [this](loop::Loop&,
                              const Settings&) -> Result<std::unique_ptr<volume::FrontEnd>> {
      auto device = std::make_unique<DeviceOfTest>();
      device_ = device.get();
      return std::unique_ptr<volume::FrontEnd>(std::move(device));
    };
    makers.memory.io_flusher_error = EPERM;
    return Process::open(*loop_, *hands_, {folder_.path(), "10.0.0.2"}, std::move(makers));
  }

  void start() {
    auto process = open();
    ASSERT_TRUE(process) << to_text(process.error());
    process_ = std::move(*process);
  }

  void connect() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_.at("run/crossbeat/volume-10.0.0.2.sock");
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  // The next packet that is not progress; empty: the connection ended or nothing came.
  std::string receive() {
    const Instant deadline = boottime_now() + 10_s;
    while (boottime_now() < deadline) {
      std::string packet(kPacketMax, '\0');
      const ssize_t n = ::recv(fd_, packet.data(), packet.size(), MSG_DONTWAIT);
      if (n >= 0) {
        packet.resize(static_cast<std::size_t>(n));
        if (packet.find("\"progress\"") == std::string::npos) {
          return packet;
        }
        continue;
      }
      EXPECT_TRUE(loop_->turn(boottime_now() + 10_ms));
    }
    return "nothing came";
  }

  void say(const std::string& packet) {
    ASSERT_EQ(::send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(packet.size()));
  }

  static bool alike(const Json& wanted, const Json& got) {
    if (wanted.is_string() && wanted.get<std::string>() == "*") {
      return true;
    }
    if (!wanted.is_object() || !got.is_object()) {
      return wanted == got;
    }
    for (const auto& [key, value] : wanted.items()) {
      if (!got.contains(key) || !alike(value, got[key])) {
        return false;
      }
    }
    return wanted.size() == got.size();
  }

  void converse(const std::string& text) {
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
      const std::size_t mark = line.find_first_of("<>");
      if (mark == std::string::npos) {
        continue;
      }
      std::string packet = line.substr(mark + 2);
      const std::string config = "CONFIG";
      if (const auto at = packet.find(config); at != std::string::npos) {
        packet.replace(at, config.size(), config_);
      }
      if (line[mark] == '>') {
        say(packet);
      } else {
        const std::string got = receive();
        EXPECT_TRUE(alike(parse_json(packet), parse_json(got)))
            << "wanted " << packet << "\n   got " << got;
      }
    }
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<loop::Loop> loop_;
  std::unique_ptr<loop::Hands> hands_;
  std::unique_ptr<Process> process_;
  DeviceOfTest* device_ = nullptr;
  int fd_ = -1;
  std::string config_ =
      R"({"node":0,"mode":"sync","directory":")" + folder_.at("volume") +
      R"(","volume_bytes":16777216,"log_bytes":8388608,"front_end":"test","cable":null,"network":null,)" +
      R"("key":")" + std::string(64, 'a') + "\"}";
};

constexpr char kPromotion[] = R"(
  > {"id":1,"verb":"configure","config":CONFIG}
  < {"id":1,"error":0}
  > {"id":2,"verb":"promote"}
  < {"register":"read","number":1}
  > {"register":"answer","number":1,"error":0,"seen":{"epoch":0,"generation":"00000000000000000000000000000000","kind":"alone","holder":0}}
  < {"register":"swap","expected":{"epoch":0,"generation":"00000000000000000000000000000000","kind":"alone","holder":0},"wanted":{"epoch":4,"generation":"*","kind":"alone","holder":0},"number":2}
  > {"register":"answer","number":2,"error":0,"granted":true}
  < {"id":2,"error":0,"device":"/dev/test0"}
)";

TEST_F(Control, ComparesOnlyWhereItWritesAndSomebodyFollows) {
  start();
  connect();
  converse(R"(
    > {"id":1,"verb":"configure","config":CONFIG}
    < {"id":1,"error":0}
    > {"id":2,"verb":"verify"}
    < {"id":2,"error":30,"text":"this node's copy follows; the node that writes compares"}
  )");
  converse(kPromotion);
  converse(R"(
    > {"id":4,"verb":"verify"}
    < {"id":4,"error":107,"text":"the peer does not follow: there is nothing to compare with"}
    > {"id":5,"verb":"verify","on":false}
    < {"id":5,"error":0}
  )");
}

TEST_F(Control, GetsLongerOnlyWhereItWritesWithThePeerInStep) {
  start();
  connect();
  converse(R"(
    > {"id":1,"verb":"configure","config":CONFIG}
    < {"id":1,"error":0}
    > {"id":2,"verb":"resize","bytes":33554432}
    < {"id":2,"error":30,"text":"this node's copy follows: the node in command resizes"}
  )");
  converse(kPromotion);
  converse(R"(
    > {"id":4,"verb":"resize","bytes":33554432}
    < {"id":4,"error":107,"text":"the peer is not in step: both copies get longer, or none"}
    > {"id":5,"verb":"resize","bytes":8388608}
    < {"id":5,"error":22,"text":"a volume only gets longer, in whole MiB: it has 16777216 bytes"}
  )");
}

TEST_F(Control, IsPromotedAndDemoted) {
  start();
  connect();
  converse(kPromotion);
  converse(R"(
    > {"id":3,"verb":"end"}
    < {"id":3,"error":16,"text":"it writes: demote it first"}
    > {"id":4,"verb":"demote","hand_over":false}
    < {"id":4,"error":0}
    > {"id":5,"verb":"end"}
    < {"id":5,"error":0}
  )");
  EXPECT_TRUE(process_->ended());
}

TEST_F(Control, DoesNothingBeforeItIsConfigured) {
  start();
  connect();
  converse(R"(
    > {"id":1,"verb":"promote"}
    < {"id":1,"error":11,"text":"configure it first"}
    > {"id":2,"verb":"status"}
    < {"id":2,"error":0,"status":{"memory":{"io_flusher_error":1,"lock_error":0},"standing":null,"serving":false}}
    > {"id":3,"verb":"configure","config":{"node":7}}
    < {"id":3,"error":22,"text":"config: node: 0 or 1"}
    > {"id":4,"verb":"configure"}
    < {"id":4,"error":22,"text":"config: an object is wanted"}
    > {"id":5,"verb":"configure","config":CONFIG}
    < {"id":5,"error":0}
    > {"id":6,"verb":"fly"}
    < {"id":6,"error":22,"text":"no such verb: fly"}
  )");
}

TEST_F(Control, SurvivesAMonitorThatGoesAndAnswersTheNextOne) {
  start();
  connect();
  converse(kPromotion);
  connect();
  converse(R"(
    > {"id":1,"verb":"promote"}
    < {"id":1,"error":11,"text":"configure it first"}
    > {"id":2,"verb":"configure","config":CONFIG}
    < {"id":2,"error":0}
    > {"id":3,"verb":"promote"}
    < {"id":3,"error":0,"device":"/dev/test0"}
  )");
}

TEST_F(Control, ReadsTheRegisterAgainWhenTheMonitorWentInTheMiddle) {
  start();
  connect();
  converse(R"(
    > {"id":1,"verb":"configure","config":CONFIG}
    < {"id":1,"error":0}
    > {"id":2,"verb":"promote"}
    < {"register":"read","number":1}
  )");
  connect();
  say(R"({"id":1,"verb":"configure","config":)" + config_ + "}");
  // What it asks meanwhile and what it answers come in either order.
  std::string got = receive();
  if (got.find("register") == std::string::npos) {
    EXPECT_EQ(got, R"({"id":1,"error":0})");
    got = receive();
    if (got.find("stalled") != std::string::npos) {
      got = receive();
    }
  }
  EXPECT_NE(got.find(R"("register":"read")"), std::string::npos) << got;
}

TEST_F(Control, TakesAChangedModeUpAndRefusesAnotherDirectory) {
  start();
  connect();
  converse(R"(
    > {"id":1,"verb":"configure","config":CONFIG}
    < {"id":1,"error":0}
  )");
  config_.replace(config_.find("\"sync\""), 6, "\"async\"");
  converse(R"(
    > {"id":2,"verb":"configure","config":CONFIG}
    < {"id":2,"error":0}
  )");
  EXPECT_EQ(process_->status()["mode"], "async");
  config_.replace(config_.find("16777216"), 8, "33554432");
  converse(R"(
    > {"id":3,"verb":"configure","config":CONFIG}
    < {"id":3,"error":16,"text":"it runs with another configuration: end it and start it anew"}
  )");
}

TEST_F(Control, SaysWhyAVolumeCannotBeOpened) {
  start();
  connect();
  const std::string right = config_;
  config_.replace(config_.find("16777216"), 8, "33554432");
  converse(R"(
    > {"id":1,"verb":"configure","config":CONFIG}
    < {"id":1,"error":22,"text":"the volume on disk is of node 0 with 16777216 bytes and a log of 8388608, the configuration says otherwise"}
  )");
  config_ = right;
  converse(R"(
    > {"id":2,"verb":"configure","config":CONFIG}
    < {"id":2,"error":0}
  )");
}

TEST_F(Control, ADeviceThatIsOpenIsNotTakenAway) {
  start();
  connect();
  converse(kPromotion);
  device_->busy = true;
  converse(R"(
    > {"id":3,"verb":"demote","hand_over":true}
    < {"id":3,"error":16,"text":"take the device away: Device or resource busy"}
  )");
  EXPECT_TRUE(process_->status()["serving"].get<bool>());
}

TEST_F(Control, NonsenseEndsTheConnectionAndNothingElse) {
  start();
  for (const std::string packet : {"no json", "[1,2]", "17", "{\"id\":"}) {
    connect();
    say(packet);
    EXPECT_EQ(receive(), "") << packet;
  }
  connect();
  converse(R"(
    > {"id":1,"verb":"configure","config":CONFIG}
    < {"id":1,"error":0}
  )");
}

TEST_F(Control, ASecondProcessIsKeptOutByTheLock) {
  start();
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EBUSY);
}

TEST_F(Control, AnOperatorsFullResyncGivesTheCopyUp) {
  start();
  connect();
  converse(R"(
    > {"id":1,"verb":"configure","config":CONFIG}
    < {"id":1,"error":0}
    > {"id":2,"verb":"resync","full":true}
    < {"id":2,"error":0}
    > {"id":3,"verb":"promote"}
    < {"id":3,"error":116,"text":"volume: Stale file handle"}
  )");
  EXPECT_EQ(process_->status()["sync"]["image_kept"], "overlay");
}

}  // namespace
}  // namespace cb::replication
