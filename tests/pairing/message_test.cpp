// SPDX-License-Identifier: Apache-2.0
#include "pairing/message.h"

#include <gtest/gtest.h>

#include "config/volume.h"
#include "pairing/rules.h"
#include "tests/pairing/nodes.h"

namespace cb::pairing {
namespace {

using test::address;
using test::prefix;

Hello full_hello() {
  Hello hello = make_hello(test::primary_node(), address("10.66.0.2"));
  hello.networks.push_back(prefix("fd00:66::1/64"));
  hello.virtual_addresses.push_back(prefix("fd00:66::11/64"));
  hello.held = HeldPairing{77, {1, 2, 3}};
  hello.platform = {"VA-Low", {4, 8000, 200'000, 10'000}};
  hello.heartbeat = {1, 3};
  hello.others = Hello::Others{"3310", "", "VA-High"};
  hello.licence = "crossbeat-licence 1\nid x\n";
  hello.recover = true;
  hello.verdict = Refusal::Platform;
  return hello;
}

// A field as the encoder writes it.
std::string field(int tag, const std::string& value) {
  std::string out(1, static_cast<char>(tag));
  out.push_back(static_cast<char>(value.size() >> 8));
  out.push_back(static_cast<char>(value.size() & 0xff));
  return out + value;
}

TEST(HelloMessage, IsReadBackAsItWasWritten) {
  for (const Hello& hello :
       {full_hello(), make_hello(test::secondary_node(), address("10.66.0.1"))}) {
    const auto bytes = encode_hello(hello);
    ASSERT_TRUE(bytes);
    EXPECT_LE(bytes->size(), kBodyMax);
    const auto read = decode_hello(*bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, hello);
  }
}

Hello hello_with_volume() {
  Hello hello = full_hello();
  config::PairVolume& volume = hello.volume.emplace();
  volume.id = {1, 2, 3};
  volume.volume = config::default_volume();
  volume.volume.bytes = 5ull << 30;
  volume.volume.mode = config::Volume::Mode::Async;
  volume.volume.mount_point = "/srv/data";
  return hello;
}

TEST(HelloMessage, CarriesTheVolume) {
  const Hello hello = hello_with_volume();
  const auto bytes = encode_hello(hello);
  ASSERT_TRUE(bytes);
  const auto read = decode_hello(*bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, hello);
  for (std::size_t length = 0; length < bytes->size(); ++length) {
    const auto cut = decode_hello(bytes->substr(0, length));
    EXPECT_TRUE(!cut || !cut->volume || cut->volume == hello.volume) << length;
  }
}

TEST(HelloMessage, RefusesAVolumeThatWouldBeRefusedInAFile) {
  for (const auto& spoil : std::vector<void (*)(config::Volume&)>{
           [](config::Volume& v) { v.bytes = 1; }, [](config::Volume& v) { v.log_bytes = 0; },
           [](config::Volume& v) { v.mount_point = "/data/../etc"; },
           [](config::Volume& v) { v.mount_options = "a b"; },
           [](config::Volume& v) { v.file_system = "vfat"; }, [](config::Volume& v) { v.port = 0; },
           [](config::Volume& v) { v.mode = static_cast<config::Volume::Mode>(9); }}) {
    Hello hello = hello_with_volume();
    spoil(hello.volume->volume);
    EXPECT_FALSE(encode_hello(hello));
  }
}

TEST(HelloMessage, TheLongestThatIsAllowedFits) {
  Hello hello = full_hello();
  hello.name = std::string(kNameMax, 'n');
  hello.version = std::string(kVersionMax, 'v');
  hello.product_version = std::string(kVersionMax, 'p');
  hello.udi = std::string(kUdiMax, 'u');
  hello.platform.model = std::string(config::kModelMax, 'm');
  hello.others = Hello::Others(CB_PAIRINGS_MAX, hello.platform.model);
  hello.licence = std::string(kLicenceMax, 'l');
  hello.networks.assign(kNetworksMax, prefix("fd00:66::1/64"));
  hello.virtual_addresses.assign(kVirtualMax, prefix("fd00:66::2/64"));
  const auto bytes = encode_hello(hello);
  ASSERT_TRUE(bytes);
  EXPECT_LE(bytes->size(), kBodyMax);
  EXPECT_EQ(decode_hello(*bytes), hello);
}

TEST(HelloMessage, CutAnywhereIsRefused) {
  const std::string bytes = *encode_hello(full_hello());
  const std::size_t options = bytes.find(field(130, "VA-Low"));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto read = decode_hello(bytes.substr(0, length));
    if (length < options) {
      EXPECT_FALSE(read) << length;
    } else if (read) {  // cut between two options: the hello of an older version
      EXPECT_NE(*read, full_hello()) << length;
    }
  }
  EXPECT_FALSE(decode_hello(bytes + '\0'));
}

TEST(HelloMessage, ABentOneIsRefusedOrReadsAsSomethingElse) {
  const Hello hello = full_hello();
  const std::string bytes = *encode_hello(hello);
  const std::size_t options = bytes.find(field(130, "VA-Low"));
  ASSERT_NE(options, std::string::npos);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string bent = bytes;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << (bit % 8)));
    const auto read = decode_hello(bent);
    if (read && bit / 8 < options) {
      EXPECT_NE(*read, hello) << bit;
      EXPECT_EQ(encode_hello(*read), bent) << bit;  // one encoding each
    } else if (read) {                              // or an option that this version does not know
      const auto again = encode_hello(*read);
      ASSERT_TRUE(again) << bit;
      EXPECT_EQ(decode_hello(*again), *read) << bit;
    }
  }
}

