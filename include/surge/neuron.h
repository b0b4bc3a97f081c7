/* neuron.h - what a spiking layer is: the words a recipe may say of it.
 *
 * One neuron, steps t = 0..T-1, current a[t], v[-1] = v_in, i[-1] = i_in (both
 * 0 by default):
 *
 *     i[t] = d_s*i[t-1] + a[t]                  two roundings, never fused;
 *                                               without a synapse i[t] = a[t]
 *     u[t] = d*v[t-1] + i[t]                    two roundings, never fused
 *     s[t] = u[t] >= theta                      equality fires
 *     v[t] = s[t] ? v_reset : u[t]              hard reset
 *     v[t] = u[t] - theta*s[t]                  soft reset
 *
 * d is the decay factor (1 - 1/tau); with `decay_input` the current is first
 * scaled by 1/tau = 1 - d. The leak goes to 0 and v starts at 0 also when
 * v_reset is not 0. d_s is the decay factor of the synapse (current-based LIF,
 * CUBA): i holds the current of the step at hand already, as in snnTorch's
 * Synaptic and, with decay_input, in Norse's LIF; in Neftci 2019, eq. 5, and
 * Cramer 2020 u reads i[t-1], a step later. Formulas: kernels/shared/, one place for all backends. */
#ifndef SURGE_NEURON_H
#define SURGE_NEURON_H

#include <stdbool.h>
#include <stdint.h>

/* Surrogate families: word of the recipe, and c, the half-width that for w = 1
 * holds half of the mass. The formulas stand beside this list's other half,
 * kernels/shared/surrogate.h. */
#define SURGE_FAMILY_LIST(X)                                                   \
  X(RECTANGULAR, rectangular, 0.25)                                            \
  X(TRIANGULAR, triangular, 0.29289321881345254)                               \
  X(ARCTAN, arctan, 0.6366197723675814)                                        \
  X(SIGMOID, sigmoid, 1.0986122886681098)                                      \
  X(GAUSSIAN, gaussian, 0.6744897501960817)                                    \
  X(FAST_SIGMOID, fast_sigmoid, 1.0)

typedef enum surge_family {
#define SURGE_FAMILY_ENUM(NAME, word, half) SURGE_##NAME,
  SURGE_FAMILY_LIST(SURGE_FAMILY_ENUM)
#undef SURGE_FAMILY_ENUM
} surge_family;
#define SURGE_FAMILY_COUNT 6

typedef enum surge_reset { SURGE_RESET_HARD, SURGE_RESET_SOFT } surge_reset;

/* g of SURGE_WIDTH_NORM, detached. A neuron that reads one norm: g is the mean
 * over channels of its gamma, as published: whatever the norm's alpha, and
 * whatever plain input is added to it (the identity blocks of ResNet-19).
 * Two norms are SURGE's extension: variances of independent inputs add, and
 * each has alpha = 1/sqrt(2) there (tdBN), so g = sqrt((g0^2 + g1^2)/2). Equal
 * gammas thus give the width of one norm. Each g is at least 1e-3. */
typedef enum surge_width_rule {
  SURGE_WIDTH_FIXED,   /* w as given                                          */
  SURGE_WIDTH_LEARNED, /* PSG: w = exp(rho), rho trained (Wang 2023)          */
  SURGE_WIDTH_DECAY,   /* LSG (Lian 2023): w_rect = 2 theta sqrt(1 + d^2)     */
  SURGE_WIDTH_NORM,    /* MPD-AGL (Jiang 2025): w_rect = 2 g theta at t = 0,  */
                       /* 2 sqrt(1 + d^2) g theta after; g as above           */
  SURGE_WIDTH_SCHEDULE /* geometric from width to width_end over the run      */
} surge_width_rule;

typedef enum surge_granularity {
  SURGE_PER_LAYER,
  SURGE_PER_CHANNEL
} surge_granularity;

typedef enum surge_pda_kind {
  SURGE_PDA_OFF,
  SURGE_PDA_MOMENT,      /* symmetric KL of N(m, s^2) and the target Gaussian */
  SURGE_PDA_QUANTIZATION /* symmetric KL of soft spike and spike, an element  */
} surge_pda_kind;

/* Constants of one spiking layer. What training changes (rho, the decay's
 * logit) lives in parameter tensors, never here. */
typedef struct surge_neuron_spec {
  float decay;          /* d in [0, 1]; 1 is IF; start value where learned */
  bool decay_learned;   /* d = sigmoid(p), one p a layer (PLIF, Fang 2021) */
  bool decay_input;     /* the current is scaled by 1 - d */
  float synapse_decay;  /* d_s in [0, 1); 0: no synapse; start value likewise */
  bool synapse_learned; /* d_s = sigmoid(p), one p a layer */
  float v_threshold;    /* theta > 0 */
  float v_reset;        /* where a hard reset goes */
  surge_reset reset;
  bool detach_reset; /* no gradient through the reset */
  bool soft_forward; /* emit S_w(x) instead of the step: the smooth twin */

  surge_family family;
  surge_width_rule width_rule;
  surge_granularity granularity; /* of the learned width */
  float width;     /* w > 0; start value where learned or scheduled */
  float width_end; /* of SURGE_WIDTH_SCHEDULE */
  float width_min, width_max; /* floor and ceiling of the learned width */

  surge_pda_kind pda;
  surge_granularity pda_granularity; /* of the moments */
  float pda_mean;                    /* mu0 */
  float pda_std;                     /* s0 > 0, or 0: theta sqrt(1 + d^2) */
  float pda_epsilon; /* clip of p and q in the quantization kind */
} surge_neuron_spec;

#endif
