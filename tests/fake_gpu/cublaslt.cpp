// cuBLASLt's calls that kernels/matmul/cublas.cpp makes: products by their definition, column after column, in f32
// sums. Refuses what cuBLASLt's manual refuses: pointers less aligned than the algorithm was asked for, a workspace too
// small.
#include <cublasLt.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/fake_gpu/device.h"
#include "tests/fake_gpu/numbers.h"

using namespace telltale::fake_gpu;  // NOLINT: every line here is about it

namespace {

struct Layout {
  Type type;
  int64_t rows, columns, ld;
  int32_t batch = 1;
  int64_t stride = 0;
};
struct Description {
  bool tf32, transpose_a = false, transpose_b = false;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  int32_t bias_type = CUDA_R_32F;
  const void* bias = nullptr;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C and D
};
/// What an algorithm holds of the request it answers.
struct Algorithm {
  uint64_t workspace;
  uint32_t alignment[4];
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

constexpr size_t kWorkspace = size_t(1) << 20;  // what every product here asks for, and fills with NaN

bool type_of(int32_t t, Type& out) {
  if (t != CUDA_R_32F && t != CUDA_R_16BF && t != CUDA_R_16F) return false;
  out = t == CUDA_R_32F ? Type::f32 : t == CUDA_R_16BF ? Type::bf16 : Type::f16;
  return true;
}
Layout& of(cublasLtMatrixLayout_t l) { return *reinterpret_cast<Layout*>(l); }
Description& of(cublasLtMatmulDesc_t d) { return *reinterpret_cast<Description*>(d); }
Preference& of(cublasLtMatmulPreference_t p) { return *reinterpret_cast<Preference*>(p); }

template <class T>
bool assign(T& to, const void* from, size_t bytes) {
  if (bytes != sizeof to) return false;
  std::memcpy(&to, from, bytes);
  return true;
}
cublasStatus_t status(bool fine) { return fine ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE; }

/// One product of a batch.
struct Product {
  Description d;
  Layout a, b, out;
  float alpha, beta;
  const void *pa, *pb;
  void* pd;

  /// op(A)'s rows, or op(B)'s columns, one behind the other.
  std::vector<float> lines(const Layout& l, const void* p, bool along_columns, int image) const {
    const int64_t count = along_columns ? l.columns : l.rows, length = along_columns ? l.rows : l.columns;
    std::vector<float> v(size_t(count * length));
#pragma omp parallel for
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = 0; k < length; ++k) {
        const float x = number(l.type, p, image * l.stride + (along_columns ? i * l.ld + k : k * l.ld + i));
        v[size_t(i * length + k)] = d.tf32 ? as_tf32(x) : x;
      }
    }
    return v;
  }
  void run(int image) const {
    const std::vector<float> rows = lines(a, pa, d.transpose_a, image), columns = lines(b, pb, !d.transpose_b, image);
    const int64_t depth = d.transpose_a ? a.rows : a.columns;
    const bool bias = d.epilogue == CUBLASLT_EPILOGUE_BIAS || d.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    const bool relu = d.epilogue == CUBLASLT_EPILOGUE_RELU || d.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
    Type bias_type = Type::f32;
    type_of(d.bias_type, bias_type);
#pragma omp parallel for
    for (int64_t j = 0; j < out.columns; ++j) {
      for (int64_t i = 0; i < out.rows; ++i) {
        const float *x = rows.data() + i * depth, *y = columns.data() + j * depth;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t k = 0; k < depth; ++k) sum += x[k] * y[k];
        const int64_t at = image * out.stride + j * out.ld + i;
        sum = alpha * sum + (beta != 0 ? beta * number(out.type, pd, at) : 0);
        if (bias) sum += number(bias_type, d.bias, i);
        set_number(out.type, pd, at, relu && !(sum > 0) ? 0 : sum);
      }
    }
  }
};

/// Bytes from a matrix's first number to behind its last.
size_t extent(const Layout& l) {
  return size_t((l.batch - 1) * l.stride + (l.columns - 1) * l.ld + l.rows) * size_of(l.type);
}
bool is_on(const void* p, uint32_t alignment) { return reinterpret_cast<uintptr_t>(p) % alignment == 0; }

}  // namespace

