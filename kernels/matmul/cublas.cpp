// Matrix products of a GPU by cuBLASLt, with bias and ReLU in the product. f64, empty products and what cuBLASLt
// refuses go to the oracle. In 16 bits the bias is rounded to 16 bits.
#include "kernels/matmul/matmul.h"

#if TT_CUBLAS
#include <cublasLt.h>

#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "base/shared_library.h"
#include "kernels/cast.h"
#include "kernels/matmul/product.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/matrix_math.h"
#include "kernels/pointwise.h"
#include "kernels/reduce.h"

namespace telltale::cuda {
namespace {

constexpr size_t kWorkspace = size_t(32) << 20;  // what NVIDIA advises on Hopper

/// cuBLASLt's functions, bound at run time.
struct Library {
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) create_product;
  decltype(&cublasLtMatmulDescDestroy) destroy_product;
  decltype(&cublasLtMatmulDescSetAttribute) set_product;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatrixLayoutSetAttribute) set_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) multiply;
};

Library load() {
  const SharedLibrary so{cat("libcublasLt.so.", CUBLAS_VER_MAJOR).c_str()};
  Library l{};
  so.bind(l.status_string, "cublasLtGetStatusString");
  so.bind(l.create, "cublasLtCreate");
  so.bind(l.destroy, "cublasLtDestroy");
  so.bind(l.create_product, "cublasLtMatmulDescCreate");
  so.bind(l.destroy_product, "cublasLtMatmulDescDestroy");
  so.bind(l.set_product, "cublasLtMatmulDescSetAttribute");
  so.bind(l.create_layout, "cublasLtMatrixLayoutCreate");
  so.bind(l.destroy_layout, "cublasLtMatrixLayoutDestroy");
  so.bind(l.set_layout, "cublasLtMatrixLayoutSetAttribute");
  so.bind(l.create_preference, "cublasLtMatmulPreferenceCreate");
  so.bind(l.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  so.bind(l.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  so.bind(l.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  so.bind(l.multiply, "cublasLtMatmul");
  return l;
}

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

void require(cublasStatus_t status, const char* what) {
  TT_CHECK(status == CUBLAS_STATUS_SUCCESS, DeviceError, "cuBLASLt: ", what, ": ", library().status_string(status));
}

cudaDataType_t data_type(DType t) { return t == DType::bf16 ? CUDA_R_16BF : t == DType::f16 ? CUDA_R_16F : CUDA_R_32F; }

template <class T>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, cublasStatus_t (*)(T)>;

using Description = Owned<cublasLtMatmulDesc_t>;
using Layout = Owned<cublasLtMatrixLayout_t>;

Layout layout(DType type, int64_t rows, int64_t columns, int64_t ld, int64_t batch, int64_t stride) {
  cublasLtMatrixLayout_t raw = nullptr;
  require(library().create_layout(&raw, data_type(type), uint64_t(rows), uint64_t(columns), ld), "a matrix");
  Layout l(raw, library().destroy_layout);
  const int32_t count = int32_t(batch);
  require(library().set_layout(raw, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "a batch");
  require(library().set_layout(raw, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride), "a stride");
  return l;
}

Description description(const Product& p) {
  cublasLtMatmulDesc_t raw = nullptr;
  const auto compute = p.tf32 && p.in == DType::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  require(library().create_product(&raw, compute, CUDA_R_32F), "a product");
  Description d(raw, library().destroy_product);
  const auto set = [&](cublasLtMatmulDescAttributes_t name, const auto& value) {
    require(library().set_product(raw, name, &value, sizeof value), "a product's settings");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, int32_t(p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N));
  set(CUBLASLT_MATMUL_DESC_TRANSB, int32_t(p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N));
  const auto epilogue = p.bias && p.relu ? CUBLASLT_EPILOGUE_RELU_BIAS
                        : p.bias         ? CUBLASLT_EPILOGUE_BIAS
                        : p.relu         ? CUBLASLT_EPILOGUE_RELU
                                         : CUBLASLT_EPILOGUE_DEFAULT;
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t(epilogue));
  if (p.bias) {
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t(data_type(p.out)));
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  }
  return d;
}

/// The largest power of two, up to 256, that a pointer is a multiple of.
uint32_t alignment_of(const void* p) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(p) | 256;
  return uint32_t(bits & (~bits + 1));
}

/// The products of one stream, each with the algorithm that cuBLASLt's heuristics name first.
class Products {
 public:
  /// False where cuBLASLt has no algorithm.
  bool run(Stream& s, const Product& p, void* workspace) {
    if (!handle_) {
      cublasLtHandle_t raw = nullptr;
      require(library().create(&raw), "this GPU can't be used");
      handle_ = {raw, library().destroy};
    }
    auto at = made_.find(digits(p));
    if (at == made_.end()) at = made_.emplace(digits(p), make(p)).first;
    if (!at->second) return false;
    const Made& m = *at->second;
    if (p.bias)
      require(library().set_product(m.description.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias, sizeof p.bias),
              "bias");
    require(library().multiply(handle_.get(), m.description.get(), &p.alpha, p.a, m.a.get(), p.b, m.b.get(), &p.beta,
                               p.d, m.d.get(), p.d, m.d.get(), &m.algorithm, workspace, kWorkspace,
                               static_cast<cudaStream_t>(s.native())),
            "a product");
    return true;
  }

 private:
  struct Made {
    Description description;
    Layout a, b, d;
    cublasLtMatmulAlgo_t algorithm;
  };
  static std::array<int64_t, 21> digits(const Product& p) {
    return {int64_t(p.in),
            int64_t(p.out),
            p.transpose_a,
            p.transpose_b,
            p.m,
            p.n,
            p.k,
            p.lda,
            p.ldb,
            p.ldd,
            p.batch,
            p.stride_a,
            p.stride_b,
            p.stride_d,
            alignment_of(p.a),
            alignment_of(p.b),
            alignment_of(p.d),
            p.bias ? alignment_of(p.bias) : 0,
            p.relu,
            p.tf32,
            p.beta != 0};
  }

  std::optional<Made> make(const Product& p) const {
    const int64_t a_rows = p.transpose_a ? p.k : p.m, b_rows = p.transpose_b ? p.n : p.k;
    Made m{description(p),
           layout(p.in, a_rows, p.m + p.k - a_rows, p.lda, p.batch, p.stride_a),
           layout(p.in, b_rows, p.n + p.k - b_rows, p.ldb, p.batch, p.stride_b),
           layout(p.out, p.m, p.n, p.ldd, p.batch, p.stride_d),
           {}};
    cublasLtMatmulPreference_t raw = nullptr;
    require(library().create_preference(&raw), "a preference");
    const Owned<cublasLtMatmulPreference_t> preference(raw, library().destroy_preference);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      require(library().set_preference(raw, name, &value, sizeof value), "a preference's settings");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(kWorkspace));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.a));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.b));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(p.d));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.d));
    // Partial sums in f32, if they must be stored at all: 16-bit ones would lose what f32 sums are for.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t status = library().heuristic(handle_.get(), m.description.get(), m.a.get(), m.b.get(),
                                                      m.d.get(), m.d.get(), raw, 1, &found, &count);
    if (status != CUBLAS_STATUS_SUCCESS || count == 0) {
      std::fprintf(stderr, "cuBLASLt has nothing for %s %ld x %ld x %ld (%s): the slow reference computes it\n",
                   name_of(p.in), long(p.m), long(p.n), long(p.k), library().status_string(status));
      return std::nullopt;
    }
    m.algorithm = found.algo;
    return m;
  }

  Owned<cublasLtHandle_t> handle_{nullptr, nullptr};
  std::map<std::array<int64_t, 21>, std::optional<Made>> made_;
};

