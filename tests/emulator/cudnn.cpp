/* cudnn.cpp - convolutions as plain loops, sums in double.
 *
 * Every call checks its descriptors against each other and its pointers against
 * the device's allocations. Candidates are listed as cuDNN lists them: some are
 * not supported, some not deterministic, some sum otherwise (transforms); the
 * clock's order is drawn. All compute the same, and the workspace that one
 * asks for is overwritten with NaN. */
#include <cudnn.h>

#include <algorithm>

#include "tests/emulator/element.h"
#include "tests/emulator/internal.h"

using namespace surge_emulator;

struct cudnnContext {
  cudaStream_t stream;
};
struct cudnnTensorStruct {
  int n, c, h, w; /* n = 0: not set */
  cudnnDataType_t type;
};
struct cudnnFilterStruct {
  int k, c, h, w; /* k = 0: not set; c: channels of one group */
  cudnnDataType_t type;
};
struct cudnnConvolutionStruct {
  int pad_h, pad_w, stride_h, stride_w, groups; /* stride 0: not set */
  cudnnMathType_t math;
};

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }

const char *cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_SUCCESS     ? "CUDNN_STATUS_SUCCESS"
         : status == CUDNN_STATUS_BAD_PARAM ? "CUDNN_STATUS_BAD_PARAM"
                                            : "CUDNN_STATUS_NOT_SUPPORTED";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
  if (capturing()) fail("cudnnCreate while a stream is captured");
  *handle = new cudnnContext{nullptr};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  finish_all();
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

/* --- descriptors ------------------------------------------------------------ */

