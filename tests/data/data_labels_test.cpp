#include <sys/stat.h>

#include <chrono>
#include <map>

#include "base/sha256.h"
#include "data/labels.h"
#include "data/photos.h"
#include "data/split.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

constexpr const char* kSix = "id,fake_label,x_min,y_min,x_max,y_max\n";
constexpr const char* kSeven = "id,fake_label,x_min,y_min,x_max,y_max,split\n";

std::vector<Label> read_text(const std::string& text, const LabelFormat& format = {}) {
  Folder folder;
  put(folder / "labels.csv", text);
  return read_labels(folder / "labels.csv", format);
}

TEST(Labels, ReadsSixAndSevenColumnsInAnyOrder) {
  const Label fake{"a", true, {1, 2, 30, 40}, Split::none}, real{"b", false, {}, Split::none};
  EXPECT_EQ(read_text(std::string(kSix) + "a,1,1,2,30,40\nb,0,0,0,0,0\n"), (std::vector{fake, real}));
  Label tested = fake;
  tested.split = Split::test;
  EXPECT_EQ(read_text(std::string(kSeven) + "a,1,1,2,30,40,test\n"), std::vector{tested});
  EXPECT_EQ(read_text("split,y_max,id,fake_label,x_min,y_min,x_max\r\ntest,40,a,1,1,2,30\r\n"), std::vector{tested});
  EXPECT_EQ(read_text("\xef\xbb\xbf" + std::string(kSix) + "a,1,1,2,30,40"), std::vector{fake});
  EXPECT_EQ(read_text(kSix), std::vector<Label>{});
}

TEST(Labels, BlankLinesArePassedOver) {
  const Label fake{"a", true, {1, 2, 30, 40}, Split::none};
  const std::string six = kSix;
  for (const char* end : {"\n\n", "\n,,,,,\n", "\r\n\r\n", "\n\n\n"})
    EXPECT_EQ(read_text(six + "a,1,1,2,30,40" + end), std::vector{fake}) << end;
}

TEST(Labels, ThePapersAxesAreSwappedBack) {
  const auto rows = read_text(std::string(kSix) + "a,1,10,20,110,90\n", {.paper_axes = true});
  EXPECT_EQ(rows[0].box, (Box{20, 10, 90, 110}));
}

TEST(Labels, EveryErrorNamesItsLine) {
  const auto says = [](const std::string& text, const std::string& where, const std::string& what) {
    const std::string error = refusal([&] { read_text(text); });
    EXPECT_NE(error.find("labels.csv:" + where + ": "), error.npos) << error;
    EXPECT_NE(error.find(what), error.npos) << error;
  };
  const std::string six = kSix, good = "a,1,1,2,30,40\n";
  says("", "1", "unknown column");
  says("id,fake_label,x_min,y_min,x_max\n", "1", "'y_max' is missing");
  says("id,id,fake_label,x_min,y_min,x_max,y_max\n", "1", "twice");
  says("id,fake_label,x_min,y_min,x_max,y_max,colour\n", "1", "unknown column 'colour'");
  says(six + good + "b,1,1,2,30\n", "3", "expected 6 fields, found 5");
  says(six + good + "\n\nb,1\n", "5", "expected 6 fields, found 2");
  says(six + "\"a,1,1,2,30,40\n", "2", "a quote is not closed");
  says(six + "b,1,1,2,30,40,9\n", "2", "expected 6 fields, found 7");
  says(six + good + "b,1,1,2,3x,40\n", "3", "x_max '3x' is not a whole number");
  says(six + "b,1,1,,30,40\n", "2", "y_min '' is not a whole number");
  says(six + "b,1,1.5,2,30,40\n", "2", "x_min '1.5'");
  says(six + "b,1, 1,2,30,40\n", "2", "x_min ' 1'");
  says(six + "b,1,99999999999,2,30,40\n", "2", "x_min");
  says(six + "b,2,1,2,30,40\n", "2", "fake_label '2'");
  says(six + "b,true,1,2,30,40\n", "2", "fake_label 'true'");
  says(six + "b,1,30,2,1,40\n", "2", "inverted or empty");
  says(six + "b,1,0,0,0,0\n", "2", "inverted or empty");
  says(six + "b,1,1,2,257,40\n", "2", "leaves the image of 256x256");
  says(six + "b,1,-1,2,20,40\n", "2", "leaves the image");
  says(six + "b,0,1,2,30,40\n", "2", "not fake");
  says(six + good + good, "3", "'a' has a row already");
  says(six + "../a,1,1,2,30,40\n", "2", "cannot be an id");
  says(six + ",1,1,2,30,40\n", "2", "cannot be an id");
  says(std::string(kSeven) + "a,1,1,2,30,40,dev\n", "2", "unknown split 'dev'");
  EXPECT_NE(refusal([] { read_labels("/nonexistent/l.csv"); }).find("/nonexistent/l.csv"), std::string::npos);
}

