#ifndef ORIEL_VPX_H
#define ORIEL_VPX_H
#include "compare.h"

typedef struct oriel_vpx oriel_vpx;

oriel_vpx *oriel_vpx_open(int vp9, int w, int h, int threads, int i444, const char **error);
/* active: a byte for each block of 16x16 (rows of (w+15)/16), 0 where nothing
   changed; NULL when everything may have. */
const char *oriel_vpx_encode(oriel_vpx *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                             int sy, int sc, int64_t pts, int quantizer, int key,
                             const uint8_t *active, oriel_packet *p);
void oriel_vpx_close(oriel_vpx *e);
#endif
