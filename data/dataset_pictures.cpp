#include "data/dataset_pictures.h"

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "base/packed.h"
#include "base/task_pool.h"
#include "data/codec.h"

namespace telltale {

namespace {

template <class Picture>
Picture checked(Picture picture, const std::string& path, int size) {
  TT_CHECK(picture.width == size && picture.height == size, DataError, path, ": is ", picture.width, "x",
           picture.height, ", and dataset.json says ", size, "x", size);
  return picture;
}

}  // namespace

Image read_picture(const Dataset& dataset, int row) {
  const std::string path = dataset.image_path(row);
  return checked(read_image(path), path, dataset.info().size);
}

Grey read_mask(const Dataset& dataset, int row) {
  const std::string path = dataset.mask_path(row);
  return checked(read_grey(path), path, dataset.info().size);
}

std::vector<int> readable_rows(const Dataset& dataset, const std::vector<int>& rows, bool masks, int workers,
                               Remarks& refused, Ranks& ranks) {
  TaskPool pool(workers > 0 ? workers : int(std::max(1u, std::thread::hardware_concurrency())));
  const auto each = size_t(ranks.size());
  std::vector<std::future<void>> read;
  for (size_t i = size_t(ranks.rank()); i < rows.size(); i += each)
    read.push_back(pool.submit([&dataset, row = rows[i], masks] {
      read_picture(dataset, row);
      if (masks && dataset.labels()[size_t(row)].fake) read_mask(dataset, row);
    }));
  std::vector<std::string> why;  // empty: it can be read
  for (std::future<void>& one : read) {
    why.emplace_back();
    try {
      one.get();
    } catch (const DataError& e) {
      why.back() = e.what();
    }
  }
  std::vector<std::vector<std::string>> all{why};
  if (!ranks.alone()) {
    all.clear();
    for (const std::string& bytes : ranks.gather(bytes_of(packed(why)))) all.push_back(texts_in(unpacked(bytes)));
  }
  std::vector<int> good;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string& reason = all[i % each][i / each];
    if (reason.empty())
      good.push_back(rows[i]);
    else
      refused.push_back(reason);
  }
  return good;
}

void check_readable(const Dataset& dataset, const std::vector<int>& rows, bool masks, int workers, Ranks& ranks) {
  Remarks refused;
  readable_rows(dataset, rows, masks, workers, refused, ranks);
  TT_CHECK(refused.empty(), DataError, refused.front());
}

}  // namespace telltale
