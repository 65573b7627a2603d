package stream

import (
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
)

// resend stands before everything that pion's responder sends again.
//
// It gives each packet a header of its own: the responder hands out the one that
// it keeps, from a goroutine for each NACK, and the interceptors nearer to the
// wire write to it.
//
// And it drops what there is no room for.
type resend struct {
	interceptor.NoOp
	room func(size int) bool
}

// NewInterceptor is for pion's registry.
func (r *resend) NewInterceptor(string) (interceptor.Interceptor, error) { return r, nil }

// BindLocalStream puts resend before w.
func (r *resend) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	ssrc := info.SSRC
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if size := h.MarshalSize() + len(payload); h.SSRC != ssrc && !r.room(size) {
			return size, nil
		}
		own := h.Clone()
		return w.Write(&own, payload, a)
	})
}
