/* onednn.c - convolutions of oneDNN 2.x and 3.x (see onednn.h). */
#include "kernels/cpu/onednn.h"

#include <dnnl.h>
#include <dnnl_debug.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* --- what differs between 2.x and 3.x ------------------------------------- */

/* Descriptors of a convolution's arrays; `bias` may be NULL. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t owned_desc;     /* must be destroyed               */
typedef const_dnnl_memory_desc_t any_desc; /* belongs to somebody             */
#define BORROW(owned) (owned)
#else
typedef dnnl_memory_desc_t owned_desc;
typedef const dnnl_memory_desc_t *any_desc;
#define BORROW(owned) (&(owned))
#endif

typedef struct conv_descs {
  any_desc x, w, bias, y;
} conv_descs;

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t desc_init(owned_desc *desc, int ndims,
                               const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_create_with_tag(desc, ndims, dims, dnnl_f32, tag);
}

static void desc_free(owned_desc *desc) { dnnl_memory_desc_destroy(*desc); }

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd,
                                   dnnl_engine_t engine, surge_onednn_pass pass,
                                   const conv_descs *d,
                                   const dnnl_dims_t stride,
                                   const dnnl_dims_t pad,
                                   const_dnnl_primitive_attr_t attr) {
  dnnl_alg_kind_t direct = dnnl_convolution_direct;
  switch (pass) {
    case SURGE_ONEDNN_FORWARD:
      return dnnl_convolution_forward_primitive_desc_create(
          pd, engine, dnnl_forward_training, direct, d->x, d->w, d->bias, d->y,
          stride, NULL, pad, pad, attr);
    case SURGE_ONEDNN_BACKWARD_DATA:
      return dnnl_convolution_backward_data_primitive_desc_create(
          pd, engine, direct, d->x, d->w, d->y, stride, NULL, pad, pad, NULL,
          attr);
    default:
      return dnnl_convolution_backward_weights_primitive_desc_create(
          pd, engine, direct, d->x, d->w, d->bias, d->y, stride, NULL, pad, pad,
          NULL, attr);
  }
}
#else
static dnnl_status_t desc_init(owned_desc *desc, int ndims,
                               const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_init_by_tag(desc, ndims, dims, dnnl_f32, tag);
}

static void desc_free(owned_desc *desc) { (void)desc; }

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd,
                                   dnnl_engine_t engine, surge_onednn_pass pass,
                                   const conv_descs *d,
                                   const dnnl_dims_t stride,
                                   const dnnl_dims_t pad,
                                   const_dnnl_primitive_attr_t attr) {
  dnnl_alg_kind_t direct = dnnl_convolution_direct;
  dnnl_convolution_desc_t conv;
  dnnl_status_t status;
  if (pass == SURGE_ONEDNN_FORWARD)
    status = dnnl_convolution_forward_desc_init(&conv, dnnl_forward_training,
                                                direct, d->x, d->w, d->bias,
                                                d->y, stride, pad, pad);
  else if (pass == SURGE_ONEDNN_BACKWARD_DATA)
    status = dnnl_convolution_backward_data_desc_init(&conv, direct, d->x, d->w,
                                                      d->y, stride, pad, pad);
  else
    status = dnnl_convolution_backward_weights_desc_init(
        &conv, direct, d->x, d->w, d->bias, d->y, stride, pad, pad);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(pd, &conv, attr, engine, NULL);
}
#endif

/* --- orders of a map ------------------------------------------------------ */

/* How a primitive sees a map: a layout of SURGE's, or planes of one channel. */
typedef enum order { CHANNELS_LAST, BLOCKED, PLANAR } order;

static order order_of(const surge_map *map) {
  return map->layout == SURGE_BLOCKED8 ? BLOCKED : CHANNELS_LAST;
}

static size_t offset_in(order o, size_t pixels, size_t C, size_t pixel,
                        size_t c) {
  switch (o) {
    case CHANNELS_LAST: return pixel * C + c;
    case BLOCKED: return (c / 8 * pixels + pixel) * 8 + c % 8;
    default: return c * pixels + pixel;
  }
}

/* to = from in another order, image by image; with blocked maps in runs of the
 * eight channels that lie side by side in both. */
static void rearrange(float *to, order to_order, const float *from,
                      order from_order, const surge_map *map, size_t images) {
  size_t pixels = (size_t)map->h * (size_t)map->w, C = (size_t)map->c;
  size_t run = to_order == PLANAR || from_order == PLANAR ? 1 : 8;
  for (size_t n = 0; n < images; n++, to += pixels * C, from += pixels * C)
    for (size_t c = 0; c < C; c += run)
      for (size_t pixel = 0; pixel < pixels; pixel++) {
        float *t = to + offset_in(to_order, pixels, C, pixel, c);
        const float *f = from + offset_in(from_order, pixels, C, pixel, c);
        if (run == 8)
          memcpy(t, f, 8 * sizeof *t);
        else
          *t = *f;
      }
}

