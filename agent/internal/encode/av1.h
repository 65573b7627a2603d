#ifndef ORIEL_AV1_H
#define ORIEL_AV1_H
#include "compare.h"

typedef struct oriel_av1 oriel_av1;

/* NULL, and why in *error (static text), when libaom refuses. speed is libaom's, of the first frame. */
oriel_av1 *oriel_av1_open(int w, int h, int threads, int i444, int speed, const char **error);
/* Whether this libaom is ours (.ci/aom), which can be told what moved and what did not change. */
int oriel_av1_ours(void);
/* NULL when done, else what went wrong. pts counts frames.
   speed: libaom's, of this frame.
   soft: nothing in it has a sharp edge.
   moved: by how many rows some of it moved up since the frame before, below 0 down.
   stays: what moved so stays as it was decoded, where that can be.
   cells: a byte for each 64x64, row by row, 0 where the decoded picture is to stay; NULL: nowhere.
   bands: a byte for each 64 rows, 0 where the picture is that of the call before; NULL: nowhere.
   active: what another libaom takes for cells, a byte for each 16x16 block. */
const char *oriel_av1_encode(oriel_av1 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                             int sy, int sc, int64_t pts, int quantizer, int key, int speed, int soft, int moved, int stays,
                             const uint8_t *cells, const uint8_t *bands, const uint8_t *active, oriel_packet *p);
void oriel_av1_close(oriel_av1 *e);
#endif