TEST(Labels, WritingAndReadingAgree) {
  Folder folder;
  std::vector<Label> labels{{"00000001", true, {0, 1, 256, 200}, Split::train},
                            {"x y-z", false, {}, Split::validation},
                            {"c", true, {5, 6, 7, 8}, Split::test},
                            {"d", false, {}, Split::none},
                            {"Paris, \"old\" 2019", false, {}, Split::none}};
  write_labels(folder / "l.csv", labels);
  EXPECT_EQ(read_labels(folder / "l.csv"), labels);
  labels[0].id = "a/b";
  refusal([&] { write_labels(folder / "l.csv", labels); });
}

TEST(Labels, PaintersAreAnEighthColumn) {
  Folder folder;
  const std::vector<Label> labels{{"a", true, {0, 1, 25, 20}, Split::train, "telea"}, {"b", false, {}, Split::test}};
  write_labels(folder / "l.csv", labels);
  EXPECT_EQ(read_labels(folder / "l.csv"), labels);
  put(folder / "l.csv", "id,fake_label,x_min,y_min,x_max,y_max,split,painter\na,0,0,0,0,0,train,telea\n");
  EXPECT_NE(refusal([&] { read_labels(folder / "l.csv"); }).find("not fake"), std::string::npos);
  refusal([&] { write_labels(folder / "m.csv", {{"a", true, {0, 1, 25, 20}, Split::train, "a,b"}}); });
}

TEST(Labels, APaperSizedTableIsQuick) {
  Folder folder;
  std::vector<Label> labels;
  for (int i = 0; i < 36500; ++i)
    labels.push_back({std::to_string(100000 + i), i % 2 == 0, i % 2 ? Box{} : Box{1, 2, 200, 100}, Split::train});
  write_labels(folder / "l.csv", labels);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(read_labels(folder / "l.csv").size(), 36500u);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 1.0);
}