/* --- the object ----------------------------------------------------------- */

enum { X, Y, PACKED, SCRATCH, BIAS, ARRAYS }; /* order of a call's arguments */

/* The arguments of a call of one level in one slot. */
typedef struct call {
  dnnl_exec_arg_t args[ARRAYS];
} call;

/* A reorder of the weights and its two memory objects. */
typedef struct reorder {
  dnnl_primitive_t primitive;
  dnnl_memory_t from, to;
} reorder;

struct surge_onednn_conv {
  surge_onednn_pass pass;
  surge_map in, out;
  order x_order, y_order;       /* of the primitives */
  const size_t *images;         /* [levels], the caller's */
  int levels, slots, arguments; /* 4, or 5 with a bias */
  dnnl_engine_t engine;
  dnnl_stream_t *streams;       /* [slots] */
  dnnl_primitive_t *primitives; /* [levels] */
  call *calls;                  /* [levels, slots] */
  reorder pack, unpack;
  size_t packed_bytes, scratch_bytes;
};

/* Within a function that returns a dnnl_status_t: leaves it where a call
 * failed. */
#define DNNL_TRY(call)                                                         \
  do {                                                                         \
    dnnl_status_t dnnl_try_ = (call);                                          \
    if (dnnl_try_ != dnnl_success) return dnnl_try_;                           \
  } while (0)

surge_status surge_onednn_check(const char *op, int status) {
  if (status == dnnl_success) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: oneDNN: %s (status %d)", op,
                    dnnl_status2str((dnnl_status_t)status), status);
}

/* --- planning ------------------------------------------------------------- */

static dnnl_status_t init_map(owned_desc *desc, const surge_map *map, order o,
                              size_t images) {
  static const dnnl_format_tag_t tags[] = {dnnl_nhwc, dnnl_nChw8c, dnnl_nchw};
  dnnl_dims_t dims = {(dnnl_dim_t)images, map->c, map->h, map->w};
  return desc_init(desc, 4, dims, tags[o]);
}

/* The weights in logical order, or in whichever order a primitive prefers. */
static dnnl_status_t init_weights(owned_desc *desc, const surge_conv2d_shape *s,
                                  bool logical) {
  dnnl_dim_t K = s->out.c, C = s->in.c, g = s->groups, kernel = s->kernel;
  if (g == 1) {
    dnnl_dims_t dims = {K, C, kernel, kernel};
    return desc_init(desc, 4, dims, logical ? dnnl_ohwi : dnnl_format_tag_any);
  }
  dnnl_dims_t dims = {g, K / g, C / g, kernel, kernel};
  return desc_init(desc, 5, dims, logical ? dnnl_gohwi : dnnl_format_tag_any);
}