constexpr size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

bool is_for_cublas(const Stream& s, DType t, int64_t work) { return s.is_cuda() && t != DType::f64 && work > 0; }

bool multiply(Stream& s, Product p) {
  p.tf32 = p.tf32 || s.resource<MatrixMath>().tf32;
  return s.resource<Products>().run(s, p, s.workspace(kWorkspace).data);
}

}  // namespace

void linear_forward(Stream& s, const LinearArgs& a) {
  check(a);
  if (!is_for_cublas(s, a.x.dtype, a.x.shape.numel())) return ref::linear_forward(s, a);
  Product p = forward_product(a);
  p.relu = a.act == Act::relu;
  p.bias = a.bias.data;
  p.tf32 = s.resource<MatrixMath>().tf32;
  // The epilogue reads the bias in y's type, and cuBLASLt asks for 16 bytes, though only in its kernels' behaviour.
  const bool rounds_bias = a.bias && (a.bias.dtype != a.y.dtype || !all_aligned({a.bias.data}));
  const Tensor bias{nullptr, a.bias.shape, a.y.dtype};
  char* workspace = s.workspace(kWorkspace + (rounds_bias ? aligned(bias.bytes()) : 0)).as<char>();
  if (rounds_bias) {
    p.bias = workspace + kWorkspace;
    cast(s, a.bias, {workspace + kWorkspace, bias.shape, bias.dtype});
  }
  if (!s.resource<Products>().run(s, p, workspace)) return ref::linear_forward(s, a);
  if (a.act != Act::none && !p.relu) activation_forward(s, a.y, a.y, a.act);
}

void linear_backward(Stream& s, const LinearGradArgs& a) {
  check(a);
  if (!is_for_cublas(s, a.x.dtype, a.x.shape.numel())) return ref::linear_backward(s, a);
  if (a.dx && a.dx_mode != GradMode::ignore && !multiply(s, input_grad_product(a))) {
    LinearGradArgs dx_only = a;
    dx_only.dw_mode = GradMode::ignore;
    ref::linear_backward(s, dx_only);
  }
  if (a.dw_mode == GradMode::ignore) return;
  if (a.dw && !multiply(s, weight_grad_product(a))) {
    LinearGradArgs dw_only = a;
    dw_only.dx_mode = GradMode::ignore;
    dw_only.dbias.data = nullptr;
    ref::linear_backward(s, dw_only);
  }
  if (a.dbias) telltale::column_sums(s, a.dy, a.dbias, a.dw_mode);
}

void gemm(Stream& s, const GemmArgs& a) {
  check(a);
  if (!is_for_cublas(s, a.dtype, a.batch * a.m * a.n * a.k) || !multiply(s, gemm_product(a))) ref::gemm(s, a);
}

}  // namespace telltale::cuda
#endif
