// SPDX-License-Identifier: Apache-2.0
#include "pairing/licence.h"

#include <gtest/gtest.h>

#include "pairing/message.h"
#include "pairing/secret.h"

namespace cb::pairing {
namespace {

constexpr const char* kUdi = "AIR-MSE-VA-K9:V01:mse1_1234";

const MakerKey& maker() {
  static const MakerKey key = [] {
    EXPECT_TRUE(crypto_ready());
    return make_maker_key();
  }();
  return key;
}

std::string signed_text(const Licence& licence) {
  const auto made = sign_licence(licence, maker().seed);
  EXPECT_TRUE(made) << to_text(made.error());
  return made ? licence_text(*made) : "";
}

Activation judge(const std::string& text, const std::string& udi = kUdi,
                 const std::string& model = "VA-Low", const std::string& today = "2026-06-30") {
  return judge_licence(text, maker().public_key, {udi, model, today});
}

TEST(Licence, ActivatesTheMachineThatItNames) {
  const std::string text = signed_text({"L-MSE-7.0-K9", kUdi, "VA-Low", "2026-06-30", ""});
  EXPECT_EQ(judge(text), Activation::Activated);
  EXPECT_EQ(judge(text, "AIR-MSE-VA-K9:V01:mse2"), Activation::OtherMachine);
  EXPECT_EQ(judge(text, kUdi, "VA-High"), Activation::OtherModel);
  EXPECT_EQ(judge(text, kUdi, ""), Activation::OtherModel);
  EXPECT_EQ(judge(text, kUdi, "VA-Low", "2026-07-01"), Activation::Expired);
  EXPECT_EQ(judge(""), Activation::Missing);
}

TEST(Licence, MayBeForAnyMachineOfAModelAndForEver) {
  const std::string text = signed_text({"site", "", "VA-Low", "", ""});
  EXPECT_EQ(judge(text, "whoever:V01:x", "VA-Low", "2999-01-01"), Activation::Activated);
  EXPECT_EQ(judge(signed_text({"box", kUdi, "", "", ""}), kUdi, "any"), Activation::Activated);
}

TEST(Licence, BentInAnyBitActivatesNothing) {
  const std::string text = signed_text({"L-MSE-7.0-K9", kUdi, "VA-Low", "2026-12-31", ""});
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string bent = text;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << (bit % 8)));
    const Activation found = judge(bent);
    EXPECT_TRUE(found == Activation::Malformed || found == Activation::BadSignature)
        << bit << ": " << text_of(found);
  }
}

TEST(Licence, CutOrLengthenedAnywhereActivatesNothing) {
  const std::string text = signed_text({"L-MSE-7.0-K9", kUdi, "VA-Low", "2026-12-31", ""});
  for (std::size_t length = 1; length < text.size(); ++length) {
    EXPECT_EQ(judge(text.substr(0, length)), Activation::Malformed) << length;
  }
  for (std::size_t at = 0; at <= text.size(); ++at) {
    std::string more = text;
    more.insert(at, 1, at % 2 == 0 ? 'a' : '\n');
    EXPECT_FALSE(is_active(judge(more))) << at;
  }
  EXPECT_EQ(judge(text + text), Activation::Malformed);
  EXPECT_EQ(judge(std::string(kLicenceMax + 1, 'x')), Activation::Malformed);
}

TEST(Licence, OfAnotherMakerActivatesNothing) {
  const std::string text = signed_text({"x", kUdi, "", "", ""});
  const MakerKey other = make_maker_key();
  EXPECT_EQ(judge_licence(text, other.public_key, {kUdi, "", "2026-01-01"}),
            Activation::BadSignature);
  EXPECT_EQ(judge_licence(text, "", {kUdi, "", "2026-01-01"}), Activation::BadSignature);
}

TEST(Licence, IsNeverAskedForWithoutTheMakersDemand) {
  const LicenceHolder holder{kUdi, "VA-Low", "2026-01-01"};
  EXPECT_EQ(activation_of("", {maker().public_key, false}, holder), Activation::NotRequired);
  EXPECT_EQ(activation_of("rubbish", {}, holder), Activation::NotRequired);
  EXPECT_EQ(activation_of("", {maker().public_key, true}, holder), Activation::Missing);
  EXPECT_TRUE(is_active(Activation::NotRequired));
}

TEST(Licence, IsNotSignedWhenItSaysNothingThatCounts) {
  EXPECT_FALSE(sign_licence({"x", "", "", "", ""}, maker().seed));
  EXPECT_FALSE(sign_licence({"", kUdi, "", "", ""}, maker().seed));
  EXPECT_FALSE(sign_licence({"x", "a\nb", "", "", ""}, maker().seed));
  EXPECT_FALSE(sign_licence({"x", kUdi, "a b", "", ""}, maker().seed));
  EXPECT_FALSE(sign_licence({"x", kUdi, "", "next year", ""}, maker().seed));
  EXPECT_FALSE(sign_licence({"x", kUdi, "", "", ""}, "short"));
}

TEST(Licence, FitsIntoAHelloWhateverItSays) {
  const std::string text = signed_text({std::string(32, 'i'), std::string(kUdiMax, 'u'),
                                        std::string(config::kModelMax, 'm'), "2026-12-31", ""});
  EXPECT_LE(text.size(), kLicenceMax);
}

TEST(Licence, DaysAreThoseOfTheWallClock) {
  EXPECT_EQ(day_of(0), "1970-01-01");
  EXPECT_EQ(day_of(1'798'761'599), "2026-12-31");
  EXPECT_EQ(day_of(1'798'761'600), "2027-01-01");
}

}  // namespace
}  // namespace cb::pairing
