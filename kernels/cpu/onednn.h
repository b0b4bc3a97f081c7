/* onednn.h - the part of oneDNN that SURGE uses, the same for 2.x and 3.x.
 *
 * Every primitive is made for one thread and is run by the calling thread:
 * SURGE cuts the work itself (conv2d.c), as a library's own threads would give
 * other bits with another number of them. Only onednn.c knows oneDNN's API. */
#ifndef SURGE_KERNELS_CPU_ONEDNN_H
#define SURGE_KERNELS_CPU_ONEDNN_H

#include <dnnl.h>
#include <surge/status.h>

typedef enum surge_pass_kind {
  SURGE_CONV_FORWARD,
  SURGE_CONV_DATA,
  SURGE_CONV_WEIGHTS
} surge_pass_kind;

/* A description of memory, owned. */
typedef struct surge_md surge_md;

surge_status surge_md_create(surge_md **md, int rank, const int64_t *dims,
                             dnnl_format_tag_t tag);
void surge_md_free(surge_md *md);
size_t surge_md_bytes(const surge_md *md); /* 0 for NULL */

/* A convolution's sizes: source and destination are NCHW, weights KCRS or, where
 * groups > 1, GKCRS; NULL `bias`: none. Any of the mds may have tag `any`. */
typedef struct surge_conv_mds {
  surge_md *src, *weights, *bias, *dst;
} surge_conv_mds;

/* A convolution of one kind; afterwards *chosen holds the md that it wants its
 * weights in, and `scratch` the md of its scratchpad (NULL: none). */
surge_status surge_onednn_convolution(dnnl_primitive_t *primitive,
                                      surge_pass_kind kind,
                                      const surge_conv_mds *mds, int stride,
                                      int pad, surge_md **chosen,
                                      surge_md **scratch);

surge_status surge_onednn_reorder(dnnl_primitive_t *primitive,
                                  const surge_md *from, const surge_md *to);

/* A memory object without data, for md; *memory is NULL where md is. */
surge_status surge_onednn_memory(dnnl_memory_t *memory, const surge_md *md);
surge_status surge_onednn_stream(dnnl_stream_t *stream);

/* Runs on the calling thread, whatever team it belongs to. `memory[i]` (NULL:
 * left out) takes `data[i]` and is bound to `argument[i]`. */
#define SURGE_ONEDNN_ARGUMENTS 5
surge_status surge_onednn_run(dnnl_primitive_t primitive, dnnl_stream_t stream,
                              const int *argument, const dnnl_memory_t *memory,
                              void *const *data);

#endif