/* The descriptor of a level; w NULL: weights in any order. */
static dnnl_status_t describe_level(dnnl_primitive_desc_t *pd,
                                    const surge_onednn_conv *conv,
                                    const surge_conv2d_shape *s, int level,
                                    any_desc w) {
  owned_desc x, y, bias, free_w;
  dnnl_primitive_attr_t attr;
  dnnl_dims_t K = {s->out.c};
  dnnl_dims_t stride = {s->stride, s->stride}, pad = {s->pad, s->pad};
  DNNL_TRY(init_map(&x, &s->in, conv->x_order, conv->images[level]));
  DNNL_TRY(init_map(&y, &s->out, conv->y_order, conv->images[level]));
  DNNL_TRY(init_weights(&free_w, s, false));
  DNNL_TRY(desc_init(&bias, 1, K, dnnl_x));
  DNNL_TRY(dnnl_primitive_attr_create(&attr));
  DNNL_TRY(
      dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
  conv_descs d = {BORROW(x), w ? w : BORROW(free_w),
                  s->bias ? BORROW(bias) : NULL, BORROW(y)};
  dnnl_status_t status =
      describe_conv(pd, conv->engine, conv->pass, &d, stride, pad, attr);
  dnnl_primitive_attr_destroy(attr);
  desc_free(&x);
  desc_free(&y);
  desc_free(&free_w);
  desc_free(&bias);
  return status;
}

/* Is a descriptor's code oneDNN's plain reference: a hundred times slower? */
static bool is_reference(const_dnnl_primitive_desc_t pd) {
  const char *name = "";
  dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
  return !strncmp(name, "ref", 3);
}

/* oneDNN's code for 1x1 windows gathers a strided image in vectors of eight
 * channels. Where the channels do not fill them its gradient of the weights has
 * read what nobody wrote (seen in 2.6.3): only the reference is right. */
static bool is_miscomputed(const surge_conv2d_shape *s) {
  return s->kernel == 1 && s->stride > 1 && s->in.c % 8 != 0;
}

/* Chooses the orders of x and y, and with the first level's descriptor that of
 * the weights: the maps as they lie where oneDNN has fast code for that, else x
 * in planes (its code for a few input channels), else both channels-last. */
static dnnl_status_t describe_first(dnnl_primitive_desc_t *pd,
                                    surge_onednn_conv *conv,
                                    const surge_conv2d_shape *s) {
  const order choices[][2] = {{order_of(&s->in), order_of(&s->out)},
                              {PLANAR, order_of(&s->out)},
                              {CHANNELS_LAST, CHANNELS_LAST}};
  bool slow = is_miscomputed(s);
  for (int i = slow;; i++) {
    conv->x_order = choices[i][0];
    conv->y_order = choices[i][1];
    dnnl_status_t status = describe_level(pd, conv, s, 0, NULL);
    if (status != dnnl_success || i == 2 || is_reference(*pd) == slow)
      return status;
    dnnl_primitive_desc_destroy(*pd);
  }
}

/* What oneDNN calls a call's arguments and how it is asked for their shapes. */
static const struct {
  int argument;
  dnnl_query_t query;
} names[SURGE_ONEDNN_PASSES][ARRAYS] = {
    {{DNNL_ARG_SRC, dnnl_query_src_md},
     {DNNL_ARG_DST, dnnl_query_dst_md},
     {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
     {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md},
     {DNNL_ARG_BIAS, dnnl_query_weights_md}},
    {{DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md},
     {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
     {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
     {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md},
     {0, dnnl_query_undef}},
    {{DNNL_ARG_SRC, dnnl_query_src_md},
     {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
     {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md},
     {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md},
     {DNNL_ARG_DIFF_BIAS, dnnl_query_diff_weights_md}},
};

static any_desc shape_of(const surge_onednn_conv *conv,
                         const_dnnl_primitive_desc_t pd, int array) {
  return dnnl_primitive_desc_query_md(pd, names[conv->pass][array].query,
                                      array == BIAS ? 1 : 0);
}

/* The primitive of a level and, for each slot, the arguments of its call. */
static dnnl_status_t create_level(surge_onednn_conv *conv, int level,
                                  const_dnnl_primitive_desc_t pd) {
  DNNL_TRY(dnnl_primitive_create(&conv->primitives[level], pd));
  size_t scratch = dnnl_memory_desc_get_size(shape_of(conv, pd, SCRATCH));
  scratch = (scratch + 63) / 64 * 64;
  if (scratch > conv->scratch_bytes) conv->scratch_bytes = scratch;
  for (int slot = 0; slot < conv->slots; slot++) {
    call *c = &conv->calls[level * conv->slots + slot];
    for (int i = 0; i < conv->arguments; i++) {
      c->args[i].arg = names[conv->pass][i].argument;
      DNNL_TRY(dnnl_memory_create(&c->args[i].memory, shape_of(conv, pd, i),
                                  conv->engine, DNNL_MEMORY_NONE));
    }
  }
  return dnnl_success;
}

static dnnl_status_t create_reorder(surge_onednn_conv *conv, reorder *r,
                                    any_desc from, any_desc to) {
  dnnl_primitive_desc_t pd;
  dnnl_engine_t e = conv->engine;
  DNNL_TRY(dnnl_memory_create(&r->from, from, e, DNNL_MEMORY_NONE));
  DNNL_TRY(dnnl_memory_create(&r->to, to, e, DNNL_MEMORY_NONE));
  DNNL_TRY(dnnl_reorder_primitive_desc_create(&pd, from, e, to, e, NULL));
  dnnl_status_t status = dnnl_primitive_create(&r->primitive, pd);
  dnnl_primitive_desc_destroy(pd);
  return status;
}

/* Reorders copy: their threads, unlike a reduction's, do not show. */
static dnnl_status_t create_reorders(surge_onednn_conv *conv,
                                     const surge_conv2d_shape *shape,
                                     any_desc packed) {
  owned_desc logical;
  DNNL_TRY(init_weights(&logical, shape, true));
  conv->packed_bytes = dnnl_memory_desc_get_size(packed);
  omp_set_num_threads(conv->slots);
  dnnl_status_t status =
      create_reorder(conv, &conv->pack, BORROW(logical), packed);
  if (status == dnnl_success)
    status = create_reorder(conv, &conv->unpack, packed, BORROW(logical));
  desc_free(&logical);
  return status;
}

/* All levels; the first one chooses the order of the packed weights. */
static dnnl_status_t create_levels(surge_onednn_conv *conv,
                                   const surge_conv2d_shape *shape) {
  dnnl_primitive_desc_t first, pd;
  DNNL_TRY(describe_first(&first, conv, shape));
  any_desc packed = shape_of(conv, first, PACKED);
  dnnl_status_t status = create_level(conv, 0, first);
  for (int i = 1; i < conv->levels && status == dnnl_success; i++) {
    status = describe_level(&pd, conv, shape, i, packed);
    if (status != dnnl_success) break;
    status = create_level(conv, i, pd);
    dnnl_primitive_desc_destroy(pd);
  }
  if (status == dnnl_success) status = create_reorders(conv, shape, packed);
  dnnl_primitive_desc_destroy(first);
  return status;
}

static dnnl_status_t create_streams(surge_onednn_conv *conv) {
  DNNL_TRY(dnnl_engine_create(&conv->engine, dnnl_cpu, 0));
  for (int slot = 0; slot < conv->slots; slot++)
    DNNL_TRY(dnnl_stream_create(&conv->streams[slot], conv->engine,
                                dnnl_stream_default_flags));
  return dnnl_success;
}

surge_status surge_onednn_create(surge_onednn_conv **conv,
                                 const surge_conv2d_shape *shape,
                                 surge_onednn_pass pass, const size_t *images,
                                 int levels, int slots) {
  surge_onednn_conv *c = *conv = calloc(1, sizeof *c);
  if (!c) return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d_plan: no memory");
  bool bias = shape->bias && pass != SURGE_ONEDNN_BACKWARD_DATA;
  c->pass = pass;
  c->in = shape->in;
  c->out = shape->out;
  c->images = images;
  c->levels = levels;
  c->slots = slots;
  c->arguments = bias ? ARRAYS : ARRAYS - 1;
  c->streams = calloc((size_t)slots, sizeof *c->streams);
  c->primitives = calloc((size_t)levels, sizeof *c->primitives);
  c->calls = calloc((size_t)(levels * slots), sizeof *c->calls);
  if (!c->streams || !c->primitives || !c->calls)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d_plan: no memory");
  int threads = omp_get_max_threads();
  omp_set_num_threads(1); /* what oneDNN plans for */
  dnnl_status_t status = create_streams(c);
  if (status == dnnl_success) status = create_levels(c, shape);
  omp_set_num_threads(threads);
  return surge_onednn_check("conv2d_plan", (int)status);
}

static void release_reorder(reorder *r) {
  if (r->primitive) dnnl_primitive_destroy(r->primitive);
  if (r->from) dnnl_memory_destroy(r->from);
  if (r->to) dnnl_memory_destroy(r->to);
}

void surge_onednn_release(surge_onednn_conv *conv) {
  if (!conv) return;
  for (int i = 0; conv->calls && i < conv->levels * conv->slots; i++)
    for (int a = 0; a < conv->arguments; a++)
      if (conv->calls[i].args[a].memory)
        dnnl_memory_destroy(conv->calls[i].args[a].memory);
  for (int i = 0; conv->primitives && i < conv->levels; i++)
    if (conv->primitives[i]) dnnl_primitive_destroy(conv->primitives[i]);
  release_reorder(&conv->pack);
  release_reorder(&conv->unpack);
  for (int i = 0; conv->streams && i < conv->slots; i++)
    if (conv->streams[i]) dnnl_stream_destroy(conv->streams[i]);
  if (conv->engine) dnnl_engine_destroy(conv->engine);
  free(conv->streams);
  free(conv->primitives);
  free(conv->calls);
  free(conv);
}

size_t surge_onednn_packed_bytes(const surge_onednn_conv *conv) {
  return conv->packed_bytes;
}

/* Bytes of one level's x or y where a call rearranges it, else 0. */
static size_t rearranged_bytes(const surge_onednn_conv *conv, int level,
                               const surge_map *map, order o) {
  if (o == order_of(map) || map->c == 1) return 0;
  size_t count = conv->images[level] * surge_map_elements(map);
  return (count * sizeof(float) + 63) / 64 * 64;
}

size_t surge_onednn_scratch_bytes(const surge_onednn_conv *conv) {
  int last = conv->levels - 1;
  return conv->scratch_bytes +
         rearranged_bytes(conv, last, &conv->in, conv->x_order) +
         rearranged_bytes(conv, last, &conv->out, conv->y_order);
}

/* --- running -------------------------------------------------------------- */

/* Points a memory object at an array. In 2.x each change also zeroes the
 * padding of weights, so it is made only where the array is another. */
static dnnl_status_t point(dnnl_memory_t memory, void *array) {
  void *now;
  DNNL_TRY(dnnl_memory_get_data_handle(memory, &now));
  if (now == array) return dnnl_success;
  return dnnl_memory_set_data_handle(memory, array);
}

static dnnl_status_t run_reorder(const surge_onednn_conv *conv,
                                 const reorder *r, void *to, void *from) {
  dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, r->from}, {DNNL_ARG_TO, r->to}};
  DNNL_TRY(point(r->from, from));
  DNNL_TRY(point(r->to, to));
  return dnnl_primitive_execute(r->primitive, conv->streams[0], 2, args);
}

/* Packs, and shows the packed weights to every call: in 2.x that writes their
 * padding, which threads must not do side by side. */
static dnnl_status_t pack(const surge_onednn_conv *conv, void *packed,
                          void *w) {
  DNNL_TRY(run_reorder(conv, &conv->pack, packed, w));
  for (int i = 0; i < conv->levels * conv->slots; i++)
    DNNL_TRY(point(conv->calls[i].args[PACKED].memory, packed));
  return dnnl_success;
}

surge_status surge_onednn_pack(const surge_onednn_conv *conv, void *packed,
                               const float *w) {
  int threads = omp_get_max_threads();
  omp_set_num_threads(conv->slots);
  dnnl_status_t status = pack(conv, packed, (void *)(uintptr_t)w);
  omp_set_num_threads(threads);
  return surge_onednn_check("conv2d: weights", (int)status);
}

surge_status surge_onednn_unpack(const surge_onednn_conv *conv, float *w,
                                 void *packed) {
  int threads = omp_get_max_threads();
  omp_set_num_threads(conv->slots);
  dnnl_status_t status = run_reorder(conv, &conv->unpack, w, packed);
  omp_set_num_threads(threads);
  return surge_onednn_check("conv2d: weight gradients", (int)status);
}

/* Runs the primitive on arrays that lie in its orders. */
static dnnl_status_t run_arranged(const surge_onednn_conv *conv, int level,
                                  int slot, const surge_onednn_arrays *arrays) {
  const call *c = &conv->calls[level * conv->slots + slot];
  void *array[ARRAYS] = {arrays->x, arrays->y, arrays->packed, arrays->scratch,
                         arrays->bias};
  for (int i = 0; i < conv->arguments; i++)
    DNNL_TRY(point(c->args[i].memory, array[i]));
  return dnnl_primitive_execute(conv->primitives[level], conv->streams[slot],
                                conv->arguments, c->args);
}

static dnnl_status_t run(const surge_onednn_conv *conv, int level, int slot,
                         const surge_onednn_arrays *arrays) {
  const surge_map *in = &conv->in, *out = &conv->out;
  size_t images = conv->images[level];
  size_t x_bytes = rearranged_bytes(conv, level, in, conv->x_order);
  size_t y_bytes = rearranged_bytes(conv, level, out, conv->y_order);
  bool writes_x = conv->pass == SURGE_ONEDNN_BACKWARD_DATA;
  bool writes_y = conv->pass == SURGE_ONEDNN_FORWARD;
  surge_onednn_arrays own = *arrays;
  char *free_bytes = (char *)arrays->scratch + conv->scratch_bytes;
  if (x_bytes) own.x = free_bytes;
  if (y_bytes) own.y = free_bytes + x_bytes;
  if (x_bytes && !writes_x)
    rearrange(own.x, conv->x_order, arrays->x, order_of(in), in, images);
  if (y_bytes && !writes_y)
    rearrange(own.y, conv->y_order, arrays->y, order_of(out), out, images);
  DNNL_TRY(run_arranged(conv, level, slot, &own));
  if (x_bytes && writes_x)
    rearrange(arrays->x, order_of(in), own.x, conv->x_order, in, images);
  if (y_bytes && writes_y)
    rearrange(arrays->y, order_of(out), own.y, conv->y_order, out, images);
  return dnnl_success;
}

int surge_onednn_run(const surge_onednn_conv *conv, int level, int slot,
                     const surge_onednn_arrays *arrays) {
  /* A team of one is no parallel region to oneDNN, and some of its code (the
   * reference) asks for threads only here. The setting belongs to the calling
   * task and ends with its region. */
  omp_set_num_threads(1);
  return (int)run(conv, level, slot, arrays);
}
