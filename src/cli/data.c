/* data.c - `surge data`: what is in data, without a network. */
#include <string.h>

#include "src/cli/cli.h"
#include "src/data/recording.h"

static surge_status print_line(void *user, const char *line) {
  (void)user;
  printf("%s\n", line);
  return SURGE_OK;
}

static surge_status preview(const cli_options *o) {
  surge_recipe recipe;
  int count = o->count == CLI_UNSET ? 8 : o->count;
  if (!o->out)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge data preview: wanted --out FILE.png, found none");
  if (count < 1 || count > 256)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "--count: wanted 1 to 256, found %d",
                      count);
  surge_status status =
      surge_recipe_read(&recipe, o->positional[1], o->overrides);
  if (status == SURGE_OK)
    status = surge_preview(&recipe, count, o->out, print_line, NULL);
  surge_recipe_free(&recipe);
  if (status == SURGE_OK) printf("%s\n", o->out);
  return status;
}

/* The list ends with a NULL: there is room for one more. */
static surge_status check(const cli_options *o) {
  return surge_events_check(o->positional + 1, o->out, print_line, NULL);
}

/* Reads recording `index` of a file; one of several has to be chosen. */
static surge_status read_recording(surge_events *events, const char *path,
                                   int index) {
  surge_events_file *file;
  SURGE_TRY(surge_events_open(&file, path));
  size_t count = surge_events_file_info(file)->recordings;
  surge_status status = SURGE_OK;
  if (index == CLI_UNSET && count != 1)
    status = SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "%s: wanted --recording n, one of its %zu, found none",
                        path, count);
  else if (index != CLI_UNSET)
    status = surge_events_select(file, (size_t)index);
  if (status == SURGE_OK) status = surge_events_rest(file, events);
  surge_events_close(file);
  return status;
}

static bool is_frame_key(const char *override) {
  static const char *const keys[] = {
      "T=",           "data.split_by=", "data.size=", "data.duration_us=",
      "data.counts=", "data.sensor="};
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    if (!strncmp(override, keys[k], strlen(keys[k]))) return true;
  return false;
}

/* Of a recipe, frames need these keys and no more; events need none. */
static surge_status check_keys(const cli_options *o) {
  if (!o->frames && o->overrides[0])
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "-T and --set: wanted --frames beside them, found none");
  for (int i = 0; o->overrides[i]; i++)
    if (!is_frame_key(o->overrides[i]))
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "--frames: wanted T, data.split_by, duration_us, size, "
                        "counts or sensor, found %s",
                        o->overrides[i]);
  return SURGE_OK;
}

static surge_status convert_to_frames(const surge_events *events,
                                      const cli_options *o) {
  const char *out = o->positional[2];
  static const char defaults[] = "{data: {set: event_folder}}";
  surge_recipe recipe;
  surge_dataset_info info;
  surge_status status =
      surge_recipe_parse(&recipe, "surge data convert", defaults,
                         sizeof defaults - 1, o->overrides);
  if (status == SURGE_OK)
    status =
        surge_recording_convert(events, o->positional[1], &recipe, out, &info);
  if (status == SURGE_OK)
    printf("%s: %d frames of %d x %d, %zu events\n", out, info.steps, info.w,
           info.h, events->count);
  surge_recipe_free(&recipe);
  return status;
}

static surge_status convert_to_events(const surge_events *events,
                                      const cli_options *o) {
  const char *out = o->positional[2];
  SURGE_TRY(surge_events_write_npz(events, out));
  printf("%s: %zu events\n", out, events->count);
  return SURGE_OK;
}

static surge_status convert(const cli_options *o) {
  surge_events events = {0};
  SURGE_TRY(check_keys(o));
  surge_status status = read_recording(&events, o->positional[1], o->recording);
  if (status == SURGE_OK)
    status = o->frames ? convert_to_frames(&events, o)
                       : convert_to_events(&events, o);
  surge_events_free(&events);
  return status;
}

surge_status cli_data(int argc, char **argv) {
  static const struct {
    const char *name;
    surge_status (*run)(const cli_options *o);
    const char *options;
    int min, max; /* arguments, the name among them */
  } verbs[] = {
      {"preview", preview, "set out count seed threads", 2, 2},
      {"check", check, "out", 2, CLI_MAX - 1},
      {"convert", convert, "recording frames set T", 3, 3},
  };
  const char *name = argc > 1 ? argv[1] : "nothing";
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    cli_options o;
    if (strcmp(name, verbs[i].name)) continue;
    SURGE_TRY(cli_parse(&o, argc, argv, verbs[i].options, verbs[i].min,
                        verbs[i].max));
    return verbs[i].run(&o);
  }
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "surge data: wanted preview, check or convert, found %s",
                    name);
}
