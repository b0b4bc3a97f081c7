/* onednn.c - one face for oneDNN 2.x and 3.x (see onednn.h). */
#include "kernels/cpu/onednn.h"

#include <omp.h>
#include <stdlib.h>

#if DNNL_VERSION_MAJOR >= 3
struct surge_md {
  dnnl_memory_desc_t desc; /* a pointer in 3.x */
};
#define DESC(md) ((md) ? (md)->desc : NULL)
#else
struct surge_md {
  dnnl_memory_desc_t desc; /* a struct in 2.x */
};
#define DESC(md) ((md) ? &(md)->desc : NULL)
#endif

static surge_status check(dnnl_status_t status, const char *call) {
  if (status == dnnl_success) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "oneDNN: %s: wanted success, found status "
                    "%d", call, (int)status);
}

#define DNNL(call) SURGE_TRY(check((call), #call))

/* One engine for the process: it holds nothing but the choice of the CPU. */
static surge_status engine_of(dnnl_engine_t *engine) {
  static dnnl_engine_t shared;
  surge_status status = SURGE_OK;
#pragma omp critical(surge_onednn_engine)
  if (!shared)
    status = check(dnnl_engine_create(&shared, dnnl_cpu, 0), "dnnl_engine_create");
  *engine = shared;
  return status;
}

/* --- memory descriptions -------------------------------------------------- */

static surge_status md_allocate(surge_md **md) {
  *md = calloc(1, sizeof **md);
  if (*md) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "oneDNN: no memory for a description");
}

surge_status surge_md_create(surge_md **md, int rank, const int64_t *dims,
                             dnnl_format_tag_t tag) {
  dnnl_dims_t sizes;
  for (int i = 0; i < rank; i++) sizes[i] = dims[i];
  SURGE_TRY(md_allocate(md));
#if DNNL_VERSION_MAJOR >= 3
  DNNL(dnnl_memory_desc_create_with_tag(&(*md)->desc, rank, sizes, dnnl_f32, tag));
#else
  DNNL(dnnl_memory_desc_init_by_tag(&(*md)->desc, rank, sizes, dnnl_f32, tag));
#endif
  return SURGE_OK;
}

void surge_md_free(surge_md *md) {
#if DNNL_VERSION_MAJOR >= 3
  if (md && md->desc) dnnl_memory_desc_destroy(md->desc);
#endif
  free(md);
}

size_t surge_md_bytes(const surge_md *md) {
  return md ? dnnl_memory_desc_get_size(DESC(md)) : 0;
}

/* A copy of what a primitive description says of one of its memories. */
static surge_status md_query(surge_md **md, const_dnnl_primitive_desc_t pd,
                             dnnl_query_t what) {
#if DNNL_VERSION_MAJOR >= 3
  const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(pd, what, 0);
#else
  const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(pd, what, 0);
#endif
  *md = NULL;
  if (!found || dnnl_memory_desc_get_size(found) == 0) return SURGE_OK;
  SURGE_TRY(md_allocate(md));
#if DNNL_VERSION_MAJOR >= 3
  DNNL(dnnl_memory_desc_clone(&(*md)->desc, found));
#else
  (*md)->desc = *found;
#endif
  return SURGE_OK;
}

/* --- primitives ----------------------------------------------------------- */

/* Of a description: the primitive, the weights' format, the scratchpad. */
static surge_status finish(dnnl_primitive_t *primitive, dnnl_primitive_desc_t pd,
                           surge_pass_kind kind, surge_md **chosen,
                           surge_md **scratch) {
  DNNL(dnnl_primitive_create(primitive, pd));
  SURGE_TRY(md_query(chosen, pd,
                     kind == SURGE_CONV_WEIGHTS ? dnnl_query_diff_weights_md
                                                : dnnl_query_weights_md));
  return md_query(scratch, pd, dnnl_query_scratchpad_md);
}

#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t forward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                const surge_conv_mds *m, const dnnl_dims_t stride,
                                const dnnl_dims_t pad,
                                const_dnnl_primitive_attr_t attr) {
  const dnnl_dims_t dilate = {0, 0};
  return dnnl_convolution_forward_primitive_desc_create(
      pd, engine, dnnl_forward_training, dnnl_convolution_direct, DESC(m->src),
      DESC(m->weights), DESC(m->bias), DESC(m->dst), stride, dilate, pad, pad, attr);
}

static dnnl_status_t backward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                 surge_pass_kind kind, const surge_conv_mds *m,
                                 const dnnl_dims_t stride, const dnnl_dims_t pad,
                                 const_dnnl_primitive_attr_t attr,
                                 const_dnnl_primitive_desc_t hint) {
  const dnnl_dims_t dilate = {0, 0};
  if (kind == SURGE_CONV_DATA)
    return dnnl_convolution_backward_data_primitive_desc_create(
        pd, engine, dnnl_convolution_direct, DESC(m->src), DESC(m->weights),
        DESC(m->dst), stride, dilate, pad, pad, hint, attr);
  return dnnl_convolution_backward_weights_primitive_desc_create(
      pd, engine, dnnl_convolution_direct, DESC(m->src), DESC(m->weights),
      DESC(m->bias), DESC(m->dst), stride, dilate, pad, pad, hint, attr);
}

#else

