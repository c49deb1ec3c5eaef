#include "data/dataset_pictures.h"

#include <algorithm>
#include <thread>

#include "base/check.h"
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
                               Remarks& refused) {
  TaskPool pool(workers > 0 ? workers : int(std::max(1u, std::thread::hardware_concurrency())));
  std::vector<std::future<void>> read;
  read.reserve(rows.size());
  for (const int row : rows)
    read.push_back(pool.submit([&dataset, row, masks] {
      read_picture(dataset, row);
      if (masks && dataset.labels()[size_t(row)].fake) read_mask(dataset, row);
    }));
  std::vector<int> good;
  for (size_t i = 0; i < rows.size(); ++i) {
    try {
      read[i].get();
      good.push_back(rows[i]);
    } catch (const DataError& e) {
      refused.push_back(e.what());
    }
  }
  return good;
}

void check_readable(const Dataset& dataset, const std::vector<int>& rows, bool masks, int workers) {
  Remarks refused;
  readable_rows(dataset, rows, masks, workers, refused);
  TT_CHECK(refused.empty(), DataError, refused.front());
}

}  // namespace telltale
