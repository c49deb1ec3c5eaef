#pragma once
// Nets with their weights as ONNX models (opset 17), for programs that are not ours.
#include <span>
#include <string>
#include <vector>

#include "engine/graph.h"
#include "engine/onnx.h"
#include "engine/params.h"
#include "weights/weights_file.h"

namespace telltale {

struct OnnxSettings {
  bool half = false;  ///< weights and arithmetic in f16
  int size = 0;       ///< pixels along both sides of what a generator, or a locator that needs it, takes; 0: 256
};

/// A value at the edge of a net, and the name it gets there.
struct OnnxEdge {
  std::string name;
  Value value;
};

/// Puts a graph whose parameters have `weights` into `to`, layer by layer. At its edge values lie as the engine has
/// them, {N,H,W,C} with any N, but {N,C} where H and W are 1: bytes as u8, all else as f32 or f16. Where no layer needs
/// the planned height and width, any do. Throws Error naming a layer that has no form in ONNX, DataError when a weight
/// does not fit f16.
void put_into_onnx(const Graph&, Stream&, const StateDict& weights, const std::vector<OnnxEdge>& inputs,
                   const std::vector<OnnxEdge>& outputs, OnnxGraph& to);

/// Whether a file begins as onnx_model's do.
bool is_our_onnx(std::span<const unsigned char> content);

/// The bytes of an ONNX model of the net that the file holds; its metadata say what the file's do, and the net.
///   a detector:  "pixels" u8 {N,S,S,3}, RGB → "raw" {N,5}: the logit of "fake" and the box's corners x, y, x, y as
///                fractions of the picture (a net of other outputs: all of them)
///   a locator:   "pixels" u8 {N,H,W,3}, H and W multiples of 8 → "logits" {N,H/2,W/2,1} of "painted"
///   a generator: "image" {N,S,S,3}, black at the metadata's `black`, white at 1, and "mask" {N,S,S,1}, 1 in the hole →
///                "painted" {N,S,S,3}, of which what lies in the hole is meant to be used
/// Throws DataError naming the file when it holds no such net.
std::string onnx_model(const WeightsFile&, Stream&, const OnnxSettings&);

}  // namespace telltale