static dnnl_status_t forward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                const surge_conv_mds *m, const dnnl_dims_t stride,
                                const dnnl_dims_t pad,
                                const_dnnl_primitive_attr_t attr) {
  dnnl_convolution_desc_t desc;
  dnnl_status_t status = dnnl_convolution_forward_desc_init(
      &desc, dnnl_forward_training, dnnl_convolution_direct, DESC(m->src),
      DESC(m->weights), DESC(m->bias), DESC(m->dst), stride, pad, pad);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
}

static dnnl_status_t backward_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                 surge_pass_kind kind, const surge_conv_mds *m,
                                 const dnnl_dims_t stride, const dnnl_dims_t pad,
                                 const_dnnl_primitive_attr_t attr,
                                 const_dnnl_primitive_desc_t hint) {
  dnnl_convolution_desc_t desc;
  dnnl_status_t status =
      kind == SURGE_CONV_DATA
          ? dnnl_convolution_backward_data_desc_init(
                &desc, dnnl_convolution_direct, DESC(m->src), DESC(m->weights),
                DESC(m->dst), stride, pad, pad)
          : dnnl_convolution_backward_weights_desc_init(
                &desc, dnnl_convolution_direct, DESC(m->src), DESC(m->weights),
                DESC(m->bias), DESC(m->dst), stride, pad, pad);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(pd, &desc, attr, engine, hint);
}

#endif

/* A backward description takes the forward's as a hint. */
static surge_status convolution_pd(dnnl_primitive_desc_t *pd,
                                   surge_pass_kind kind, const surge_conv_mds *m,
                                   int stride, int pad,
                                   const_dnnl_primitive_attr_t attr) {
  const dnnl_dims_t strides = {stride, stride}, pads = {pad, pad};
  dnnl_engine_t engine;
  SURGE_TRY(engine_of(&engine));
  DNNL(forward_pd(pd, engine, m, strides, pads, attr));
  if (kind == SURGE_CONV_FORWARD) return SURGE_OK;
  dnnl_primitive_desc_t hint = *pd;
  dnnl_status_t status =
      backward_pd(pd, engine, kind, m, strides, pads, attr, hint);
  dnnl_primitive_desc_destroy(hint);
  if (status != dnnl_success) *pd = NULL;
  return check(status, "backward convolution");
}

surge_status surge_onednn_convolution(dnnl_primitive_t *primitive,
                                      surge_pass_kind kind,
                                      const surge_conv_mds *mds, int stride,
                                      int pad, surge_md **chosen,
                                      surge_md **scratch) {
  dnnl_primitive_attr_t attr;
  dnnl_primitive_desc_t pd = NULL;
  int threads = omp_get_max_threads();
  DNNL(dnnl_primitive_attr_create(&attr));
  surge_status status = check(
      dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
      "scratchpad mode");
  omp_set_num_threads(1); /* a primitive is made for the threads it finds */
  if (status == SURGE_OK)
    status = convolution_pd(&pd, kind, mds, stride, pad, attr);
  if (status == SURGE_OK) status = finish(primitive, pd, kind, chosen, scratch);
  omp_set_num_threads(threads);
  if (pd) dnnl_primitive_desc_destroy(pd);
  dnnl_primitive_attr_destroy(attr);
  return status;
}

surge_status surge_onednn_reorder(dnnl_primitive_t *primitive,
                                  const surge_md *from, const surge_md *to) {
  dnnl_engine_t engine;
  dnnl_primitive_desc_t pd;
  SURGE_TRY(engine_of(&engine));
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  dnnl_status_t status = dnnl_reorder_primitive_desc_create(
      &pd, DESC(from), engine, DESC(to), engine, NULL);
  if (status == dnnl_success) {
    status = dnnl_primitive_create(primitive, pd);
    dnnl_primitive_desc_destroy(pd);
  }
  omp_set_num_threads(threads);
  return check(status, "reorder");
}

surge_status surge_onednn_memory(dnnl_memory_t *memory, const surge_md *md) {
  dnnl_engine_t engine;
  *memory = NULL;
  if (!md) return SURGE_OK;
  SURGE_TRY(engine_of(&engine));
  DNNL(dnnl_memory_create(memory, DESC(md), engine, DNNL_MEMORY_NONE));
  return SURGE_OK;
}

surge_status surge_onednn_stream(dnnl_stream_t *stream) {
  dnnl_engine_t engine;
  SURGE_TRY(engine_of(&engine));
  DNNL(dnnl_stream_create(stream, engine, dnnl_stream_default_flags));
  return SURGE_OK;
}

surge_status surge_onednn_run(dnnl_primitive_t primitive, dnnl_stream_t stream,
                              const int *argument, const dnnl_memory_t *memory,
                              void *const *data) {
  dnnl_exec_arg_t args[SURGE_ONEDNN_ARGUMENTS];
  int count = 0;
  for (int i = 0; i < SURGE_ONEDNN_ARGUMENTS; i++) {
    if (!memory[i]) continue;
    DNNL(dnnl_memory_set_data_handle(memory[i], data[i]));
    args[count++] = (dnnl_exec_arg_t){argument[i], memory[i]};
  }
  int threads = omp_get_max_threads();
  omp_set_num_threads(1); /* also where this thread is a team of its own */
  dnnl_status_t status = dnnl_primitive_execute(primitive, stream, count, args);
  omp_set_num_threads(threads);
  return check(status, "dnnl_primitive_execute");
}
