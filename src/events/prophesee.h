/* prophesee.h - the header that .dat, EVT2 and EVT3 share: lines that begin with
 * '%', "% key value", up to "% end" or to the first byte that is no such line. */
#ifndef SURGE_EVENTS_PROPHESEE_H
#define SURGE_EVENTS_PROPHESEE_H

#include "src/events/record.h"

typedef struct surge_prophesee_header {
  char encoding[16];     /* of "% evt 2.0" or "% format EVT3;...": "2.0", "3";
                            "": neither line is there, which is a .dat       */
  int version;           /* of "% Version 2"; 2 where nothing is said        */
  int32_t width, height; /* 0: nothing is said                               */
} surge_prophesee_header;

/* Takes the header from the front of the window. False: there is none. */
bool surge_prophesee_header_take(surge_bytes *bytes,
                                 surge_prophesee_header *header);

/* The header of a file of which only the start is there. */
bool surge_prophesee_header_peek(const surge_bytes *bytes,
                                 surge_prophesee_header *header);

#endif
