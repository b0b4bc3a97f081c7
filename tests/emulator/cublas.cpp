/* cublas.cpp - products as plain loops, sums in double. */
#include <cublas_v2.h>

#include <algorithm>

#include "tests/emulator/element.h"
#include "tests/emulator/internal.h"

using namespace surge_emulator;

struct cublasContext {
  cudaStream_t stream;
  void *workspace; /* NULL: cuBLAS's own, which it would allocate */
  size_t bytes;
};

cublasStatus_t cublasCreate(cublasHandle_t *handle) {
  if (capturing()) fail("cublasCreate while a stream is captured");
  *handle = new cublasContext{nullptr, nullptr, 0};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  finish_all();
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion(cublasHandle_t, int *version) {
  *version = 130000;
  return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "the operation completed successfully"
         : status == CUBLAS_STATUS_NOT_INITIALIZED
             ? "the library was not initialized"
             : "an unsupported value or parameter was passed to the function";
}

/* Takes the handle's own workspace again, as cuBLAS does. */
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  *handle = {stream, nullptr, 0};
  return CUBLAS_STATUS_SUCCESS;
}

/* Each call says what it computes in. */
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t mode) {
  if (mode == CUBLAS_TF32_TENSOR_OP_MATH) fail("cublasSetMathMode: tf32");
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace,
                                  size_t bytes) {
  check_device("cublasSetWorkspace", workspace, bytes, 256);
  handle->workspace = workspace;
  handle->bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

/* A column-major matrix of `rows` x `columns`, as stored. */
struct matrix {
  const char *name;
  char *at;
  element type;
  int rows, columns, stride;
};

static void check_matrix(const matrix &m) {
  size_t last = (size_t)(m.columns - 1) * (size_t)m.stride + (size_t)m.rows;
  std::string what = std::string("cublasGemmEx ") + m.name;
  check_device(what.c_str(), m.at, last * bytes_of(m.type), bytes_of(m.type));
}

static bool is_wrong(const matrix &m) {
  return m.rows < 0 || m.columns < 0 || m.stride < std::max(1, m.rows);
}

/* Element (row, column) of op(m). */
static double at(const matrix &m, bool transposed, int row, int column) {
  if (transposed) std::swap(row, column);
  return (double)read(m.at, m.type,
                      (size_t)column * (size_t)m.stride + (size_t)row);
}

struct product {
  matrix A, B, C;
  bool ta, tb;
  int depth;
  float alpha, beta;
};

static void multiply(const product &p) {
  for (int j = 0; j < p.C.columns; j++)
    for (int i = 0; i < p.C.rows; i++) {
      double sum = 0;
      for (int l = 0; l < p.depth; l++)
        sum += at(p.A, p.ta, i, l) * at(p.B, p.tb, l, j);
      write(p.C.at, p.C.type, (size_t)j * (size_t)p.C.stride + (size_t)i, sum,
            p.alpha, p.beta);
    }
}

static element element_of(cudaDataType_t type, cublasComputeType_t compute) {
  if (type == CUDA_R_16BF) return element::bf16;
  return compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? element::tf32
                                                 : element::fp32;
}

/* What cuBLAS takes: a and b of one type, c of it or fp32. */
static void check_types(cudaDataType_t a, cudaDataType_t b, cudaDataType_t c,
                        cublasComputeType_t compute) {
  if (a != b || (c != a && c != CUDA_R_32F))
    fail("cublasGemmEx: types %d, %d and %d do not go together", a, b, c);
  if (a == CUDA_R_16BF && compute != CUBLAS_COMPUTE_32F)
    fail("cublasGemmEx: bf16 wants CUBLAS_COMPUTE_32F, found %d", compute);
  if (a == CUDA_R_32F && compute == CUBLAS_COMPUTE_32F)
    fail("cublasGemmEx: of fp32 the environment may make tf32: say which");
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa,
                            cublasOperation_t transb, int m, int n, int k,
                            const void *alpha, const void *A,
                            cudaDataType_t a_type, int lda, const void *B,
                            cudaDataType_t b_type, int ldb, const void *beta,
                            void *C, cudaDataType_t c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
  bool ta = transa == CUBLAS_OP_T, tb = transb == CUBLAS_OP_T;
  check_types(a_type, b_type, c_type, compute);
  matrix a = {"A", (char *)A, element_of(a_type, compute), ta ? k : m,
              ta ? m : k, lda};
  matrix b = {"B", (char *)B, element_of(b_type, compute), tb ? n : k,
              tb ? k : n, ldb};
  matrix c = {"C", (char *)C, element_of(c_type, compute), m, n, ldc};
  if (is_wrong(a) || is_wrong(b) || is_wrong(c))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  if (captures(handle->stream) && handle->workspace == nullptr)
    fail("cublasGemmEx captured without cublasSetWorkspace: it would allocate");
  if (k > 0) check_matrix(a);
  if (k > 0) check_matrix(b);
  check_matrix(c);
  product p = {a, b, c, ta, tb, k, *(const float *)alpha, *(const float *)beta};
  void *workspace = handle->workspace;
  size_t used = std::min(handle->bytes, (size_t)4096);
  queue(handle->stream, {"cublasGemmEx", access::kernel, [=] {
                           if (used > 0) memset(workspace, 0xff, used);
                           multiply(p);
                         }});
  return CUBLAS_STATUS_SUCCESS;
}
