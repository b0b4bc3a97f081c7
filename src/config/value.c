/* value.c - one value of a recipe: its text, its field, its description.
 *
 * Numbers are taken by YAML 1.2's core schema without its hexadecimal, octal,
 * infinite and not-a-number forms: strto* would accept more than a recipe
 * should. */
#include "src/config/value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

surge_numbers surge_numbers_begin(void) {
  surge_numbers numbers = {newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), NULL};
  numbers.before = uselocale(numbers.plain); /* NULL changes nothing */
  return numbers;
}

void surge_numbers_end(const surge_numbers *numbers) {
  uselocale(numbers->before);
  if (numbers->plain) freelocale(numbers->plain);
}

bool surge_value_is_list(const surge_key *key) {
  return key->type == SURGE_KEY_INTS || key->type == SURGE_KEY_BOOLS ||
         key->type == SURGE_KEY_NAMES;
}

/* ======================================================================== *
 *  Text -> field
 * ======================================================================== */

static size_t digits(const char **text) {
  size_t count = 0;
  for (; isdigit((unsigned char)**text); (*text)++) count++;
  return count;
}

/* [-+]?[0-9]+, and unless `integer` [.][0-9]* and [eE][-+]?[0-9]+. */
static bool is_number(const char *text, bool integer) {
  if (*text == '-' || *text == '+') text++;
  size_t mantissa = digits(&text);
  if (!integer && *text == '.') {
    text++;
    mantissa += digits(&text);
  }
  if (mantissa == 0) return false;
  if (!integer && (*text == 'e' || *text == 'E')) {
    text++;
    if (*text == '-' || *text == '+') text++;
    if (digits(&text) == 0) return false;
  }
  return *text == 0;
}

static bool in_range(const surge_key *key, double value) {
  return isfinite(value) &&
         (key->low_open ? value > key->low : value >= key->low) &&
         (key->high_open ? value < key->high : value <= key->high);
}

static const surge_word *find_word(const surge_word *words, const char *text) {
  for (; words && words->text; words++)
    if (strcmp(words->text, text) == 0) return words;
  return NULL;
}

static bool read_integer(const surge_key *key, void *field, const char *text,
                         bool plain) {
  const surge_word *word = find_word(key->words, text);
  int64_t value = word ? word->value : 0;
  if (!word) {
    if (!plain || !is_number(text, true)) return false;
    errno = 0;
    value = strtoll(text, NULL, 10);
    if (errno == ERANGE || !in_range(key, (double)value)) return false;
  }
  if (key->type == SURGE_KEY_LONG) {
    memcpy(field, &value, sizeof value);
  } else {
    int32_t narrow = (int32_t)value; /* the rows' ranges are within 32 bits */
    memcpy(field, &narrow, sizeof narrow);
  }
  return true;
}

/* Too large for the type is infinite, too small 0: neither is what was meant.
 * Floats are rounded once, from the text. */
static bool read_real(const surge_key *key, void *field, const char *text,
                      bool plain) {
  const surge_word *word = find_word(key->words, text);
  bool narrow = key->type == SURGE_KEY_FLOAT;
  if (!word && (!plain || !is_number(text, false))) return false;
  double value = word     ? (double)word->value
                 : narrow ? (double)strtof(text, NULL)
                          : strtod(text, NULL);
  size_t mantissa = strcspn(text, "eE");
  bool lost = value == 0 && strcspn(text, "123456789") < mantissa;
  if (!word && (lost || !in_range(key, value))) return false;
  float single = (float)value;
  if (narrow)
    memcpy(field, &single, sizeof single);
  else
    memcpy(field, &value, sizeof value);
  return true;
}

static bool read_bool(void *field, const char *text, bool plain) {
  bool value = strcmp(text, "true") == 0;
  if (!plain || (!value && strcmp(text, "false") != 0)) return false;
  memcpy(field, &value, sizeof value);
  return true;
}

/* By ASCII alone: the answer is the same in every locale. */
static bool fits_charset(surge_key_type type, const char *text) {
  for (const char *c = text; *c; c++) {
    char lower = (char)(*c | 0x20);
    bool letter = lower >= 'a' && lower <= 'z';
    bool word = letter || isdigit((unsigned char)*c) || *c == '_';
    bool label = word || (c > text && (*c == '.' || *c == '-'));
    bool control = (unsigned char)*c < 0x20 || *c == 0x7f;
    bool good = type == SURGE_KEY_TEXT    ? !control
                : type == SURGE_KEY_LABEL ? label
                                          : word;
    if (!good) return false;
  }
  return *text || type == SURGE_KEY_TEXT;
}

