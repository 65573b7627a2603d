#include "follow.h"

#include <stddef.h>
#include <string.h>

enum { side = 16 };

/* Width 16 and 8, of nearly all blocks, are what the compiler makes wide instructions of. */
static inline int equal_rows(const uint8_t *a, int sa, const uint8_t *b, int sb, int w, int h) {
  for (int y = 0; y < h; y++, a += sa, b += sb) {
    if (memcmp(a, b, w) != 0) return 0;
  }
  return 1;
}

static int equal(const uint8_t *a, int sa, const uint8_t *b, int sb, int w, int h) {
  if (w == 16) return equal_rows(a, sa, b, sb, 16, h);
  if (w == 8) return equal_rows(a, sa, b, sb, 8, h);
  return equal_rows(a, sa, b, sb, w, h);
}

static inline void copy_rows(uint8_t *a, int sa, const uint8_t *b, int sb, int w, int h) {
  for (int y = 0; y < h; y++, a += sa, b += sb) memcpy(a, b, w);
}

static void copy(uint8_t *a, int sa, const uint8_t *b, int sb, int w, int h) {
  if (w == 16) copy_rows(a, sa, b, sb, 16, h);
  else if (w == 8) copy_rows(a, sa, b, sb, 8, h);
  else copy_rows(a, sa, b, sb, w, h);
}

/* A rectangle of one plane. */
typedef struct {
  int x, y, w, h;
} area;

static area of_plane(const oriel_canvas *v, int i, area b) {
  if (i == 0 || !v->half) return b;
  return (area){b.x / 2, b.y / 2, (b.x + b.w + 1) / 2 - b.x / 2, (b.y + b.h + 1) / 2 - b.y / 2};
}

static uint8_t *at(const oriel_picture *p, int i, area b) {
  return p->plane[i] + (ptrdiff_t)b.y * p->stride[i] + b.x;
}

/* The planes that move by the rows of v: chroma by whole samples only. */
static int planes(const oriel_canvas *v, int rows) { return v->half && rows % 2 ? 1 : 3; }

/* Whether img shows in b what the picture before showed so many rows below. */
static int same(const oriel_canvas *v, area b, int rows) {
  for (int i = 0; i < planes(v, rows); i++) {
    area here = of_plane(v, i, b), there = here;
    there.y += i > 0 && v->half ? rows / 2 : rows;
    if (!equal(at(&v->img, i, here), v->img.stride[i], at(&v->newest, i, there), v->newest.stride[i], here.w, here.h)) return 0;
  }
  return 1;
}

/* Takes planes from..to of b from so many rows below. */
static void take(const oriel_canvas *v, const oriel_picture *from, area b, int rows, int first, int end) {
  for (int i = first; i < end; i++) {
    area here = of_plane(v, i, b), there = here;
    there.y += i > 0 && v->half ? rows / 2 : rows;
    copy(at(&v->shown, i, here), v->shown.stride[i], at(from, i, there), from->stride[i], here.w, here.h);
  }
}

void oriel_follow(const oriel_canvas *v, int x0, int y0, int x1, int y1) {
  for (int y = y0; y < y1; y += side) {
    int h = y1 - y < side ? y1 - y : side;
    int within = y + v->moved >= 0 && y + v->moved + h <= v->height;
    for (int x = x0; x < x1; x += side) {
      area b = {x, y, x1 - x < side ? x1 - x : side, h};
      if (same(v, b, 0)) {
        take(v, &v->decoded, b, 0, 0, 3);
      } else if (within && same(v, b, v->moved)) {
        int n = planes(v, v->moved);
        take(v, &v->decoded, b, v->moved, 0, n);
        take(v, &v->appears, b, 0, n, 3);
      } else {
        take(v, &v->appears, b, 0, 0, 3);
      }
    }
  }
}
