/* plot.c - figures by gnuplot (see plot.h). */
#include "src/report/plot.h"

#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIDTH 480 /* of a figure, in SVG's pixels; the PNG has twice as many */
#define HEIGHT 300
#define LINE 18 /* pixels of a line of the key */
#define LETTER 7

extern char **environ;

/* --- the program ---------------------------------------------------------- */

/* Runs gnuplot in `folder` on `script`; what it says goes to `said`. */
static surge_status run_gnuplot(const char *folder, const char *argument,
                                FILE *script, FILE *said, int *code) {
  char *arguments[] = {"gnuplot", (char *)argument, NULL};
  posix_spawn_file_actions_t actions;
  pid_t child;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder);
  if (script)
    posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(said), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(said), STDERR_FILENO);
  int fault =
      posix_spawnp(&child, "gnuplot", &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (fault)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "gnuplot: wanted the program that draws the figures (of "
                      "Debian's and Ubuntu's package gnuplot-nox), found: %s",
                      strerror(fault));
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  rewind(said);
  return SURGE_OK;
}

static surge_status temporary(FILE **file) {
  *file = tmpfile();
  if (*file) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "figures: wanted a temporary file, found: %s",
                    strerror(errno));
}

surge_status surge_plot_open(surge_plot *plot, const char *folder) {
  FILE *said;
  int code = 0;
  *plot = (surge_plot){0};
  snprintf(plot->folder, sizeof plot->folder, "%s", folder);
  SURGE_TRY(temporary(&said));
  surge_status status = run_gnuplot(".", "--version", NULL, said, &code);
  if (status == SURGE_OK && fgets(plot->version, sizeof plot->version, said))
    plot->version[strcspn(plot->version, "\n")] = 0;
  fclose(said);
  return status == SURGE_OK ? temporary(&plot->script) : status;
}

/* The first line that says something: gnuplot underlines what it quotes. */
static void first_words(FILE *said, char line[256]) {
  char text[256];
  *line = 0;
  while (fgets(text, sizeof text, said)) {
    text[strcspn(text, "\n")] = 0;
    if (strlen(text) > strspn(text, " ^")) snprintf(line, 256, "%s", text);
  }
}

/* A full disk does not show in gnuplot's exit code: what a file ends with
 * does. */
static bool ends_with(const char *path, const char *tail, size_t size) {
  char found[16];
  FILE *file = fopen(path, "rb");
  bool whole = file && fseek(file, -(long)size, SEEK_END) == 0 &&
               fread(found, 1, size, file) == size &&
               !memcmp(found, tail, size);
  if (file) fclose(file);
  return whole;
}

static surge_status check_files(const surge_plot *plot, const char *said) {
  static const struct {
    const char *extension, *tail;
    size_t size;
  } kinds[] = {{"svg", "</svg>\n\n", 8}, {"png", "IEND\xae\x42\x60\x82", 8}};
  for (int32_t i = 0; i < 2 * plot->count; i++) {
    char path[SURGE_PATH + 2 * SURGE_WORD + 8];
    snprintf(path, sizeof path, "%s/%s.%s", plot->folder,
             plot->figure[i / 2].name, kinds[i % 2].extension);
    if (!ends_with(path, kinds[i % 2].tail, kinds[i % 2].size))
      return SURGE_FAIL(
          SURGE_ERROR_DATA,
          "%s: wanted a whole figure, found none or a part of one "
          "(gnuplot: %s)",
          path, said);
  }
  return SURGE_OK;
}

surge_status surge_plot_draw(surge_plot *plot) {
  FILE *said;
  char line[256];
  int code = 0;
  if (fflush(plot->script) != 0 || ferror(plot->script))
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "figures: the temporary file could not be written: %s",
                      strerror(errno));
  SURGE_TRY(temporary(&said));
  rewind(plot->script);
  surge_status status =
      run_gnuplot(plot->folder, "-", plot->script, said, &code);
  first_words(said, line);
  fclose(said);
  if (status == SURGE_OK && code != 0)
    status = SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: wanted gnuplot to draw %d figures, found exit "
                        "code %d: %s",
                        plot->folder, (int)plot->count, code, line);
  return status == SURGE_OK ? check_files(plot, line) : status;
}

void surge_plot_close(surge_plot *plot) {
  if (plot->commands) fclose(plot->commands);
  if (plot->script) fclose(plot->script);
  free(plot->command);
  free(plot->figure);
  *plot = (surge_plot){0};
}

/* --- a figure ------------------------------------------------------------- */

static const char style[] =
    "reset\n"
    "set border 3 lw 1 lc rgb '#666666'\n"
    "set tics nomirror scale 0.5\n"
    "set grid ytics lw 1 lt 1 lc rgb '#d0888888'\n"
    "set key tmargin center horizontal Left reverse samplen 1.6 noenhanced\n";

