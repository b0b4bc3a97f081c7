/* zoo.h - networks by name, as the lists of layers that they stand for.
 *
 *   zoo.c         what networks are made of, and which function makes which
 *   zoo_chain.c   networks without branches: mlp, convnet, cifarnet, VGG, PLIF
 *   zoo_resnet.c  residual networks of the three wirings
 *
 * What they have by default is in src/config/networks.c. */
#ifndef SURGE_NET_ZOO_H
#define SURGE_NET_ZOO_H

#include "src/net/model.h"

/* A list in the making. A new layer reads the layer `at`, that is the one added
 * last unless a branch has set it to another; -1 is the image. */
typedef struct surge_zoo {
  const surge_recipe *recipe;
  surge_layer_spec *specs;
  int32_t count, capacity, at;
  int32_t number[SURGE_LAYER_INTEGRATOR + 1]; /* layers of each kind so far */
  bool failed;                                /* no memory                  */
} surge_zoo;

/* Appends a layer with stride 1 and the recipe's neuron; valid until the next
 * one is appended. */
surge_layer_spec *surge_zoo_append(surge_zoo *zoo, surge_layer_kind kind);

void surge_zoo_neuron(surge_zoo *zoo);
/* A convolution padded to keep the map's size at stride 1, and its norm; it has
 * a bias where model.norm is none. */
void surge_zoo_conv(surge_zoo *zoo, int32_t out, int32_t kernel,
                    int32_t stride);
/* The same and a neuron. */
void surge_zoo_conv_neuron(surge_zoo *zoo, int32_t out, int32_t kernel,
                           int32_t stride);
/* Of the kind that model.pooling says, 2x2. */
void surge_zoo_pool(surge_zoo *zoo);
/* model.dropout, if that is not 0. */
void surge_zoo_dropout(surge_zoo *zoo);
/* linear-norm-neuron of each of model.hidden. */
void surge_zoo_hidden(surge_zoo *zoo);
/* Dropout and the linear layer whose outputs are the classes. */
void surge_zoo_classifier(surge_zoo *zoo, bool bias);

void surge_zoo_mlp(surge_zoo *zoo);
void surge_zoo_convnet(surge_zoo *zoo);
void surge_zoo_cifarnet(surge_zoo *zoo);
void surge_zoo_vgg11(surge_zoo *zoo);
void surge_zoo_vgg16(surge_zoo *zoo);
void surge_zoo_vggsnn(surge_zoo *zoo);
void surge_zoo_plif_net(surge_zoo *zoo);
void surge_zoo_resnet19(surge_zoo *zoo);
void surge_zoo_resnet20(surge_zoo *zoo);
void surge_zoo_sew_resnet18(surge_zoo *zoo);
void surge_zoo_sew_resnet34(surge_zoo *zoo);
void surge_zoo_sew_resnet50(surge_zoo *zoo);
void surge_zoo_ms_resnet18(surge_zoo *zoo);
void surge_zoo_ms_resnet34(surge_zoo *zoo);

#endif
