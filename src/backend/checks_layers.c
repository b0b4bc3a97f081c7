/* checks_layers.c - what convolution, linear and pooling ops refuse. */
#include "src/backend/checks.h"

#define PRESENT(op, a, field) SURGE_TRY(surge_check_pointer(op, #field, (a)->field))

/* Rows or columns of an output: windows that fit. */
static int32_t windows(int32_t in, int32_t kernel, int32_t stride, int32_t pad) {
  return (in + 2 * pad - kernel) / stride + 1;
}

static surge_status check_size(const char *op, const surge_map *in,
                               const surge_map *out, int32_t kernel,
                               int32_t stride, int32_t pad) {
  if (kernel > in->h + 2 * pad || kernel > in->w + 2 * pad)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: kernel: wanted at most %d x %d, the "
                      "padded image, found %d", op, in->h + 2 * pad, in->w + 2 * pad,
                      kernel);
  int32_t h = windows(in->h, kernel, stride, pad), w = windows(in->w, kernel, stride, pad);
  if (out->h == h && out->w == w) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: out: wanted %d x %d, found %d x %d", op,
                    h, w, out->h, out->w);
}

surge_status surge_check_conv2d_shape(const surge_conv2d_shape *s) {
  static const char op[] = "conv2d_plan";
  SURGE_TRY(surge_check_map(op, &s->in));
  SURGE_TRY(surge_check_map(op, &s->out));
  SURGE_TRY(surge_check_positive(op, "kernel", s->kernel));
  SURGE_TRY(surge_check_positive(op, "stride", s->stride));
  SURGE_TRY(surge_check_positive(op, "groups", s->groups));
  if (s->pad < 0)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: pad: wanted at least 0, found %d", op,
                      s->pad);
  if (s->in.c % s->groups || s->out.c % s->groups)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: groups: wanted a divisor of %d and "
                      "%d channels, found %d", op, s->in.c, s->out.c, s->groups);
  return check_size(op, &s->in, &s->out, s->kernel, s->stride, s->pad);
}

surge_status surge_check_conv2d_forward(const surge_conv2d_shape *shape,
                                        const surge_conv2d_forward *a) {
  static const char op[] = "conv2d_forward";
  PRESENT(op, a, y);
  PRESENT(op, a, x);
  PRESENT(op, a, w);
  PRESENT(op, a, workspace);
  if (shape->bias) PRESENT(op, a, b);
  return surge_check_positive(op, "images", (int64_t)a->images);
}

surge_status surge_check_conv2d_backward_data(
    const surge_conv2d_shape *shape, const surge_conv2d_backward_data *a) {
  static const char op[] = "conv2d_backward_data";
  (void)shape;
  PRESENT(op, a, dx);
  PRESENT(op, a, dy);
  PRESENT(op, a, w);
  PRESENT(op, a, workspace);
  return surge_check_positive(op, "images", (int64_t)a->images);
}

surge_status surge_check_conv2d_backward_weights(
    const surge_conv2d_shape *shape, const surge_conv2d_backward_weights *a) {
  static const char op[] = "conv2d_backward_weights";
  PRESENT(op, a, dw);
  PRESENT(op, a, dy);
  PRESENT(op, a, x);
  PRESENT(op, a, workspace);
  if (shape->bias) PRESENT(op, a, db);
  return surge_check_positive(op, "images", (int64_t)a->images);
}

static surge_status check_linear(const char *op, const surge_linear *a) {
  SURGE_TRY(surge_check_map(op, &a->in));
  SURGE_TRY(surge_check_positive(op, "out", a->out));
  if (a->in.layout == SURGE_BLOCKED8 && a->in.h * a->in.w > 1)
    PRESENT(op, a, workspace);
  return surge_check_positive(op, "images", (int64_t)a->images);
}

surge_status surge_check_linear_forward(const surge_linear *a) {
  static const char op[] = "linear_forward";
  PRESENT(op, a, y);
  PRESENT(op, a, x);
  PRESENT(op, a, w);
  return check_linear(op, a);
}

surge_status surge_check_linear_backward_data(const surge_linear *a) {
  static const char op[] = "linear_backward_data";
  PRESENT(op, a, dx);
  PRESENT(op, a, dy);
  PRESENT(op, a, w);
  return check_linear(op, a);
}

surge_status surge_check_linear_backward_weights(const surge_linear *a) {
  static const char op[] = "linear_backward_weights";
  PRESENT(op, a, dw);
  PRESENT(op, a, dy);
  PRESENT(op, a, x);
  return check_linear(op, a);
}

static surge_status check_pool(const char *op, const surge_pool *a) {
  SURGE_TRY(surge_check_map(op, &a->in));
  SURGE_TRY(surge_check_map(op, &a->out));
  SURGE_TRY(surge_check_positive(op, "kernel", a->kernel));
  SURGE_TRY(surge_check_positive(op, "stride", a->stride));
  if (a->in.c != a->out.c || a->in.layout != a->out.layout)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: out: wanted the input's %d channels "
                      "and layout, found %d", op, a->in.c, a->out.c);
  SURGE_TRY(check_size(op, &a->in, &a->out, a->kernel, a->stride, 0));
  return surge_check_positive(op, "images", (int64_t)a->images);
}

surge_status surge_check_pool_forward(const char *op, const surge_pool *a) {
  PRESENT(op, a, y);
  PRESENT(op, a, x);
  return check_pool(op, a);
}

surge_status surge_check_pool_backward(const char *op, const surge_pool *a) {
  PRESENT(op, a, dx);
  PRESENT(op, a, dy);
  return check_pool(op, a);
}