surge_status surge_figure_begin(surge_plot *plot, const char *section,
                                const char *name, const char *caption, ...) {
  size_t size;
  surge_figure *more =
      realloc(plot->figure, (size_t)(plot->count + 1) * sizeof *more);
  if (more) plot->figure = more;
  free(plot->command);
  plot->command = NULL;
  plot->commands = open_memstream(&plot->command, &size);
  if (!more || !plot->commands)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for a figure", name);
  surge_figure *figure = &plot->figure[plot->count++];
  *figure = (surge_figure){.section = section};
  snprintf(figure->name, sizeof figure->name, "%s", name);
  va_list arguments;
  va_start(arguments, caption);
  vsnprintf(figure->caption, sizeof figure->caption, caption, arguments);
  va_end(arguments);
  plot->series = plot->entries = plot->longest = 0;
  plot->height = HEIGHT;
  fputs(style, plot->script);
  return SURGE_OK;
}

void surge_figure_block(surge_plot *plot) {
  fprintf(plot->script, "$block%d << END\n", (int)++plot->blocks);
}

void surge_figure_end_block(surge_plot *plot) { fputs("END\n", plot->script); }

/* In gnuplot's single quotes only a quote is special. */
static void quote(FILE *file, const char *text) {
  fputc('\'', file);
  for (; *text; text++) {
    if (*text == '\'') fputc('\'', file);
    fputc(*text, file);
  }
  fputc('\'', file);
}

void surge_figure_series(surge_plot *plot, const char *title, const char *how,
                         ...) {
  va_list arguments;
  fprintf(plot->commands, "%s $block%d ", plot->series++ ? "," : "plot",
          (int)plot->blocks);
  va_start(arguments, how);
  vfprintf(plot->commands, how, arguments);
  va_end(arguments);
  if (!title) {
    fputs(" notitle", plot->commands);
    return;
  }
  fputs(" title ", plot->commands);
  quote(plot->commands, title);
  int32_t length = (int32_t)strlen(title);
  plot->entries++;
  if (length > plot->longest) plot->longest = length;
}

/* The key stands above the graph: the figure grows by its lines. */
surge_status surge_figure_end(surge_plot *plot) {
  int32_t a_line = (WIDTH - 20) / (LETTER * plot->longest + 50);
  if (a_line < 1) a_line = 1;
  int32_t height =
      plot->height + LINE * ((plot->entries + a_line - 1) / a_line);
  const char *name = plot->figure[plot->count - 1].name;
  fclose(plot->commands);
  plot->commands = NULL;
  fprintf(
      plot->script,
      "set terminal svg size %d,%d dynamic noenhanced font "
      "'sans-serif,13'\nset output '%s.svg'\n%s\n"
      "set terminal pngcairo size %d,%d noenhanced font 'sans,13' fontscale "
      "2 linewidth 2 pointscale 2\nset output '%s.png'\nreplot\n"
      "unset output\n",
      WIDTH, (int)height, name, plot->command, 2 * WIDTH, (int)(2 * height),
      name);
  if (!ferror(plot->script)) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "figures: the temporary file could not be written");
}

/* Epochs are whole numbers, few of them labelled. */
void surge_plot_epochs(surge_plot *plot, int32_t first, int32_t last) {
  int32_t step = 1; /* then 2, 5, 10, 20, 50, ... */
  for (int i = 0; (last - first) / step > 10; i++)
    step = i % 3 == 1 ? step / 2 * 5 : step * 2;
  double margin = 0.02 * (last - first) + 0.05;
  fprintf(plot->script,
          "set xlabel 'epoch'\nset xtics %d\nset xrange [%g:%g]\n", (int)step,
          first - margin, last + margin);
}

/* --- colours -------------------------------------------------------------- */

#define HUES 8

static unsigned between(unsigned a, unsigned b, double share) {
  unsigned colour = 0;
  for (int shift = 0; shift <= 16; shift += 8) {
    double x = a >> shift & 255, y = b >> shift & 255;
    colour |= (unsigned)(x + share * (y - x) + 0.5) << shift;
  }
  return colour;
}

unsigned surge_plot_colour(int32_t i, int32_t n) {
  static const unsigned hues[HUES] = {0x2a78d6, 0xe0672e, 0x119a6b, 0x8a63d2,
                                      0xb58900, 0xd6568f, 0x1c9fb0, 0x7a7a7a};
  if (n <= HUES) return hues[i];
  double share = 2.0 * i / (n - 1); /* blue, then pink, then orange */
  return share < 1 ? between(hues[0], hues[5], share)
                   : between(hues[5], hues[1], share - 1);
}

int surge_plot_point(int32_t i) {
  static const int shapes[] = {7, 5, 9, 13, 11, 6, 4, 8};
  return shapes[i % 8];
}
