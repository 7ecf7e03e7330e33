// SPDX-License-Identifier: Apache-2.0
//
// The vectors are those that draft-irtf-cfrg-cpace-21 publishes in appendix B.3, and the refused
// encodings of its test vector file.
#include "pairing/pake.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace cb::pairing {
namespace {

std::vector<std::uint8_t> bytes(std::string_view hex) {
  const auto parsed = parse_hex(hex);
  EXPECT_TRUE(parsed) << hex;
  return parsed.value_or(std::vector<std::uint8_t>{});
}

template <std::size_t N>
std::array<std::uint8_t, N> fixed(std::string_view hex) {
  const auto from = bytes(hex);
  std::array<std::uint8_t, N> to{};
  EXPECT_EQ(from.size(), N);
  std::copy(from.begin(), from.end(), to.begin());
  return to;
}

std::string text(std::string_view hex) {
  const auto from = bytes(hex);
  return {from.begin(), from.end()};
}

constexpr std::string_view kScalarA =
    "da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08";
constexpr std::string_view kScalarB =
    "d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d";
constexpr std::string_view kShareA =
    "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157";
constexpr std::string_view kShareB =
    "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258";
constexpr std::string_view kIsk =
    "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd"
    "2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447";

class PakeTest : public ::testing::Test {
 protected:
  PakeTest() { EXPECT_TRUE(crypto_ready()); }

  Pake draft_side(Side side) {
    const bool a = side == Side::Initiator;
    const PakeInput input{side, channel_, session_id_, a ? "ADa" : "ADb", a ? "ADb" : "ADa"};
    return Pake::start_with_scalar(input, code_, fixed<32>(a ? kScalarA : kScalarB));
  }

  struct Sides {
    Pake a;
    Pake b;
  };
  static Sides start(std::string_view code_a, std::string_view code_b,
                     std::string_view channel_b = "channel", std::string_view sid_b = "sid",
                     std::string_view data_of_a_as_b_sees_it = "a") {
    const auto octets = [](std::string_view s) {
      return std::span(reinterpret_cast<const std::uint8_t*>(s.data()), s.size());
    };
    return {Pake::start({Side::Initiator, "channel", "sid", "a", "b"}, octets(code_a)),
            Pake::start({Side::Responder, channel_b, sid_b, "b", data_of_a_as_b_sees_it},
                        octets(code_b))};
  }
  static bool agree(Sides sides) {
    EXPECT_TRUE(sides.a.finish(sides.b.share()));
    EXPECT_TRUE(sides.b.finish(sides.a.share()));
    const bool a_accepts = sides.a.verify(sides.b.proof());
    const bool b_accepts = sides.b.verify(sides.a.proof());
    EXPECT_EQ(a_accepts, b_accepts);
    EXPECT_EQ(a_accepts, sides.a.key().equals(sides.b.key()));
    return a_accepts;
  }

  std::string channel_ = text("0b415f696e69746961746f720b425f726573706f6e646572");
  std::string session_id_ = text("7e4b4791d6a8ef019b936c79fb7f2c57");
  std::vector<std::uint8_t> code_ = bytes("50617373776f7264");  // Password
};

TEST_F(PakeTest, GivesTheDraftsShares) {
  EXPECT_EQ(to_hex(draft_side(Side::Initiator).share()), kShareA);
  EXPECT_EQ(to_hex(draft_side(Side::Responder).share()), kShareB);
}

TEST_F(PakeTest, GivesTheDraftsKeyOnBothSides) {
  Pake a = draft_side(Side::Initiator);
  Pake b = draft_side(Side::Responder);
  ASSERT_TRUE(a.finish(b.share()));
  ASSERT_TRUE(b.finish(a.share()));
  EXPECT_EQ(to_hex(a.key().view()), kIsk);
  EXPECT_EQ(to_hex(b.key().view()), kIsk);
  EXPECT_TRUE(a.verify(b.proof()));
  EXPECT_TRUE(b.verify(a.proof()));
}

TEST_F(PakeTest, AgreesOnlyWhenEverythingIsTheSame) {
  EXPECT_TRUE(agree(start("code", "code")));
  EXPECT_FALSE(agree(start("code", "cade")));
  EXPECT_FALSE(agree(start("code", "code", "another")));
  EXPECT_FALSE(agree(start("code", "code", "channel", "another")));
  EXPECT_FALSE(agree(start("code", "code", "channel", "sid", "altered")));
}

TEST_F(PakeTest, EveryRunHasItsOwnKey) {
  Sides first = start("code", "code");
  Sides second = start("code", "code");
  EXPECT_NE(first.a.share(), second.a.share());
  ASSERT_TRUE(first.a.finish(first.b.share()));
  ASSERT_TRUE(second.a.finish(second.b.share()));
  EXPECT_FALSE(first.a.key().equals(second.a.key()));
}

TEST_F(PakeTest, RefusesSharesThatAreNoGroupElementsOrMakeTheKeyKnown) {
  for (const std::string_view share : {
           // the neutral element: the key would be known to everybody
           "0000000000000000000000000000000000000000000000000000000000000000",
           // the draft's invalid encoding
           "2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c",
           // non-canonical and negative field elements (RFC 9496, appendix A.2)
           "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
           "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
       }) {
    Pake run = draft_side(Side::Initiator);
    EXPECT_FALSE(run.finish(fixed<32>(share))) << share;
  }
  // The draft's valid one is taken.
  Pake run = draft_side(Side::Initiator);
  EXPECT_TRUE(
      run.finish(fixed<32>("2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c")));
}

TEST_F(PakeTest, RefusesItsOwnShareSentBack) {
  Pake run = draft_side(Side::Initiator);
  const PakeShare mirrored = run.share();
  EXPECT_FALSE(run.finish(mirrored));
}

TEST_F(PakeTest, RefusesEveryBentProof) {
  Sides sides = start("code", "code");
  ASSERT_TRUE(sides.a.finish(sides.b.share()));
  ASSERT_TRUE(sides.b.finish(sides.a.share()));
  const PakeProof right = sides.b.proof();
  for (std::size_t i = 0; i < right.size(); ++i) {
    PakeProof bent = right;
    bent[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    EXPECT_FALSE(sides.a.verify(bent));
  }
  EXPECT_FALSE(sides.a.verify(sides.a.proof()));  // our own, sent back
  EXPECT_TRUE(sides.a.verify(right));
}

TEST_F(PakeTest, WritesLengthsAsTheDraftDoes) {
  std::string out;
  append_with_length(out, "");
  EXPECT_EQ(out, std::string("\0", 1));
  out.clear();
  append_with_length(out, "1234");
  EXPECT_EQ(out,
            "\x04"
            "1234");
  out.clear();
  append_with_length(out, std::string(127, 'x'));
  EXPECT_EQ(out.substr(0, 2), "\x7fx");
  out.clear();
  append_with_length(out, std::string(128, 'x'));
  EXPECT_EQ(out.substr(0, 3), "\x80\x01x");
}

}  // namespace
}  // namespace cb::pairing
