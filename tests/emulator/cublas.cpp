/* cublas.cpp - products as plain loops, sums in double. */
#include <cublas_v2.h>

#include <algorithm>

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
static void check_matrix(const char *what, const float *at, int rows,
                         int columns, int stride) {
  size_t last = (size_t)(columns - 1) * (size_t)stride + (size_t)rows;
  check_device(what, at, last * sizeof(float), sizeof(float));
}

struct product {
  bool ta, tb;
  int m, n, k, lda, ldb, ldc;
  float alpha, beta;
  const float *A, *B;
  float *C;
};

static void multiply(const product &p) {
  auto at = [](const float *x, bool transposed, int ld, int row, int column) {
    return (double)(transposed ? x[(size_t)row * (size_t)ld + (size_t)column]
                               : x[(size_t)column * (size_t)ld + (size_t)row]);
  };
  for (int j = 0; j < p.n; j++)
    for (int i = 0; i < p.m; i++) {
      double sum = 0;
      for (int l = 0; l < p.k; l++)
        sum += at(p.A, p.ta, p.lda, i, l) * at(p.B, p.tb, p.ldb, l, j);
      float *c = &p.C[(size_t)j * (size_t)p.ldc + (size_t)i];
      float scaled = p.alpha * (float)sum;
      *c = p.beta == 0.0f ? scaled : scaled + p.beta * *c;
    }
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t transa,
                           cublasOperation_t transb, int m, int n, int k,
                           const float *alpha, const float *A, int lda,
                           const float *B, int ldb, const float *beta, float *C,
                           int ldc) {
  bool ta = transa == CUBLAS_OP_T, tb = transb == CUBLAS_OP_T;
  if (m < 0 || n < 0 || k < 0 || lda < std::max(1, ta ? k : m) ||
      ldb < std::max(1, tb ? n : k) || ldc < std::max(1, m))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  if (captures(handle->stream) && handle->workspace == nullptr)
    fail("cublasSgemm captured without cublasSetWorkspace: it would allocate");
  if (k > 0) check_matrix("cublasSgemm A", A, ta ? k : m, ta ? m : k, lda);
  if (k > 0) check_matrix("cublasSgemm B", B, tb ? n : k, tb ? k : n, ldb);
  check_matrix("cublasSgemm C", C, m, n, ldc);
  product p = {ta, tb, m, n, k, lda, ldb, ldc, *alpha, *beta, A, B, C};
  void *workspace = handle->workspace;
  size_t used = std::min(handle->bytes, (size_t)4096);
  queue(handle->stream, {"cublasSgemm", access::kernel, [=] {
                           if (used > 0) memset(workspace, 0xff, used);
                           multiply(p);
                         }});
  return CUBLAS_STATUS_SUCCESS;
}