/* Entry `index` of NAMES is appended behind a comma. */
static bool read_text(const surge_key *key, char *field, int32_t index,
                      const char *text) {
  size_t used = index ? strlen(field) : 0, length = strlen(text);
  if (!fits_charset(key->type, text)) return false;
  if (used + (index != 0) + length >= (size_t)key->capacity) return false;
  if (index) field[used++] = ',';
  memset(field + used, 0, (size_t)key->capacity - used);
  memcpy(field + used, text, length);
  return true;
}

bool surge_value_read(const surge_key *key, void *base, int32_t index,
                      const char *text, bool plain) {
  char *field = (char *)base + key->offset;
  const surge_word *word;
  switch (key->type) {
    case SURGE_KEY_BOOL:
    case SURGE_KEY_BOOLS:
      return read_bool(field + (size_t)index * sizeof(bool), text, plain);
    case SURGE_KEY_INT:
    case SURGE_KEY_INTS:
    case SURGE_KEY_LONG:
      return read_integer(key, field + (size_t)index * sizeof(int32_t), text,
                          plain);
    case SURGE_KEY_FLOAT:
    case SURGE_KEY_DOUBLE: return read_real(key, field, text, plain);
    case SURGE_KEY_WORD:
      word = find_word(key->words, text);
      if (word) memcpy(field, &word->value, sizeof word->value);
      return word != NULL;
    case SURGE_KEY_NAME:
    case SURGE_KEY_LABEL:
    case SURGE_KEY_TEXT:
    case SURGE_KEY_NAMES: return read_text(key, field, index, text);
    case SURGE_KEY_SECTION:
    case SURGE_KEY_LAYERS: break;
  }
  return false;
}

void surge_value_end_list(const surge_key *key, void *base, int32_t count) {
  if (key->type == SURGE_KEY_NAMES) return;
  size_t item = key->type == SURGE_KEY_BOOLS ? sizeof(bool) : sizeof(int32_t);
  size_t used = (size_t)count * item, all = (size_t)key->capacity * item;
  memset((char *)base + key->offset + used, 0, all - used);
  memcpy((char *)base + key->count_offset, &count, sizeof count);
}

void surge_value_reset(const surge_key *key, void *base) {
  if (!key->standard || key->type == SURGE_KEY_LAYERS) return;
  bool good = true;
  if (key->standard[0] == '[') { /* the table's lists are this simple */
    char text[SURGE_MAX_PHRASE], *rest = text;
    snprintf(text, sizeof text, "%s", key->standard);
    int32_t count = 0;
    for (char *item; (item = strtok_r(rest, "[, ]", &rest)); count++)
      good = good && surge_value_read(key, base, count, item, true);
    surge_value_end_list(key, base, count);
  } else {
    good = surge_value_read(key, base, 0, key->standard, true);
  }
  assert(good);
  (void)good;
}

/* ======================================================================== *
 *  Field -> text
 * ======================================================================== */

/* The shortest decimal that reads back to the same bits. */
static void write_float(float value, FILE *file) {
  char best[32] = "", text[32];
  for (int precision = 9; precision >= 1; precision--) {
    snprintf(text, sizeof text, "%.*g", precision, (double)value);
    if (strtof(text, NULL) != value) break;
    if (!best[0] || strlen(text) <= strlen(best)) strcpy(best, text);
  }
  fputs(best, file);
}

/* Text may hold anything printable, so it always stands in quotes. */
static void write_quoted(const char *text, FILE *file) {
  fputc('"', file);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', file);
    fputc(*text, file);
  }
  fputc('"', file);
}

static void write_names(const char *names, FILE *file) {
  if (strcmp(names, "all") == 0) {
    fputs(names, file);
    return;
  }
  fputc('[', file);
  for (; *names; names++) {
    fputc(*names, file);
    if (*names == ',') fputc(' ', file);
  }
  fputc(']', file);
}

/* A bool or 32-bit integer, or entry `index` of a list of them. */
static int32_t field_integer(const surge_key *key, const void *base,
                             int32_t index) {
  const char *field = (const char *)base + key->offset;
  if (key->type == SURGE_KEY_BOOL || key->type == SURGE_KEY_BOOLS) {
    bool value;
    memcpy(&value, field + (size_t)index * sizeof value, sizeof value);
    return value;
  }
  int32_t value;
  memcpy(&value, field + (size_t)index * sizeof value, sizeof value);
  return value;
}

static void write_list(const surge_key *key, const void *base, FILE *file) {
  int32_t count;
  memcpy(&count, (const char *)base + key->count_offset, sizeof count);
  fputc('[', file);
  for (int32_t i = 0; i < count; i++) {
    int32_t value = field_integer(key, base, i);
    if (i) fputs(", ", file);
    if (key->type == SURGE_KEY_BOOLS)
      fputs(value ? "true" : "false", file);
    else
      fprintf(file, "%d", value);
  }
  fputc(']', file);
}

