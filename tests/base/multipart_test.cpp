// Forms as browsers and curl send them, and as nobody should.
#include "base/multipart.h"

#include <gtest/gtest.h>

#include "base/check.h"

namespace telltale {
namespace {

TEST(Multipart, BoundariesComeFromTheType) {
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(multipart_boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a;b\""), "a;b");
  EXPECT_EQ(multipart_boundary("multipart/form-data"), "");
  EXPECT_EQ(multipart_boundary("image/png; boundary=abc"), "");
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=" + std::string(71, 'x')), "");
}

TEST(Multipart, PartsKeepTheirBytes) {
  const std::string bytes("\0\r\n--b\r\n--\n", 11);
  const std::string body =
      "--bb\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"a \\\"b\\\".png\"\r\nContent-Type: "
      "image/png\r\n\r\n" +
      bytes + "\r\n--bb\r\ncontent-disposition: form-data; name=note\r\n\r\n\r\n--bb--\r\n";
  const std::vector<FormPart> parts = read_multipart(body, "bb", 4);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].name, "picture");
  EXPECT_EQ(parts[0].filename, "a \"b\".png");
  EXPECT_EQ(parts[0].bytes, bytes);
  EXPECT_EQ(parts[1].name, "note");
  EXPECT_EQ(parts[1].bytes, "");
}

TEST(Multipart, WhatIsNoFormIsRefused) {
  const std::string part = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n";
  EXPECT_EQ(read_multipart(part + part + "--b--", "b", 2).size(), 2u);
  for (const std::string& body :
       {std::string(), std::string("--c--"), part, part + "--b", part + "--b\r\n\r\n", "--bx" + part, part + "--bxx",
        part + part + part + "--b--", "--b\r\nX: " + std::string(5000, 'y') + "\r\n\r\n1\r\n--b--"})
    EXPECT_THROW(read_multipart(body, "b", 2), DataError) << body.substr(0, 60);
}

}  // namespace
}  // namespace telltale
