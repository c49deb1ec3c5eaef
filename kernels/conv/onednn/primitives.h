#pragma once
// Where oneDNN 2's interface and oneDNN 3's differ, and nothing else: the code beside this file speaks to both.
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>

namespace telltale::onednn {

using Forward = dnnl::convolution_forward;
using InputGrad = dnnl::convolution_backward_data;
using FilterGrad = dnnl::convolution_backward_weights;

/// What a convolution and its gradients are described by; in a gradient's, the tensor that it computes is the
/// gradient's.
struct Description {
  dnnl::algorithm algorithm;
  dnnl::memory::desc x, w;
  std::optional<dnnl::memory::desc> bias;  ///< forward only
  dnnl::memory::desc y;
  dnnl::memory::dims strides, dilates, pads, pads_after;
};

#if DNNL_VERSION_MAJOR >= 3

inline Forward::primitive_desc forward(const Description& d, dnnl::prop_kind kind,
                                       const dnnl::primitive_attr& attributes, const dnnl::engine& engine) {
  if (d.bias)
    return {engine, kind, d.algorithm, d.x, d.w, *d.bias, d.y, d.strides, d.dilates, d.pads, d.pads_after, attributes};
  return {engine, kind, d.algorithm, d.x, d.w, d.y, d.strides, d.dilates, d.pads, d.pads_after, attributes};
}
template <class Gradient>
typename Gradient::primitive_desc gradient(const Description& d, const Forward::primitive_desc& hint,
                                           const dnnl::primitive_attr& attributes, const dnnl::engine& engine) {
  return {engine, d.algorithm, d.x, d.w, d.y, d.strides, d.dilates, d.pads, d.pads_after, hint, attributes};
}
inline void append(dnnl::post_ops& post, dnnl::algorithm eltwise, float alpha) {
  post.append_eltwise(eltwise, alpha, 0);
}

#else

inline Forward::primitive_desc forward(const Description& d, dnnl::prop_kind kind,
                                       const dnnl::primitive_attr& attributes, const dnnl::engine& engine) {
  if (d.bias)
    return {
        {kind, d.algorithm, d.x, d.w, *d.bias, d.y, d.strides, d.dilates, d.pads, d.pads_after}, attributes, engine};
  return {{kind, d.algorithm, d.x, d.w, d.y, d.strides, d.dilates, d.pads, d.pads_after}, attributes, engine};
}
template <class Gradient>
typename Gradient::primitive_desc gradient(const Description& d, const Forward::primitive_desc& hint,
                                           const dnnl::primitive_attr& attributes, const dnnl::engine& engine) {
  return {{d.algorithm, d.x, d.w, d.y, d.strides, d.dilates, d.pads, d.pads_after}, attributes, engine, hint};
}
inline void append(dnnl::post_ops& post, dnnl::algorithm eltwise, float alpha) {
  post.append_eltwise(1, eltwise, alpha, 0);
}

#endif

}  // namespace telltale::onednn