template <class T>
static cudnnStatus_t create(T **descriptor) {
  *descriptor = new T();
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
static cudnnStatus_t destroy(T *descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *tensor) {
  return create(tensor);
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor) {
  return destroy(tensor);
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *filter) {
  return create(filter);
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filter) {
  return destroy(filter);
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(
    cudnnConvolutionDescriptor_t *conv) {
  return create(conv);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(
    cudnnConvolutionDescriptor_t conv) {
  return destroy(conv);
}

static void check_kind(const char *call, cudnnTensorFormat_t format,
                       cudnnDataType_t type) {
  if (format != CUDNN_TENSOR_NHWC ||
      (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16))
    fail("%s: only float and bf16 in NHWC are emulated", call);
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor,
                                         cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c,
                                         int h, int w) {
  check_kind("cudnnSetTensor4dDescriptor", format, type);
  if (n < 1 || c < 1 || h < 1 || w < 1) return CUDNN_STATUS_BAD_PARAM;
  *tensor = {n, c, h, w, type};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter,
                                         cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k,
                                         int c, int h, int w) {
  check_kind("cudnnSetFilter4dDescriptor", format, type);
  if (k < 1 || c < 1 || h < 1 || w < 1) return CUDNN_STATUS_BAD_PARAM;
  *filter = {k, c, h, w, type};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(
    cudnnConvolutionDescriptor_t conv, int pad_h, int pad_w, int stride_h,
    int stride_w, int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
    cudnnDataType_t compute) {
  if (mode != CUDNN_CROSS_CORRELATION || compute != CUDNN_DATA_FLOAT ||
      dilation_h != 1 || dilation_w != 1)
    fail("cudnnSetConvolution2dDescriptor: only cross correlation in float "
         "without dilation is emulated");
  if (pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1)
    return CUDNN_STATUS_BAD_PARAM;
  *conv = {pad_h, pad_w, stride_h, stride_w, 1, CUDNN_DEFAULT_MATH};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t conv,
                                            int groups) {
  if (groups < 1) return CUDNN_STATUS_BAD_PARAM;
  conv->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t conv,
                                          cudnnMathType_t math) {
  conv->math = math;
  return CUDNN_STATUS_SUCCESS;
}

/* --- a convolution as its descriptors say ------------------------------------ */

struct convolution {
  cudnnTensorStruct x, y;
  cudnnFilterStruct w;
  cudnnConvolutionStruct conv;
};

static int out_size(int in, int pad, int kernel, int stride) {
  return (in + 2 * pad - kernel) / stride + 1;
}

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t x,
    cudnnFilterDescriptor_t w, int *n, int *c, int *h, int *width) {
  *n = x->n;
  *c = w->k;
  *h = out_size(x->h, conv->pad_h, w->h, conv->stride_h);
  *width = out_size(x->w, conv->pad_w, w->w, conv->stride_w);
  return CUDNN_STATUS_SUCCESS;
}

static bool fits(const convolution &s) {
  const cudnnConvolutionStruct &c = s.conv;
  return s.x.type == s.y.type && s.w.type == s.x.type && s.x.n > 0 && s.y.n == s.x.n && s.w.k > 0 && c.stride_h > 0 &&
         s.x.c == s.w.c * c.groups && s.w.k % c.groups == 0 && s.y.c == s.w.k &&
         s.x.h + 2 * c.pad_h >= s.w.h && s.x.w + 2 * c.pad_w >= s.w.w &&
         s.y.h == out_size(s.x.h, c.pad_h, s.w.h, c.stride_h) &&
         s.y.w == out_size(s.x.w, c.pad_w, s.w.w, c.stride_w);
}

/* What enters products: floats are rounded unless that is forbidden, and bf16
 * is multiplied on tensor cores alone. */
static element element_of(const convolution &s) {
  bool cores = s.conv.math != CUDNN_FMA_MATH;
  if (s.x.type == CUDNN_DATA_FLOAT) return cores ? element::tf32 : element::fp32;
  if (!cores) fail("a convolution of bf16 with CUDNN_FMA_MATH");
  return element::bf16;
}

static size_t count(const cudnnTensorStruct &t) {
  return (size_t)t.n * (size_t)t.c * (size_t)t.h * (size_t)t.w;
}

static size_t count(const cudnnFilterStruct &w) {
  return (size_t)w.k * (size_t)w.c * (size_t)w.h * (size_t)w.w;
}

/* tap(y, w, x): element of y, and where w's and x's channels of its group begin,
 * for each position of the kernel that lies in the image. */
template <class Tap>
static void for_each_tap(const convolution &s, Tap tap) {
  const int filters = s.w.k / s.conv.groups;
  size_t y_at = 0;
  for (int n = 0; n < s.y.n; n++)
    for (int p = 0; p < s.y.h; p++)
      for (int q = 0; q < s.y.w; q++)
        for (int k = 0; k < s.y.c; k++, y_at++)
          for (int r = 0; r < s.w.h; r++)
            for (int t = 0; t < s.w.w; t++) {
              int h = p * s.conv.stride_h - s.conv.pad_h + r;
              int w = q * s.conv.stride_w - s.conv.pad_w + t;
              if (h < 0 || h >= s.x.h || w < 0 || w >= s.x.w) continue;
              size_t pixel = ((size_t)n * (size_t)s.x.h + (size_t)h) *
                                 (size_t)s.x.w + (size_t)w;
              size_t w_at = (((size_t)k * (size_t)s.w.h + (size_t)r) *
                                 (size_t)s.w.w + (size_t)t) * (size_t)s.w.c;
              tap(y_at, w_at,
                  pixel * (size_t)s.x.c + (size_t)(k / filters * s.w.c));
            }
}

/* --- candidates --------------------------------------------------------------- */

enum pass { forward, backward_data, backward_filter };

struct algorithm {
  int number;
  bool supported;
  cudnnDeterminism_t determinism;
  size_t filters; /* its workspace, in filters */
};

/* In the heuristic's order. */
static const std::vector<algorithm> algorithms[] = {
    {{CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, true, CUDNN_DETERMINISTIC,
      16},
     {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, true,
      CUDNN_DETERMINISTIC, 1},
     {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, true, CUDNN_DETERMINISTIC, 0},
     {CUDNN_CONVOLUTION_FWD_ALGO_GEMM, false, CUDNN_DETERMINISTIC, 0},
     {CUDNN_CONVOLUTION_FWD_ALGO_FFT, false, CUDNN_DETERMINISTIC, 0}},
    {{CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, true, CUDNN_NON_DETERMINISTIC, 0},
     {CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, true, CUDNN_DETERMINISTIC, 2},
     {CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT, false, CUDNN_DETERMINISTIC, 0}},
    {{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, true, CUDNN_NON_DETERMINISTIC, 0},
     {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3, true, CUDNN_NON_DETERMINISTIC, 1},
     {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, true, CUDNN_DETERMINISTIC, 3},
     {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT, false, CUDNN_DETERMINISTIC, 0}}};

static size_t workspace_of(const convolution &s, const algorithm &a) {
  return a.filters * count(s.w) * sizeof(float);
}

static const algorithm *find_algorithm(pass p, int number) {
  for (const algorithm &a : algorithms[p])
    if (a.number == number && a.supported) return &a;
  return nullptr;
}

template <class Perf, class Number>
static cudnnStatus_t list_algorithms(pass p, const convolution &s, bool timed,
                                     int wanted, int *returned, Perf *list) {
  if (!fits(s) || wanted < 1) return CUDNN_STATUS_BAD_PARAM;
  if (timed && capturing()) fail("cudnnFind... while a stream is captured");
  if (timed) finish_all();
  std::vector<uint32_t> at;
  uint32_t all = (uint32_t)algorithms[p].size();
  order(at, all);
  *returned = std::min((int)all, wanted);
  for (int i = 0; i < *returned; i++) {
    const algorithm &a = algorithms[p][timed ? at[(size_t)i] : (size_t)i];
    list[i] = Perf();
    list[i].algo = (Number)a.number;
    list[i].status =
        a.supported ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
    list[i].time = a.supported ? (float)(i + 1) : -1.0f;
    list[i].memory = workspace_of(s, a);
    list[i].determinism = a.determinism;
    list[i].mathType = s.conv.math;
  }
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t workspace_size(pass p, const convolution &s, int number,
                                    size_t *bytes) {
  const algorithm *a = find_algorithm(p, number);
  if (!fits(s)) return CUDNN_STATUS_BAD_PARAM;
  if (a == nullptr) return CUDNN_STATUS_NOT_SUPPORTED;
  *bytes = workspace_of(s, *a);
  return CUDNN_STATUS_SUCCESS;
}

#define PASS(which, get, find, size, perf, number, a_t, b_t, c_t, ...)         \
  cudnnStatus_t get(cudnnHandle_t, a_t a, b_t b,                               \
                    cudnnConvolutionDescriptor_t conv, c_t c, int wanted,      \
                    int *returned, perf *list) {                               \
    return list_algorithms<perf, number>(which, {__VA_ARGS__, *conv}, false,   \
                                         wanted, returned, list);              \
  }                                                                            \
  cudnnStatus_t find(cudnnHandle_t, a_t a, b_t b,                              \
                     cudnnConvolutionDescriptor_t conv, c_t c, int wanted,     \
                     int *returned, perf *list) {                              \
    return list_algorithms<perf, number>(which, {__VA_ARGS__, *conv}, true,    \
                                         wanted, returned, list);              \
  }                                                                            \
  cudnnStatus_t size(cudnnHandle_t, a_t a, b_t b,                              \
                     cudnnConvolutionDescriptor_t conv, c_t c, number algo,    \
                     size_t *bytes) {                                          \
    return workspace_size(which, {__VA_ARGS__, *conv}, algo, bytes);           \
  }
PASS(forward, cudnnGetConvolutionForwardAlgorithm_v7,
     cudnnFindConvolutionForwardAlgorithm,
     cudnnGetConvolutionForwardWorkspaceSize, cudnnConvolutionFwdAlgoPerf_t,
     cudnnConvolutionFwdAlgo_t, cudnnTensorDescriptor_t,
     cudnnFilterDescriptor_t, cudnnTensorDescriptor_t, *a, *c, *b)
PASS(backward_data, cudnnGetConvolutionBackwardDataAlgorithm_v7,
     cudnnFindConvolutionBackwardDataAlgorithm,
     cudnnGetConvolutionBackwardDataWorkspaceSize,
     cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t,
     cudnnFilterDescriptor_t, cudnnTensorDescriptor_t, cudnnTensorDescriptor_t,
     *c, *b, *a)
PASS(backward_filter, cudnnGetConvolutionBackwardFilterAlgorithm_v7,
     cudnnFindConvolutionBackwardFilterAlgorithm,
     cudnnGetConvolutionBackwardFilterWorkspaceSize,
     cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t,
     cudnnTensorDescriptor_t, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t,
     *a, *b, *c)

/* --- the calls ------------------------------------------------------------------ */

struct region {
  const char *what;
  const void *at;
  size_t bytes;
};

static void check_apart(const char *call, const region &a, const region &b) {
  const char *p = (const char *)a.at, *q = (const char *)b.at;
  if (a.bytes > 0 && b.bytes > 0 && p < q + b.bytes && q < p + a.bytes)
    fail("%s: %s and %s overlap", call, a.what, b.what);
}

static const size_t operand_alignment = 16;

/* Checks one call and queues it: out = alpha * sums + beta * out, where `sum`
 * fills an array of doubles. */
template <class Sum>
static cudnnStatus_t convolve(const char *call, pass p, cudnnHandle_t handle,
                              const convolution &s, int number, float alpha,
                              float beta, void *workspace, size_t bytes,
                              region in1, region in2, region out, Sum sum) {
  const algorithm *a = find_algorithm(p, number);
  if (!fits(s)) return CUDNN_STATUS_BAD_PARAM;
  if (a == nullptr) return CUDNN_STATUS_NOT_SUPPORTED;
  size_t needed = workspace_of(s, *a);
  if (bytes < needed)
    fail("%s: a workspace of %zu bytes, the algorithm needs %zu", call, bytes,
         needed);
  region scratch = {"the workspace", workspace, needed};
  for (const region &r : {in1, in2, out, scratch})
    check_device((std::string(call) + ": " + r.what).c_str(), r.at, r.bytes,
                 r.bytes > 0 ? operand_alignment : 1);
  for (const region &r : {in1, in2, scratch}) check_apart(call, r, out);
  for (const region &r : {in1, in2}) check_apart(call, r, scratch);
  element e = element_of(s);
  void *result = (void *)out.at;
  size_t elements = out.bytes / bytes_of(e);
  queue(handle->stream, {call, access::kernel, [=] {
          if (needed > 0) memset(workspace, 0xff, needed);
          std::vector<double> sums(elements, 0.0);
          sum(sums.data());
          for (size_t i = 0; i < elements; i++)
            write(result, e, i, sums[i], alpha, beta);
        }});
  return CUDNN_STATUS_SUCCESS;
}

static region region_of(const char *what, const void *at, size_t elements,
                        cudnnDataType_t type) {
  return {what, at, elements * (type == CUDNN_DATA_BFLOAT16 ? 2 : 4)};
}

template <class Shape>
static region region_of(const char *what, const void *at, const Shape &shape) {
  return region_of(what, at, count(shape), shape.type);
}

/* An operand's elements as they enter products. */
static std::vector<double> widened(const void *from, size_t elements,
                                   element e) {
  std::vector<double> values(elements);
  for (size_t i = 0; i < elements; i++) values[i] = (double)read(from, e, i);
  return values;
}

static float value_of(const void *scalar) { return *(const float *)scalar; }

cudnnStatus_t cudnnConvolutionForward(
    cudnnHandle_t handle, const void *alpha, cudnnTensorDescriptor_t x_desc,
    const void *x, cudnnFilterDescriptor_t w_desc, const void *w,
    cudnnConvolutionDescriptor_t conv, cudnnConvolutionFwdAlgo_t algo,
    void *workspace, size_t bytes, const void *beta,
    cudnnTensorDescriptor_t y_desc, void *y) {
  convolution s = {*x_desc, *y_desc, *w_desc, *conv};
  element e = element_of(s);
  return convolve(
      "cudnnConvolutionForward", forward, handle, s, algo, value_of(alpha),
      value_of(beta), workspace, bytes, region_of("x", x, s.x),
      region_of("w", w, s.w), region_of("y", y, s.y), [=](double *sums) {
        std::vector<double> xs = widened(x, count(s.x), e);
        std::vector<double> ws = widened(w, count(s.w), e);
        for_each_tap(s, [&](size_t y_at, size_t w_at, size_t x_at) {
          for (size_t c = 0; c < (size_t)s.w.c; c++)
            sums[y_at] += xs[x_at + c] * ws[w_at + c];
        });
      });
}

cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t handle, const void *alpha, cudnnFilterDescriptor_t w_desc,
    const void *w, cudnnTensorDescriptor_t dy_desc, const void *dy,
    cudnnConvolutionDescriptor_t conv, cudnnConvolutionBwdDataAlgo_t algo,
    void *workspace, size_t bytes, const void *beta,
    cudnnTensorDescriptor_t dx_desc, void *dx) {
  convolution s = {*dx_desc, *dy_desc, *w_desc, *conv};
  element e = element_of(s);
  return convolve(
      "cudnnConvolutionBackwardData", backward_data, handle, s, algo,
      value_of(alpha), value_of(beta), workspace, bytes,
      region_of("w", w, s.w), region_of("dy", dy, s.y),
      region_of("dx", dx, s.x), [=](double *sums) {
        std::vector<double> dys = widened(dy, count(s.y), e);
        std::vector<double> ws = widened(w, count(s.w), e);
        for_each_tap(s, [&](size_t y_at, size_t w_at, size_t x_at) {
          for (size_t c = 0; c < (size_t)s.w.c; c++)
            sums[x_at + c] += dys[y_at] * ws[w_at + c];
        });
      });
}

cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void *alpha, cudnnTensorDescriptor_t x_desc,
    const void *x, cudnnTensorDescriptor_t dy_desc, const void *dy,
    cudnnConvolutionDescriptor_t conv, cudnnConvolutionBwdFilterAlgo_t algo,
    void *workspace, size_t bytes, const void *beta,
    cudnnFilterDescriptor_t dw_desc, void *dw) {
  convolution s = {*x_desc, *dy_desc, *dw_desc, *conv};
  element e = element_of(s);
  return convolve(
      "cudnnConvolutionBackwardFilter", backward_filter, handle, s, algo,
      value_of(alpha), value_of(beta), workspace, bytes,
      region_of("x", x, s.x), region_of("dy", dy, s.y),
      region_of("dw", dw, s.w), [=](double *sums) {
        std::vector<double> xs = widened(x, count(s.x), e);
        std::vector<double> dys = widened(dy, count(s.y), e);
        for_each_tap(s, [&](size_t y_at, size_t w_at, size_t x_at) {
          for (size_t c = 0; c < (size_t)s.w.c; c++)
            sums[w_at + c] += dys[y_at] * xs[x_at + c];
        });
      });
}
