#include "vpx.h"

#include <stdlib.h>
#include <string.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

struct oriel_vpx {
  vpx_codec_ctx_t ctx;
  vpx_codec_enc_cfg_t cfg;
  int vp9, i444, w, h;
  int mapped; /* an active map is in force */
};

oriel_vpx *oriel_vpx_open(int vp9, int w, int h, int threads, int i444, const char **error) {
  oriel_vpx *e = calloc(1, sizeof *e);
  if (!e) {
    *error = "out of memory";
    return NULL;
  }
  vpx_codec_iface_t *iface = vp9 ? vpx_codec_vp9_cx() : vpx_codec_vp8_cx();
  vpx_codec_err_t err = vpx_codec_enc_config_default(iface, &e->cfg, 0);
  if (err) {
    *error = vpx_codec_err_to_string(err);
    free(e);
    return NULL;
  }
  e->vp9 = vp9;
  e->i444 = i444;
  e->w = w;
  e->h = h;
  e->cfg.g_profile = i444 ? 1 : 0;
  e->cfg.g_w = w;
  e->cfg.g_h = h;
  e->cfg.g_threads = threads;
  e->cfg.g_timebase.num = 1;
  e->cfg.g_timebase.den = 30;
  e->cfg.g_lag_in_frames = 0;
  e->cfg.g_error_resilient = 0;
  e->cfg.g_pass = VPX_RC_ONE_PASS;
  e->cfg.kf_mode = VPX_KF_DISABLED;
  e->cfg.rc_end_usage = VPX_CBR;
  e->cfg.rc_dropframe_thresh = 0;
  e->cfg.rc_resize_allowed = 0;
  e->cfg.rc_target_bitrate = 20000; /* never binds: the quantizer is given */
  e->cfg.rc_buf_sz = 1000;
  e->cfg.rc_buf_initial_sz = 600;
  e->cfg.rc_buf_optimal_sz = 600;
  e->cfg.rc_undershoot_pct = 50;
  e->cfg.rc_overshoot_pct = 50;
  e->cfg.rc_min_quantizer = 40;
  e->cfg.rc_max_quantizer = 40;
  err = vpx_codec_enc_init(&e->ctx, iface, &e->cfg, 0);
  if (err) {
    *error = vpx_codec_err_to_string(err);
    free(e);
    return NULL;
  }
#define SET(id, v)                                                  \
  do {                                                              \
    if (vpx_codec_control(&e->ctx, id, v) && !*error) *error = #id; \
  } while (0)
  *error = NULL;
  if (vp9) {
    int columns = 0;
    while ((1 << columns) < threads && (w >> (columns + 1)) >= 256) columns++;
    SET(VP8E_SET_CPUUSED, 9);
    SET(VP9E_SET_TUNE_CONTENT, VP9E_CONTENT_SCREEN);
    SET(VP9E_SET_AQ_MODE, 0);
    SET(VP9E_SET_TILE_COLUMNS, columns);
    SET(VP9E_SET_ROW_MT, threads > 1);
    SET(VP9E_SET_FRAME_PARALLEL_DECODING, 0);
    SET(VP9E_SET_NOISE_SENSITIVITY, 0);
    SET(VP9E_SET_COLOR_SPACE, VPX_CS_BT_601);
    SET(VP9E_SET_COLOR_RANGE, VPX_CR_STUDIO_RANGE);
  } else {
    SET(VP8E_SET_CPUUSED, -12);
    SET(VP8E_SET_SCREEN_CONTENT_MODE, 0); /* it lets the quantizer fall by 12 a frame only */
    SET(VP8E_SET_NOISE_SENSITIVITY, 0);
    SET(VP8E_SET_TOKEN_PARTITIONS, threads > 1 ? VP8_TWO_TOKENPARTITION : VP8_ONE_TOKENPARTITION);
  }
  SET(VP8E_SET_STATIC_THRESHOLD, 0);
  SET(VP8E_SET_MAX_INTRA_BITRATE_PCT, 0);
#undef SET
  if (*error) {
    oriel_vpx_close(e);
    return NULL;
  }
  return e;
}

static const char *say(oriel_vpx *e) {
  const char *detail = vpx_codec_error_detail(&e->ctx);
  return detail ? detail : vpx_codec_error(&e->ctx);
}

static int map(oriel_vpx *e, const uint8_t *active) {
  if (!active && !e->mapped) return 0;
  vpx_active_map_t m = {(uint8_t *)active, (unsigned)(e->h + 15) / 16, (unsigned)(e->w + 15) / 16};
  e->mapped = active != NULL;
  return vpx_codec_control(&e->ctx, VP8E_SET_ACTIVEMAP, &m);
}

const char *oriel_vpx_encode(oriel_vpx *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                             int sy, int sc, int64_t pts, int quantizer, int key,
                             const uint8_t *active, oriel_packet *p) {
  if ((int)e->cfg.rc_max_quantizer != quantizer) {
    e->cfg.rc_min_quantizer = e->cfg.rc_max_quantizer = quantizer;
    if (vpx_codec_enc_config_set(&e->ctx, &e->cfg)) return say(e);
  }
  if (e->vp9 && map(e, active)) return say(e);
  vpx_image_t img;
  memset(&img, 0, sizeof img);
  vpx_img_wrap(&img, e->i444 ? VPX_IMG_FMT_I444 : VPX_IMG_FMT_I420, e->w, e->h, 1, (uint8_t *)y);
  img.planes[VPX_PLANE_Y] = (uint8_t *)y;
  img.planes[VPX_PLANE_U] = (uint8_t *)u;
  img.planes[VPX_PLANE_V] = (uint8_t *)v;
  img.stride[VPX_PLANE_Y] = sy;
  img.stride[VPX_PLANE_U] = img.stride[VPX_PLANE_V] = sc;
  img.cs = VPX_CS_BT_601;
  img.range = VPX_CR_STUDIO_RANGE;
  if (vpx_codec_encode(&e->ctx, &img, pts, 1, key ? VPX_EFLAG_FORCE_KF : 0, VPX_DL_REALTIME)) return say(e);
  memset(p, 0, sizeof *p);
  vpx_codec_iter_t iter = NULL;
  const vpx_codec_cx_pkt_t *pkt;
  while ((pkt = vpx_codec_get_cx_data(&e->ctx, &iter))) {
    if (pkt->kind != VPX_CODEC_CX_FRAME_PKT) continue;
    if (p->data) return "two packets for one frame";
    p->data = pkt->data.frame.buf;
    p->size = pkt->data.frame.sz;
    p->key = (pkt->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
  }
  if (!p->data) return "no packet for a frame";
  if (vpx_codec_control(&e->ctx, VP8E_GET_LAST_QUANTIZER_64, &p->quantizer)) return say(e);
  const vpx_image_t *rec = vpx_codec_get_preview_frame(&e->ctx);
  if (!rec) return "no reconstructed picture";
  for (int i = 0; i < 3; i++) {
    p->plane[i] = rec->planes[i];
    p->stride[i] = rec->stride[i];
  }
  return NULL;
}

void oriel_vpx_close(oriel_vpx *e) {
  if (!e) return;
  vpx_codec_destroy(&e->ctx);
  free(e);
}
