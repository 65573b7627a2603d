#ifndef ORIEL_FOLLOW_H
#define ORIEL_FOLLOW_H
#include <stdint.h>

/* A picture: luma, and two planes of chroma. */
typedef struct {
  uint8_t *plane[3];
  int stride[3];
} oriel_picture;

/* What is shown to the library in blocks of 16x16 of luma: what stands where it stood in
   the picture before, or moved up by so many rows, as it was decoded, the rest as it
   appears. All pictures are of one size. */
typedef struct {
  oriel_picture img, newest, decoded, appears, shown;
  int height;              /* of luma */
  int half;                /* 1: chroma has half the columns and rows, rounded up */
  int moved;               /* rows; where chroma is halved an odd number moves luma only */
} oriel_canvas;

/* The rectangle begins at whole samples of chroma. */
void oriel_follow(const oriel_canvas *v, int x0, int y0, int x1, int y1);
#endif