extern "C" {

const char* cublasLtGetStatusString(cublasStatus_t s) {
  return s == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS" : "an error of the fake cuBLASLt";
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new char);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<char*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t compute, cudaDataType_t scale) {
  if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  *d = reinterpret_cast<cublasLtMatmulDesc_t>(new Description{.tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  delete &of(d);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t name,
                                              const void* value, size_t bytes) {
  int32_t operation = CUBLAS_OP_N;
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
    case CUBLASLT_MATMUL_DESC_TRANSB:
      if (!assign(operation, value, bytes)) return CUBLAS_STATUS_INVALID_VALUE;
      (name == CUBLASLT_MATMUL_DESC_TRANSA ? of(d).transpose_a : of(d).transpose_b) = operation == CUBLAS_OP_T;
      return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return status(assign(of(d).epilogue, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return status(assign(of(d).bias_type, value, bytes));
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return status(assign(of(d).bias, value, bytes));
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* l, cudaDataType type, uint64_t rows, uint64_t columns,
                                          int64_t ld) {
  Type t = Type::f32;
  if (!type_of(type, t) || ld < int64_t(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *l = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{.type = t, .rows = int64_t(rows), .columns = int64_t(columns), .ld = ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) {
  delete &of(l);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t l, cublasLtMatrixLayoutAttribute_t name,
                                                const void* value, size_t bytes) {
  if (name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) return status(assign(of(l).batch, value, bytes));
  if (name == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET) return status(assign(of(l).stride, value, bytes));
  return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* p) {
  *p = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete &of(p);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void* value,
                                                    size_t bytes) {
  uint32_t reductions = 0;
  switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return status(assign(of(p).workspace, value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return status(assign(of(p).alignment[0], value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return status(assign(of(p).alignment[1], value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return status(assign(of(p).alignment[2], value, bytes));
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return status(assign(of(p).alignment[3], value, bytes));
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return status(assign(reductions, value, bytes));
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t p, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  *count = of(p).workspace >= kWorkspace && wanted > 0 && setting("refuse") != "matmul" ? 1 : 0;
  if (*count == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  Algorithm chosen{.workspace = kWorkspace, .alignment = {}};
  std::copy_n(of(p).alignment, 4, chosen.alignment);
  results[0] = {};
  std::memcpy(&results[0].algo, &chosen, sizeof chosen);
  results[0].workspaceSize = kWorkspace;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t d, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t la, const void* b, cublasLtMatrixLayout_t lb, const void* beta,
                              const void* c, cublasLtMatrixLayout_t, void* out, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  Algorithm chosen{};
  std::memcpy(&chosen, algo, sizeof chosen);
  const Product p{of(d), of(la), of(lb), of(ld), *static_cast<const float*>(alpha), *static_cast<const float*>(beta),
                  a,     b,      out};
  const int64_t depth = p.d.transpose_a ? p.a.rows : p.a.columns;
  const bool fits = depth == (p.d.transpose_b ? p.b.columns : p.b.rows) &&
                    p.out.rows == (p.d.transpose_a ? p.a.columns : p.a.rows) &&
                    p.out.columns == (p.d.transpose_b ? p.b.rows : p.b.columns) && p.a.batch == p.out.batch &&
                    p.b.batch == p.out.batch;
  const bool aligned = is_on(a, chosen.alignment[0]) && is_on(b, chosen.alignment[1]) &&
                       is_on(c, chosen.alignment[2]) && is_on(out, chosen.alignment[3]);
  if (!fits || !aligned || c != out || workspace_bytes < chosen.workspace) return CUBLAS_STATUS_INVALID_VALUE;
  if (!is_device_memory(a, extent(p.a)) || !is_device_memory(b, extent(p.b)) || !is_device_memory(out, extent(p.out)) ||
      !is_device_memory(workspace, chosen.workspace) || (p.d.bias && !is_device_memory(p.d.bias, 1)))
    return CUBLAS_STATUS_INVALID_VALUE;
  const cudaError_t error = enqueue(stream, "a matrix product", [p, workspace, bytes = chosen.workspace] {
    std::memset(workspace, 0xff, bytes);
    for (int image = 0; image < p.out.batch; ++image) p.run(image);
  });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
