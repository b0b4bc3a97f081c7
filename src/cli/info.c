/* info.c - `surge info`: what is in a checkpoint. */
#include <string.h>
#include <sys/stat.h>

#include "src/cli/cli.h"

static void print_tensor(const surge_named_tensor *t) {
  static const char *const types[] = {
#define WORD(NAME, bytes) #NAME,
      SURGE_DTYPE_LIST(WORD)
#undef WORD
  };
  char shape[96] = "";
  size_t used = 0;
  for (int32_t i = 0; i < t->rank; i++)
    used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld",
                             i ? "x" : "", (long long)t->shape[i]);
  printf("  %-40s %-4s %-18s %12zu\n", t->name, types[t->dtype], shape,
         surge_named_tensor_bytes(t));
}

static void print_file(const surge_safetensors *file) {
  size_t bytes = 0;
  for (size_t i = 0; i < file->metadata_count; i++)
    if (strcmp(file->metadata[i].key, "recipe") != 0)
      printf("%-16s %s\n", file->metadata[i].key, file->metadata[i].value);
  printf("tensors          name, type, shape, bytes\n");
  for (size_t i = 0; i < file->tensor_count; i++) {
    print_tensor(&file->tensors[i]);
    bytes += surge_named_tensor_bytes(&file->tensors[i]);
  }
  printf("  %zu tensors, %zu bytes\n", file->tensor_count, bytes);
  const char *recipe = surge_safetensors_text(file, "recipe");
  if (recipe) printf("recipe\n%s", recipe);
}

surge_status cli_info(int argc, char **argv) {
  cli_options o;
  struct stat info;
  char path[SURGE_PATH];
  surge_safetensors file = {0};
  SURGE_TRY(cli_parse(&o, argc, argv, "", 1, 1));
  bool folder = stat(o.positional[0], &info) == 0 && S_ISDIR(info.st_mode);
  snprintf(path, sizeof path, "%s%s", o.positional[0],
           folder ? "/checkpoint_last.safetensors" : "");
  surge_status status = surge_safetensors_read(&file, path);
  if (status == SURGE_OK) print_file(&file);
  surge_safetensors_free(&file);
  return status;
}
