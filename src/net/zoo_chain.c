/* zoo_chain.c - networks whose layers follow one another. */
#include "src/net/zoo.h"

void surge_zoo_mlp(surge_zoo *zoo) {
  surge_zoo_hidden(zoo);
  surge_zoo_classifier(zoo, true);
}

void surge_zoo_convnet(surge_zoo *zoo) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  for (int32_t i = 0; i < m->channel_count; i++) {
    surge_zoo_conv_neuron(zoo, m->channels[i], m->kernel, 1);
    if (m->pool[i]) surge_zoo_pool(zoo);
  }
  surge_zoo_classifier(zoo, true);
}

/* A 3x3 convolution for each of model.channels; where `pools` has a P, it is
 * pooled. */
static void add_convolutions(surge_zoo *zoo, const char *pools) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  for (int32_t i = 0; i < m->channel_count; i++) {
    surge_zoo_conv_neuron(zoo, m->channels[i], 3, 1);
    if (pools[i] == 'P') surge_zoo_pool(zoo);
  }
}

static void add_chain(surge_zoo *zoo, const char *pools) {
  add_convolutions(zoo, pools);
  surge_zoo_hidden(zoo);
  surge_zoo_classifier(zoo, true);
}

/* CIFARNet of Wu et al., "Direct training for spiking neural networks: faster,
 * larger, better" (AAAI 2019), table 2: five convolutions, two hidden ones. */
void surge_zoo_cifarnet(surge_zoo *zoo) { add_chain(zoo, "-PP--"); }

/* Configurations A and D of Simonyan and Zisserman (2015) as papers on spiking
 * networks have them for CIFAR: 512 features of one pixel, one linear layer
 * (models/vggcifar.py of github.com/yfguo91/MPBN, Guo et al., ICCV 2023). */
void surge_zoo_vgg11(surge_zoo *zoo) { add_chain(zoo, "PP-P-P-P"); }
void surge_zoo_vgg16(surge_zoo *zoo) { add_chain(zoo, "-P-P--P--P--P"); }

/* VGGSNN of Deng et al., "Temporal efficient training" (ICLR 2022), for event
 * data (models/VGG_models.py of its code). */
void surge_zoo_vggsnn(surge_zoo *zoo) { add_chain(zoo, "-P-P-P-P"); }

/* Fang et al., "Incorporating learnable membrane time constant to enhance
 * learning of spiking neural networks" (ICCV 2021), table 1: the six
 * convolutions for CIFAR-10 are pooled after every third, those for other data
 * sets, two to five, after each. Linear layers have neither norm nor bias
 * (codes/models.py of its code); it reads out the rates of 10 neurons a class,
 * readout: spikes with vote: 10 (SpikingJelly's VotingLayer). */
void surge_zoo_plif_net(surge_zoo *zoo) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  add_convolutions(zoo, m->channel_count == 6 ? "--P--P" : "PPPPP");
  surge_zoo_dropout(zoo);
  surge_zoo_append(zoo, SURGE_LAYER_LINEAR)->out = m->hidden[0];
  surge_zoo_neuron(zoo);
  surge_zoo_classifier(zoo, false);
}