TEST(Sha256, KnownAnswers) {  // FIPS 180-4 examples, and lengths around the block's
  const auto of = [](const std::string& s) { return sha256({reinterpret_cast<const uint8_t*>(s.data()), s.size()}); };
  EXPECT_EQ(of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(of(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Folder folder;
  for (const size_t n : {55, 56, 63, 64, 65, 119, 120, 4095, 2000000}) {
    const std::string text(n, 'q');
    put(folder / "f", text);
    EXPECT_EQ(sha256_file(folder / "f"), of(text));
    Sha256 pieces;
    for (size_t i = 0; i < n; i += 37)
      pieces.update({reinterpret_cast<const uint8_t*>(text.data()) + i, std::min<size_t>(37, n - i)});
    EXPECT_EQ(pieces.hex(), of(text)) << n;
  }
  refusal([&] { sha256_file(folder / "missing"); });
}

std::vector<std::string> digests(int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) {
    const std::string text = std::to_string(i);
    all.push_back(sha256({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  }
  return all;
}

std::map<Split, int> counts_of(const std::vector<Split>& splits) {
  std::map<Split, int> counts;
  for (const Split s : splits) ++counts[s];
  return counts;
}

TEST(Split, PlansAreParsed) {
  EXPECT_FALSE(parse_split(".7,.15,.15").exact);
  EXPECT_FALSE(parse_split("1,0,0").exact);
  const SplitPlan plan = parse_split("25000,5000,6500");
  EXPECT_TRUE(plan.exact);
  EXPECT_EQ(plan.amount[2], 6500);
  for (const char* wrong : {"", "1,2", "1,2,3,4", ".5,.5,.5", "a,b,c", "-1,1,1", ".7,.15,.15,", "0,0,0", "nan,0,0",
                            "1,2,3.5", "1 ,2,3", "inf,1,1"})
    EXPECT_THROW(parse_split(wrong), UsageError) << wrong;
}

TEST(Split, SharesFollowTheBytesAlone) {
  const auto photos = digests(20000);
  const auto splits = assign_splits(parse_split(".7,.15,.15"), 5, photos);
  auto counts = counts_of(splits);
  EXPECT_NEAR(counts[Split::train], 14000, 300);
  EXPECT_NEAR(counts[Split::validation], 3000, 200);
  EXPECT_NEAR(counts[Split::test], 3000, 200);
  EXPECT_NE(splits, assign_splits(parse_split(".7,.15,.15"), 6, photos));
  const std::vector<std::string> some(photos.begin() + 50, photos.begin() + 90);
  const auto alone = assign_splits(parse_split(".7,.15,.15"), 5, some);
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), splits.begin() + 50));
}

TEST(Split, CountsAreExact) {
  auto photos = digests(1000);
  auto counts = counts_of(assign_splits(parse_split("600,150,200"), 1, photos));
  EXPECT_EQ(counts[Split::train], 600);
  EXPECT_EQ(counts[Split::validation], 150);
  EXPECT_EQ(counts[Split::test], 200);
  EXPECT_EQ(counts[Split::none], 50);
  EXPECT_NE(refusal([&] { assign_splits(parse_split("600,300,200"), 1, photos); }).find("there are 1000"),
            std::string::npos);
  refusal([] { assign_splits(parse_split("1,1,0"), 1, {"abc", "def"}); });
}

TEST(Split, CopiesStayTogether) {
  auto photos = digests(700);
  for (int i = 0; i < 300; ++i) photos.push_back(photos[i % 120]);  // pairs, triples and quadruples
  for (const char* plan : {".5,.25,.25", "500,250,250", "300,30,40"}) {
    const auto splits = assign_splits(parse_split(plan), 9, photos);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(splits[700 + i], splits[i % 120]) << plan;
  }
  const auto splits = assign_splits(parse_split("500,250,250"), 9, photos);
  std::map<Split, int> of_copies;
  for (int i = 0; i < 120; ++i) ++of_copies[splits[i]];
  EXPECT_GT(of_copies[Split::test], 15) << "copies must not all fall into train";
  const std::vector<std::string> twins{photos[0], photos[0]};
  EXPECT_NE(refusal([&] { assign_splits(parse_split("1,1,0"), 1, twins); }).find("stay together"), std::string::npos);
}

TEST(Split, ByRowOrder) {
  std::vector<Label> labels(7);
  split_by_order(labels, parse_split("3,1,2"));
  std::string seen;
  for (const Label& l : labels) seen += name_of(l.split) + " ";
  EXPECT_EQ(seen, "train train train validation test test  ");
  refusal([&] { split_by_order(labels, parse_split("3,3,3")); });
  refusal<UsageError>([&] { split_by_order(labels, parse_split(".7,.15,.15")); });
}

TEST(Photos, AreListedInNameOrderWithTheirIds) {
  Folder folder;
  for (const char* name : {"b.JPG", "a/z.png", "a/c.jpeg", "Places365_val_00000007.jpg", "notes.txt", ".hidden.jpg",
                           ".git/x.jpg", "Places365_odd.jpg"})
    put(folder / name, "x");
  std::string seen;
  for (const Photo& p : list_photos(folder.path())) {
    seen += p.id + " ";
    EXPECT_TRUE(std::filesystem::exists(p.path));
  }
  EXPECT_EQ(seen, "Places365_odd 00000007 c z b ");
}

TEST(Photos, RefusalsAreClear) {
  Folder folder;
  EXPECT_NE(refusal([&] { list_photos(folder.path()); }).find("no photographs"), std::string::npos);
  EXPECT_NE(refusal([&] { list_photos(folder / "none"); }).find("No such file"), std::string::npos);
}

std::string ids_of(const std::vector<Photo>& photos) {
  std::string ids;
  for (const Photo& p : photos) ids += p.id + " ";
  return ids;
}

TEST(Photos, EqualStemsGetTheirFolders) {
  Folder folder;
  for (const char* name : {"cat/1.png", "dog/1.png", "dog/2.png", "one/twin.jpg", "one/twin.png", "1.png"})
    put(folder / name, "x");
  EXPECT_EQ(ids_of(list_photos(folder.path())), "1 cat_1 dog_1 2 one_twin_jpg one_twin_png ");
  put(folder / "cat_1.png", "x");  // would be cat/1.png's
  EXPECT_EQ(ids_of(list_photos(folder.path())), "1 cat_1_png cat_1 dog_1 2 one_twin_jpg one_twin_png ");
}

TEST(Photos, AnyNameBecomesAnId) {
  EXPECT_EQ(photo_id("a/Paris, 2019.png"), "Paris, 2019");
  EXPECT_EQ(photo_id("x/d\xe9.png"), "d\xe9");
  const std::string letters(240, 'n');
  const std::string id = photo_id(letters + ".png");
  EXPECT_EQ(id.size(), 150 + 1 + 16u);
  EXPECT_TRUE(id.starts_with(letters.substr(0, 150) + "-"));
  EXPECT_NE(id, photo_id(letters + "n.png"));
  std::string chinese;
  for (int i = 0; i < 70; ++i) chinese += "\xe7\x8c\xab";
  const std::string cats = photo_id(chinese + ".png");
  EXPECT_EQ(cats.find("-"), 150u) << "cut between characters";
  EXPECT_TRUE(photo_id("a\nb\\c.png").starts_with("a_b_c-"));
}

TEST(Photos, TroubleBelowTheFolderIsALine) {
  Folder folder;
  put(folder / "good.jpg", "x");
  put(folder / "own/1.jpg", "x");
  put(folder / "phone.HEIC", "x");
  put(folder / "elsewhere/2.jpg", "x");
  std::filesystem::create_symlink("loop.jpg", folder / "loop.jpg");
  std::filesystem::create_directory_symlink("elsewhere", folder / "link");
  ASSERT_EQ(mkfifo((folder / "pipe.jpg").c_str(), 0600), 0);
  Remarks remarks;
  EXPECT_EQ(ids_of(list_photos(folder.path(), {folder / "own"}, &remarks)), "2 good loop ");
  ASSERT_EQ(remarks.size(), 3u);
  EXPECT_NE(remarks[0].find("1 link(s) to folders are not followed"), std::string::npos) << remarks[0];
  EXPECT_NE(remarks[1].find("1 .heic file(s) passed over"), std::string::npos) << remarks[1];
  EXPECT_NE(remarks[2].find("pipe.jpg: passed over: not a file"), std::string::npos) << remarks[2];
}

TEST(Dataset, FurtherFoldersGiveTheirTrainingRows) {
  Folder first, second, other;
  write_dataset(first.path(), 8, 32);
  write_dataset(second.path(), 8, 32);
  write_dataset(other.path(), 8, 40);
  const Dataset dataset = Dataset::open({first.path(), second.path(), second.path()});
  EXPECT_EQ(dataset.rows(Split::train),
            (std::vector<int>{0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}));
  EXPECT_EQ(dataset.rows(Split::test), (std::vector<int>{6, 7}));
  EXPECT_EQ(dataset.labels()[9].id, "2/img1001");
  EXPECT_EQ(dataset.labels()[14].id, "3/img1000");
  EXPECT_EQ(dataset.image_path(9), Dataset::open(second.path()).image_path(1));
  EXPECT_EQ(dataset.mask_path(9), second / "masks/img1001.png");
  EXPECT_EQ(dataset.info().images, 20);
  EXPECT_NE(dataset.labels_sha256(), Dataset::open(first.path()).labels_sha256());
  EXPECT_EQ(Dataset::open(std::vector{first.path()}).labels_sha256(), Dataset::open(first.path()).labels_sha256());
  const std::string text = refusal([&] { Dataset::open({first.path(), other.path()}); });
  EXPECT_NE(text.find("40"), std::string::npos) << text;
  EXPECT_NE(text.find("32"), std::string::npos) << text;
}

TEST(Dataset, PaintersMayBeLeftOutOrChosen) {
  Folder folder;
  write_dataset(folder.path(), 12, 32);
  std::vector<Label> labels = read_labels(folder / "labels.csv");
  const std::array names{"deepfill:a", "telea", "deepfill:b"};
  size_t next = 0;
  for (Label& label : labels)
    if (label.fake) label.painter = names[next++ % 3];
  write_labels(folder / "labels.csv", labels);
  const Dataset all = Dataset::open(folder.path());
  const auto painters = [](const Dataset& d) {
    std::string text;
    for (const Label& label : d.labels()) text += label.painter + " ";
    return text;
  };
  const Dataset without = all.without_painters({"deepfill"}), only = all.only_painters({"deepfill:b", "telea"});
  EXPECT_EQ(painters(all), " deepfill:a  telea  deepfill:b  deepfill:a  telea  deepfill:b ");
  EXPECT_EQ(painters(without), "  telea    telea  ");
  EXPECT_EQ(painters(only), "  telea  deepfill:b   telea  deepfill:b ");
  EXPECT_EQ(only.info().images, 10);
  EXPECT_EQ(only.info().fakes, 4);
  EXPECT_EQ(only.image_path(2), all.image_path(3));
  EXPECT_EQ(only.mask_path(2), all.mask_path(3));
  EXPECT_NE(only.labels_sha256(), all.labels_sha256());
  EXPECT_NE(all.only_painters({"telea"}).labels_sha256(), all.without_painters({"telea"}).labels_sha256());
  try {
    all.without_painters({"telea", "nobody"});
    FAIL() << "nobody painted";
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("\"nobody\", but by deepfill:a, deepfill:b, telea"), std::string::npos)
        << e.what();
  }
}

TEST(Dataset, OpensWhatWasWritten) {
  Folder folder;
  write_dataset(folder.path(), 8, 32);
  const Dataset dataset = Dataset::open(folder.path());
  EXPECT_EQ(dataset.rows(Split::train), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(dataset.rows(Split::test), (std::vector<int>{6, 7}));
  EXPECT_NE(refusal([&] { dataset.rows(Split::validation); }).find("validation"), std::string::npos);
  EXPECT_EQ(dataset.rows({Split::test, Split::validation, Split::train}), (std::vector<int>{6, 7, 0, 1, 2, 3, 4, 5}));
  EXPECT_NE(refusal([&] {
              dataset.rows({Split::none, Split::validation});
            }).find(" or 'validation'"),
            std::string::npos);
  EXPECT_EQ(read_image(dataset.image_path(3)).width, 32);
  EXPECT_EQ(dataset.mask_path(1), folder / "masks/img1001.png");
  EXPECT_EQ(dataset.labels_sha256(), sha256_file(folder / "labels.csv"));
}

TEST(Dataset, InfoSurvivesARoundTrip) {
  Folder folder;
  const DatasetInfo info{.size = 128,
                         .seed = ~0ull,
                         .mask_law = "paper",
                         .negatives = "raw",
                         .inpainter = "csqiangwen",
                         .weights_sha256 = std::string(64, 'a'),
                         .codec = "png",
                         .quality = 0,
                         .images = 12,
                         .fakes = 5};
  write_dataset_info(folder.path(), info);
  EXPECT_EQ(read_dataset_info(folder.path()), info);
}

TEST(Dataset, WhatIsWrongIsNamed) {
  Folder folder;
  const auto says = [&](const std::string& what) {
    const std::string text = refusal([&] { Dataset::open(folder.path()); });
    EXPECT_NE(text.find(what), text.npos) << text;
  };
  says("dataset.json");
  write_dataset(folder.path(), 8, 32);
  std::filesystem::rename(folder / "images/img1005.jpg", folder / "away");
  says("img1005");
  std::filesystem::rename(folder / "away", folder / "images/img1005.JPG");
  EXPECT_EQ(Dataset::open(folder.path()).image_path(5), folder / "images/img1005.JPG");
  put(folder / "images/img1005.jpg", "preferred");
  EXPECT_EQ(Dataset::open(folder.path()).image_path(5), folder / "images/img1005.jpg");
  DatasetInfo info = read_dataset_info(folder.path());
  info.fakes = 3;
  write_dataset_info(folder.path(), info);
  says("dataset.json says 8 and 3");
  info.fakes = 4, info.size = 20;
  write_dataset_info(folder.path(), info);
  says("labels.csv:3: the box leaves the image of 20x20");
  put(folder / "dataset.json", "{\"size\": 5");
  says("not valid JSON");
  put(folder / "dataset.json", "[1]");
  says("missing");
  put(folder / "dataset.json", R"({"size": "x", "seed": 1, "inpainter": {}, "codec": {}, "counts": {}})");
  says("field 'size' is \"x\", not a whole number");
  put(folder / "dataset.json", R"({"size": 4294967552, "inpainter": {}, "codec": {}, "counts": {}})");
  says("out of range");
  EXPECT_NE(refusal([&] { Dataset::open(folder / "none"); }).find("no such folder"), std::string::npos);
}

}  // namespace
}  // namespace telltale