TEST(HelloMessage, RefusesValuesThatMakeNoSense) {
  const auto refused = [](auto change) {
    Hello hello = full_hello();
    change(hello);
    return !encode_hello(hello);
  };
  EXPECT_TRUE(refused([](Hello& h) { h.name = ""; }));
  EXPECT_TRUE(refused([](Hello& h) { h.name = std::string(kNameMax + 1, 'n'); }));
  EXPECT_TRUE(refused([](Hello& h) { h.name = "a\nb"; }));
  EXPECT_TRUE(refused([](Hello& h) { h.name = "\x1b[31m"; }));
  EXPECT_TRUE(refused([](Hello& h) { h.name = "a\"b"; }));
  EXPECT_TRUE(refused([](Hello& h) { h.name = "a\\b"; }));
  EXPECT_TRUE(refused([](Hello& h) { h.udi = "caf\xc3\xa9"; }));
  EXPECT_TRUE(refused([](Hello& h) { h.version = std::string(kVersionMax + 1, '1'); }));
  EXPECT_TRUE(refused([](Hello& h) { h.hm_address = config::Address{}; }));
  EXPECT_TRUE(refused([](Hello& h) { h.hm_address = address("224.0.0.1"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.hm_address = address("255.255.255.255"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.hm_address = address("0.0.0.0"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.hm_address = address("ff02::1"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.networks.clear(); }));
  EXPECT_TRUE(refused([](Hello& h) { h.networks[0].length = 0; }));
  EXPECT_TRUE(refused([](Hello& h) { h.networks[0].length = 33; }));
  EXPECT_TRUE(refused([](Hello& h) { h.networks[1].length = 129; }));
  EXPECT_TRUE(refused([](Hello& h) { h.networks.assign(kNetworksMax + 1, h.networks[0]); }));
  EXPECT_TRUE(refused([](Hello& h) { h.virtual_addresses[0].address = address("239.1.1.1"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.failover_wait = Duration::from_ms(-1); }));
  EXPECT_TRUE(
      refused([](Hello& h) { h.failover_wait = Duration::from_ms(kFailoverWaitMaxMs + 1); }));
  EXPECT_TRUE(refused([](Hello& h) { h.failover_wait = Duration::from_us(1500); }));
  EXPECT_TRUE(refused([](Hello& h) { h.held->id = 0; }));
  EXPECT_TRUE(refused([](Hello& h) { h.platform.model = "a model"; }));
  EXPECT_TRUE(refused([](Hello& h) { h.others->push_back("a,b"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.others->assign(CB_PAIRINGS_MAX + 1, "m"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.licence = "caf\xc3\xa9"; }));
  EXPECT_TRUE(refused([](Hello& h) { h.licence = std::string(kLicenceMax + 1, 'l'); }));
  EXPECT_TRUE(refused([](Hello& h) { h.verdict = Refusal::TimedOut; }));
  EXPECT_TRUE(refused([](Hello& h) { h.heartbeat = {3, 2}; }));
  EXPECT_TRUE(refused([](Hello& h) { h.protocol_min = 0; }));
  EXPECT_TRUE(refused([](Hello& h) { h.protocol_min = 2; }));
  EXPECT_FALSE(refused([](Hello&) {}));
}

TEST(HelloMessage, RefusesFieldsTwiceOutOfOrderOrUnknown) {
  const std::string bytes = *encode_hello(full_hello());
  const std::string first = bytes.substr(0, 5);  // protocol: tag, length 2, two bytes
  ASSERT_EQ(first, field(1, "\x01\x01"));
  EXPECT_FALSE(decode_hello(first + bytes));            // twice
  EXPECT_FALSE(decode_hello(bytes.substr(5)));          // missing
  EXPECT_FALSE(decode_hello(bytes.substr(5) + first));  // out of order
  EXPECT_FALSE(decode_hello(bytes + field(14, "x")));   // unknown, and not optional
  EXPECT_FALSE(decode_hello(field(1, "\x01\x01\x01") + bytes.substr(5)));  // too long
}

TEST(HelloMessage, PassesOverOptionalFieldsOfLaterVersions) {
  const Hello hello = full_hello();
  const std::string later = *encode_hello(hello) + field(190, "new") + field(200, "");
  EXPECT_EQ(decode_hello(later), hello);
  EXPECT_FALSE(decode_hello(later + field(191, "")));  // still in order
  EXPECT_FALSE(
      decode_hello(*encode_hello(hello) + field(190, "").substr(1)));  // not whole, and not empty
}

TEST(Frames, ComeOutAsTheyWentInHoweverTheStreamIsCut) {
  const std::string bytes = frame_bytes(Kind::Ask, "0123456789abcdef01234567");
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    FrameReader reader;
    ASSERT_TRUE(reader.feed(bytes.substr(0, cut)));
    EXPECT_EQ(reader.next().has_value(), cut == bytes.size());
    if (cut < bytes.size()) {
      ASSERT_TRUE(reader.feed(bytes.substr(cut)));
      const auto frame = reader.next();
      ASSERT_TRUE(frame);
      EXPECT_EQ(frame->kind, Kind::Ask);
      EXPECT_EQ(frame->body, "0123456789abcdef01234567");
    }
    EXPECT_TRUE(reader.empty());
  }
}

TEST(Frames, OfAnotherProtocolAreRefusedAtTheFirstWrongByte) {
  EXPECT_FALSE(FrameReader().feed("G"));  // GET / HTTP/1.1
  EXPECT_FALSE(FrameReader().feed("XBPS"));
  EXPECT_TRUE(FrameReader().feed("XBP"));
  EXPECT_FALSE(FrameReader().feed("XBPR\x02"));                      // version
  EXPECT_FALSE(FrameReader().feed(std::string("XBPR\x01\x00", 6)));  // kind
  EXPECT_FALSE(FrameReader().feed("XBPR\x01\x0f"));
  EXPECT_FALSE(FrameReader().feed("XBPR\x01\x01\x40\x01"));                 // 16385 bytes
  EXPECT_TRUE(FrameReader().feed(std::string("XBPR\x01\x01\x40\x00", 8)));  // 16384
}

TEST(Frames, HoldNeverMoreThanOneFrame) {
  const std::string one = frame_bytes(Kind::Challenge, std::string(16, 'n'));
  FrameReader reader;
  EXPECT_FALSE(reader.feed(one + "X"));  // the protocol is in turns
  FrameReader full;
  EXPECT_FALSE(full.feed(frame_bytes(Kind::Hello, std::string(kBodyMax, 'x')) + "y"));
}

TEST(Refusals, TravelAsNumbersOfWhichUnknownOnesSayNotNow) {
  EXPECT_EQ(decode_refuse(encode_refuse(Refusal::WrongCode)), Refusal::WrongCode);
  EXPECT_EQ(decode_refuse("\xff"), Refusal::NotNow);
  // A peer cannot make us say that our own disk is full.
  EXPECT_EQ(decode_refuse(encode_refuse(Refusal::OwnSaveFailed)), Refusal::NotNow);
  EXPECT_FALSE(decode_refuse(std::string_view("\0", 1)));
  EXPECT_FALSE(decode_refuse(""));
  EXPECT_FALSE(decode_refuse("ab"));
}

TEST(Refusals, EachHasItsOwnNameAndSaysTheNextStep) {
  std::set<std::string_view> names;
  for (int number = 1; number < kRefusals; ++number) {
    const auto refusal = static_cast<Refusal>(number);
    EXPECT_TRUE(names.insert(name_of(refusal)).second) << number;
    const Failure failure = failure_of(refusal, "10.66.0.2", "detail");
    EXPECT_FALSE(failure.what.empty());
    EXPECT_FALSE(failure.next.empty()) << failure.what;
    EXPECT_EQ(failure.what.find('%'), std::string::npos);
    EXPECT_TRUE(failure.what.ends_with(": detail"));
    EXPECT_TRUE(failure.exit_code == 1 || failure.exit_code == 4 || failure.exit_code == 5);
    EXPECT_TRUE(failure);
  }
  EXPECT_FALSE(failure_of(Refusal::None, "x"));
}

TEST(CommitMessage, HoldsOnlyForItsKindItsRunAndItsKey) {
  ASSERT_TRUE(crypto_ready());
  Secret<32> key;
  key.data()[0] = 1;
  Secret<32> other;
  const std::string go = encode_commit(Kind::Commit, Choice::Go, "run", key);
  EXPECT_EQ(decode_commit(Kind::Commit, go, "run", key), Choice::Go);
  EXPECT_FALSE(decode_commit(Kind::Committed, go, "run", key));
  EXPECT_FALSE(decode_commit(Kind::Commit, go, "another run", key));
  EXPECT_FALSE(decode_commit(Kind::Commit, go, "run", other));
  // Only a Finish can take back.
  EXPECT_EQ(decode_commit(Kind::Finish, encode_commit(Kind::Finish, Choice::Undo, "run", key),
                          "run", key),
            Choice::Undo);
  EXPECT_FALSE(decode_commit(Kind::Commit, encode_commit(Kind::Commit, Choice::Undo, "run", key),
                             "run", key));
  for (std::size_t bit = 0; bit < go.size() * 8; ++bit) {
    std::string bent = go;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_commit(Kind::Commit, bent, "run", key)) << bit;
  }
  for (std::size_t length = 0; length < go.size(); ++length) {
    EXPECT_FALSE(decode_commit(Kind::Commit, go.substr(0, length), "run", key)) << length;
  }
}

TEST(CallMessages, HoldOnlyForTheirPairingNoncesAndKey) {
  ASSERT_TRUE(crypto_ready());
  Secret<32> key;
  key.data()[0] = 1;
  Secret<32> other;
  const CallContext context{7, {1}, {2}};
  const std::string request = encode_request({Verb::Unpair}, context, key);
  EXPECT_EQ(decode_request(request, context, key), Request{Verb::Unpair});
  EXPECT_FALSE(decode_request(request, context, other));
  EXPECT_FALSE(decode_request(request, CallContext{8, {1}, {2}}, key));
  EXPECT_FALSE(decode_request(request, CallContext{7, {3}, {2}}, key));
  EXPECT_FALSE(decode_request(request, CallContext{7, {1}, {3}}, key));
  EXPECT_FALSE(decode_request(encode_request({Verb::Keep}, context, key), context, key));
  // A Tell carries something, and nothing else does.
  const Request told{Verb::Tell, std::string(kTellMax, 't')};
  EXPECT_EQ(decode_request(encode_request(told, context, key), context, key), told);
  EXPECT_LE(encode_request(told, context, key).size(), kBodyMax);
  for (const Request& wrong : {Request{Verb::Tell, ""}, Request{Verb::Unpair, "x"},
                               Request{Verb::Tell, std::string(kTellMax + 1, 't')}}) {
    EXPECT_FALSE(decode_request(encode_request(wrong, context, key), context, key));
  }
  EXPECT_FALSE(decode_reply(request, context, key));  // each kind has its own label

  const std::string reply = encode_reply({Verb::PeerInfo, Refusal::None, "hello"}, context, key);
  const auto read = decode_reply(reply, context, key);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->hello, "hello");
  for (std::size_t bit = 0; bit < reply.size() * 8; ++bit) {
    std::string bent = reply;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_reply(bent, context, key)) << bit;
  }
  // A refusal carries no hello, an unpair neither.
  EXPECT_FALSE(decode_reply(encode_reply({Verb::PeerInfo, Refusal::NotNow, "x"}, context, key),
                            context, key));
  EXPECT_FALSE(
      decode_reply(encode_reply({Verb::Unpair, Refusal::None, "x"}, context, key), context, key));
  EXPECT_FALSE(
      decode_reply(encode_reply({Verb::PeerInfo, Refusal::None, ""}, context, key), context, key));
}

TEST(CallMessages, OfAnotherLengthAreRefused) {
  const std::string ask = encode_ask({7, {1}});
  EXPECT_EQ(decode_ask(ask)->pairing, 7u);
  EXPECT_FALSE(decode_ask(ask + "x"));
  EXPECT_FALSE(decode_ask(ask.substr(1)));
  EXPECT_FALSE(decode_ask(encode_ask({0, {1}})));
  EXPECT_FALSE(decode_challenge("short"));
  EXPECT_FALSE(decode_share(std::string(31, 'x')));
  EXPECT_FALSE(decode_share(std::string(33, 'x')));
  EXPECT_FALSE(decode_proof(std::string(63, 'x')));
}

}  // namespace
}  // namespace cb::pairing
