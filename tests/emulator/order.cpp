/* order.cpp - the seeded choices: blocks of a grid, threads of a block, streams
 * (SplitMix64). */
#include "tests/emulator/internal.h"

namespace surge_emulator {

static uint64_t first_state(void) {
  const char *text = getenv("SURGE_EMULATOR_SEED");
  return text != nullptr ? strtoull(text, nullptr, 10) : 1;
}

static uint64_t state = first_state();

void seed(uint64_t value) { state = value; }

static uint64_t next(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t draw(uint64_t below) { return (next() >> 11) % below; }

void order(std::vector<uint32_t> &numbers, uint32_t count) {
  numbers.resize(count);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t other = (uint32_t)(((next() >> 32) * (i + 1)) >> 32);
    numbers[i] = numbers[other];
    numbers[other] = i;
  }
}

} /* namespace surge_emulator */