static void write_number(const surge_key *key, const void *field, FILE *file) {
  union {
    int32_t narrow;
    int64_t wide;
    float single;
    double twice;
  } value;
  const char *word = NULL;
  switch (key->type) {
    case SURGE_KEY_LONG:
      memcpy(&value.wide, field, sizeof value.wide);
      fprintf(file, "%lld", (long long)value.wide);
      return;
    case SURGE_KEY_FLOAT:
      memcpy(&value.single, field, sizeof value.single);
      word = surge_word_of(key->words, (double)value.single);
      if (word)
        fputs(word, file);
      else
        write_float(value.single, file);
      return;
    case SURGE_KEY_DOUBLE:
      memcpy(&value.twice, field, sizeof value.twice);
      fprintf(file, "%.9g", value.twice);
      return;
    default:
      memcpy(&value.narrow, field, sizeof value.narrow);
      word = surge_word_of(key->words, value.narrow);
      if (word)
        fputs(word, file);
      else
        fprintf(file, "%d", value.narrow);
  }
}

void surge_value_write(const surge_key *key, const void *base, FILE *file) {
  const char *field = (const char *)base + key->offset;
  switch (key->type) {
    case SURGE_KEY_BOOL:
      fputs(field_integer(key, base, 0) ? "true" : "false", file);
      break;
    case SURGE_KEY_NAME:
    case SURGE_KEY_LABEL: fputs(field, file); break;
    case SURGE_KEY_TEXT: write_quoted(field, file); break;
    case SURGE_KEY_NAMES: write_names(field, file); break;
    case SURGE_KEY_INTS:
    case SURGE_KEY_BOOLS: write_list(key, base, file); break;
    default: write_number(key, field, file);
  }
}

/* ======================================================================== *
 *  What a value looks like, in words
 * ======================================================================== */

static void append(char phrase[SURGE_MAX_PHRASE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(char phrase[SURGE_MAX_PHRASE], const char *format, ...) {
  size_t used = strlen(phrase);
  va_list args;
  va_start(args, format);
  vsnprintf(phrase + used, SURGE_MAX_PHRASE - used, format, args);
  va_end(args);
}

static void append_range(const surge_key *key, char phrase[SURGE_MAX_PHRASE]) {
  if (isinf(key->low) && isinf(key->high)) return;
  append(phrase, " in %c%.10g, %.10g%c", key->low_open ? '(' : '[', key->low,
         key->high, key->high_open || isinf(key->high) ? ')' : ']');
}

static void append_words(const surge_key *key, const char *first,
                         char phrase[SURGE_MAX_PHRASE]) {
  for (const surge_word *word = key->words; word && word->text; word++)
    append(phrase, "%s%s", word == key->words ? first : ", ", word->text);
}

void surge_value_wanted(const surge_key *key, char phrase[SURGE_MAX_PHRASE]) {
  static const char *const nouns[] = {
      [SURGE_KEY_SECTION] = "a mapping of keys",
      [SURGE_KEY_BOOL] = "true or false",
      [SURGE_KEY_INT] = "an integer",
      [SURGE_KEY_LONG] = "an integer",
      [SURGE_KEY_FLOAT] = "a number",
      [SURGE_KEY_DOUBLE] = "a number",
      [SURGE_KEY_WORD] = "",
      [SURGE_KEY_NAME] = "a name of letters, digits and _",
      [SURGE_KEY_LABEL] = "a name of letters, digits, _ and, inside, . and -",
      [SURGE_KEY_TEXT] = "a text without control characters",
      [SURGE_KEY_INTS] = "a list of integers",
      [SURGE_KEY_BOOLS] = "a list of true and false",
      [SURGE_KEY_NAMES] = "all or a list of layer names",
      [SURGE_KEY_LAYERS] = "a list of layers",
  };
  phrase[0] = 0;
  append(phrase, "%s", nouns[key->type]);
  switch (key->type) {
    case SURGE_KEY_WORD: append_words(key, "one of ", phrase); break;
    case SURGE_KEY_INTS:
    case SURGE_KEY_INT:
    case SURGE_KEY_LONG:
    case SURGE_KEY_FLOAT:
    case SURGE_KEY_DOUBLE:
      append_range(key, phrase);
      append_words(key, " or ", phrase);
      break;
    default: break;
  }
  if (key->type == SURGE_KEY_INTS || key->type == SURGE_KEY_BOOLS)
    append(phrase, ", %d at most", key->capacity);
  else if (key->type == SURGE_KEY_LAYERS)
    append(phrase, ", %d at most", SURGE_MAX_LAYERS);
  else if (key->capacity)
    append(phrase, ", %d characters at most", key->capacity - 1);
}
