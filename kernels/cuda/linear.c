/* linear.c - linear layers on the device: cuBLAS multiplies.
 *
 * cuBLAS is column-major, so each row-major matrix here is given to it as its
 * transpose. Maps are channels last, so that the features of x lie in the order
 * of w's columns and no matrix is packed.
 *
 * Arithmetic: fp32 is computed pedantically, without tf32 or emulation, unless
 * the context allows tf32. bf16 is multiplied exactly and summed in fp32; a
 * gradient of weights is fp32 and never rounded.
 *
 * Bits: the handle's atomics are off, as they are by default. cuBLAS promises
 * equal bits on every run of one version on devices of one architecture with
 * the same number of multiprocessors, as long as one stream uses the handle;
 * its workspace is a fixed one, so that a captured call needs no other. */
#include "kernels/cuda/check.h"
#include "kernels/cuda/libraries.h"

/* C = op(A) op(B) + beta C, column-major: [rows, columns], over `depth`. */
typedef struct product {
  cublasOperation_t a_op, b_op;
  size_t rows, columns, depth;
  const void *a, *b;
  size_t a_stride, b_stride;
  void *c;             /* [rows, columns], packed */
  surge_dtype in, out; /* types of a and b; of c */
  float beta;
} product;

static cudaDataType_t type_of(surge_dtype type) {
  return type == SURGE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasComputeType_t arithmetic(const surge_context *context,
                                      surge_dtype in) {
  if (in == SURGE_BF16) return CUBLAS_COMPUTE_32F;
  return context->options.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                               : CUBLAS_COMPUTE_32F_PEDANTIC;
}

static surge_status multiply(surge_context *context, const char *op,
                             const product *p) {
  const float one = 1;
  SURGE_BLAS(op, cublasGemmEx, context->blas, p->a_op, p->b_op, (int)p->rows,
             (int)p->columns, (int)p->depth, &one, p->a, type_of(p->in),
             (int)p->a_stride, p->b, type_of(p->in), (int)p->b_stride, &p->beta,
             p->c, type_of(p->out), (int)p->rows, arithmetic(context, p->in),
             CUBLAS_GEMM_DEFAULT);
  return SURGE_OK;
}

size_t surge_cuda_linear_workspace(surge_context *context,
                                   const surge_linear *a) {
  (void)context;
  return surge_cuda_bias_workspace(a->images, (size_t)a->out);
}

/* y^T [O, images] = w [O, I] x^T [I, images] */
surge_status surge_cuda_linear_forward(surge_context *context,
                                       const surge_linear *a) {
  const char *op = "linear_forward";
  SURGE_TRY(surge_check_linear_forward(a));
  SURGE_TRY(surge_cuda_check_layout(op, &a->in));
  size_t I = surge_map_elements(&a->in), O = (size_t)a->out;
  product p = {.a_op = CUBLAS_OP_T,
               .a = a->w,
               .a_stride = I,
               .b_op = CUBLAS_OP_N,
               .b = a->x,
               .b_stride = I,
               .rows = O,
               .columns = a->images,
               .depth = I,
               .c = a->y,
               .in = a->in.type,
               .out = a->in.type};
  SURGE_TRY(multiply(context, op, &p));
  surge_cuda_bias_add(context, a->y, a->in.type, a->b, a->images, O);
  return surge_cuda_launched(context, op);
}

/* dx^T [I, images] = w^T [I, O] dy^T [O, images] */
surge_status surge_cuda_linear_backward_data(surge_context *context,
                                             const surge_linear *a) {
  const char *op = "linear_backward_data";
  SURGE_TRY(surge_check_linear_backward_data(a));
  SURGE_TRY(surge_cuda_check_layout(op, &a->in));
  size_t I = surge_map_elements(&a->in), O = (size_t)a->out;
  product p = {.a_op = CUBLAS_OP_N,
               .a = a->w,
               .a_stride = I,
               .b_op = CUBLAS_OP_N,
               .b = a->dy,
               .b_stride = O,
               .rows = I,
               .columns = a->images,
               .depth = O,
               .c = a->dx,
               .in = a->in.type,
               .out = a->in.type,
               .beta = a->mode == SURGE_ADD ? 1 : 0};
  SURGE_TRY(multiply(context, op, &p));
  return surge_cuda_launched(context, op);
}

/* dw^T [I, O] += x^T [I, images] dy [images, O] */
surge_status surge_cuda_linear_backward_weights(surge_context *context,
                                                const surge_linear *a) {
  const char *op = "linear_backward_weights";
  SURGE_TRY(surge_check_linear_backward_weights(a));
  SURGE_TRY(surge_cuda_check_layout(op, &a->in));
  if (a->db) SURGE_TRY(surge_check_pointer(op, "workspace", a->workspace));
  size_t I = surge_map_elements(&a->in), O = (size_t)a->out;
  product p = {.a_op = CUBLAS_OP_N,
               .a = a->x,
               .a_stride = I,
               .b_op = CUBLAS_OP_T,
               .b = a->dy,
               .b_stride = O,
               .rows = I,
               .columns = O,
               .depth = a->images,
               .c = a->dw,
               .in = a->in.type,
               .out = SURGE_F32,
               .beta = 1};
  SURGE_TRY(multiply(context, op, &p));
  surge_cuda_bias_sum(context, a->db, a->dy, a->in.type, a->images, O,
                      a->workspace);
  return surge_cuda_launched(context, op);
}
