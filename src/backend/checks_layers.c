/* checks_layers.c - checks of convolution, linear layers and pooling. */
#include <string.h>

#include "src/backend/checks.h"

#define WANT_ARRAY(field) SURGE_TRY(surge_check_pointer(op, #field, a->field))

/* An array that must be there exactly where the layer has a bias. */
static surge_status check_bias(const char *op, const char *argument,
                               const void *array, bool bias) {
  if ((array != NULL) == bias) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "%s: %s: wanted %s of a layer %s bias, found %s", op,
                    argument, bias ? "the array" : "NULL",
                    bias ? "with" : "without", array ? "an array" : "NULL");
}

static surge_status check_images(const char *op, size_t images) {
  return surge_check_positive(op, "images", (int64_t)images);
}

static surge_status check_mode(const char *op, surge_mode mode) {
  if (mode == SURGE_WRITE || mode == SURGE_ADD) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "%s: mode: wanted SURGE_WRITE or SURGE_ADD, found %d", op,
                    (int)mode);
}

/* One side of the output map: windows of `kernel` that fit into `in`. */
static surge_status check_side(const char *op, const char *side, int64_t in,
                               int32_t kernel, int32_t stride, int32_t out) {
  if (kernel > in)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "%s: kernel: wanted at most the padded %s of %lld, "
                      "found %d",
                      op, side, (long long)in, kernel);
  int64_t wanted = (in - kernel) / stride + 1;
  if (out == wanted) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: out: wanted %s %lld, found %d",
                    op, side, (long long)wanted, out);
}

/* --- convolution ---------------------------------------------------------- */

surge_status surge_check_conv2d_shape(const surge_conv2d_shape *shape) {
  const char *op = "conv2d_plan";
  const surge_conv2d_shape *s = shape;
  SURGE_TRY(surge_check_map(op, &s->in));
  SURGE_TRY(surge_check_map(op, &s->out));
  SURGE_TRY(surge_check_positive(op, "kernel", s->kernel));
  SURGE_TRY(surge_check_positive(op, "stride", s->stride));
  SURGE_TRY(surge_check_positive(op, "groups", s->groups));
  if (s->pad < 0)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "%s: pad: wanted at least 0, found %d", op, s->pad);
  if (s->in.c % s->groups || s->out.c % s->groups)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "%s: groups: wanted a divisor of %d and %d channels, "
                      "found %d",
                      op, s->in.c, s->out.c, s->groups);
  int64_t pad = 2 * (int64_t)s->pad;
  SURGE_TRY(
      check_side(op, "height", s->in.h + pad, s->kernel, s->stride, s->out.h));
  return check_side(op, "width", s->in.w + pad, s->kernel, s->stride, s->out.w);
}

surge_status surge_check_conv2d_forward(const surge_conv2d_shape *shape,
                                        const surge_conv2d_forward *a) {
  const char *op = "conv2d_forward";
  WANT_ARRAY(y);
  WANT_ARRAY(x);
  WANT_ARRAY(w);
  SURGE_TRY(check_bias(op, "b", a->b, shape->bias));
  SURGE_TRY(check_images(op, a->images));
  WANT_ARRAY(workspace);
  return SURGE_OK;
}

surge_status surge_check_conv2d_backward_data(
    const surge_conv2d_shape *shape, const surge_conv2d_backward_data *a) {
  const char *op = "conv2d_backward_data";
  (void)shape;
  WANT_ARRAY(dx);
  WANT_ARRAY(dy);
  WANT_ARRAY(w);
  SURGE_TRY(check_mode(op, a->mode));
  SURGE_TRY(check_images(op, a->images));
  WANT_ARRAY(workspace);
  return SURGE_OK;
}

surge_status surge_check_conv2d_backward_weights(
    const surge_conv2d_shape *shape, const surge_conv2d_backward_weights *a) {
  const char *op = "conv2d_backward_weights";
  WANT_ARRAY(dw);
  SURGE_TRY(check_bias(op, "db", a->db, shape->bias));
  WANT_ARRAY(dy);
  WANT_ARRAY(x);
  SURGE_TRY(check_images(op, a->images));
  WANT_ARRAY(workspace);
  return SURGE_OK;
}

/* --- linear --------------------------------------------------------------- */

static surge_status check_linear(const char *op, const surge_linear *a) {
  SURGE_TRY(surge_check_map(op, &a->in));
  SURGE_TRY(surge_check_positive(op, "out", a->out));
  return check_images(op, a->images);
}

surge_status surge_check_linear_forward(const surge_linear *a) {
  const char *op = "linear_forward";
  SURGE_TRY(check_linear(op, a));
  WANT_ARRAY(y);
  WANT_ARRAY(x);
  WANT_ARRAY(w);
  return SURGE_OK;
}

surge_status surge_check_linear_backward_data(const surge_linear *a) {
  const char *op = "linear_backward_data";
  SURGE_TRY(check_linear(op, a));
  WANT_ARRAY(dx);
  WANT_ARRAY(dy);
  WANT_ARRAY(w);
  return check_mode(op, a->mode);
}

surge_status surge_check_linear_backward_weights(const surge_linear *a) {
  const char *op = "linear_backward_weights";
  SURGE_TRY(check_linear(op, a));
  WANT_ARRAY(dw);
  WANT_ARRAY(dy);
  WANT_ARRAY(x);
  return SURGE_OK;
}

/* --- pooling -------------------------------------------------------------- */

static surge_status check_pool(const char *op, const surge_pool *a) {
  SURGE_TRY(surge_check_map(op, &a->in));
  SURGE_TRY(surge_check_map(op, &a->out));
  SURGE_TRY(surge_check_positive(op, "kernel", a->kernel));
  SURGE_TRY(surge_check_positive(op, "stride", a->stride));
  SURGE_TRY(check_images(op, a->images));
  if (a->out.c != a->in.c || a->out.layout != a->in.layout)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "%s: out: wanted %d channels in the layout of in, found "
                      "%d in %s",
                      op, a->in.c, a->out.c,
                      a->out.layout == a->in.layout ? "it" : "another");
  if (a->pad < 0 || a->pad > a->kernel / 2)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "%s: pad: wanted 0 to %d, half the kernel, found %d", op,
                      a->kernel / 2, a->pad);
  int64_t pad = 2 * (int64_t)a->pad;
  SURGE_TRY(
      check_side(op, "height", a->in.h + pad, a->kernel, a->stride, a->out.h));
  return check_side(op, "width", a->in.w + pad, a->kernel, a->stride, a->out.w);
}

surge_status surge_check_pool_forward(const char *op, const surge_pool *a) {
  SURGE_TRY(check_pool(op, a));
  WANT_ARRAY(y);
  WANT_ARRAY(x);
  return SURGE_OK;
}

surge_status surge_check_pool_backward(const char *op, const surge_pool *a) {
  SURGE_TRY(check_pool(op, a));
  WANT_ARRAY(dx);
  WANT_ARRAY(dy);
  if (!strcmp(op, "maxpool_backward")) WANT_ARRAY(x);
  return check_mode(op, a->mode);
}
