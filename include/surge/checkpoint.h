/* checkpoint.h - named tensors in a safetensors file.
 *
 * Format: u64 LE header size, JSON header, data; readable by the safetensors
 * package of Python, and so by PyTorch. Files appear whole or not at all
 * (written beside, flushed, renamed). */
#ifndef SURGE_CHECKPOINT_H
#define SURGE_CHECKPOINT_H

#include <surge/status.h>
#include <surge/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SURGE_MAX_RANK 6

typedef struct surge_named_tensor {
  const char *name; /* "conv1.weight", "optim.m.conv1.weight", ...    */
  surge_dtype dtype;
  int32_t rank;
  int64_t shape[SURGE_MAX_RANK];
  const void *data; /* host, C order                                  */
} surge_named_tensor;

typedef struct surge_text_pair {
  const char *key, *value; /* UTF-8                                          */
} surge_text_pair;

/* Bytes of one tensor's data. */
size_t surge_named_tensor_bytes(const surge_named_tensor *tensor);

/* Writes tensors in the order given, and the `__metadata__` pairs.
 * SURGE_ERROR_DATA where the folder cannot be written or is full: an older
 * file of that name is then still whole. */
surge_status surge_safetensors_write(const char *path,
                                     const surge_named_tensor *tensors,
                                     size_t tensor_count,
                                     const surge_text_pair *metadata,
                                     size_t metadata_count);

/* A file read into memory, checked: header, offsets inside the file, no
 * overlap, sizes that match shape and type. */
typedef struct surge_safetensors {
  surge_named_tensor *tensors; /* data points into the file's bytes           */
  size_t tensor_count;
  surge_text_pair *metadata;
  size_t metadata_count;
  void *bytes;
} surge_safetensors;

surge_status surge_safetensors_read(surge_safetensors *file, const char *path);
void surge_safetensors_free(surge_safetensors *file);

/* The tensor of that name, or NULL. */
const surge_named_tensor *surge_safetensors_find(const surge_safetensors *file,
                                                 const char *name);
/* The metadata value of that key, or NULL. */
const char *surge_safetensors_text(const surge_safetensors *file,
                                   const char *key);

#ifdef __cplusplus
}
#endif
#endif
