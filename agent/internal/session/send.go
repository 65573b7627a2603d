package session

import (
	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
)

// send hands one message to the relay's link.
func (h *Host) send(m proto.Message) {
	out := &orielv1.FromAgent{}
	switch m := m.(type) {
	case *orielv1.Answer:
		out.Body = &orielv1.FromAgent_Answer{Answer: m}
	case *orielv1.Candidate:
		out.Body = &orielv1.FromAgent_Candidate{Candidate: m}
	case *orielv1.SessionReport:
		out.Body = &orielv1.FromAgent_SessionReport{SessionReport: m}
	case *orielv1.SessionEnded:
		out.Body = &orielv1.FromAgent_SessionEnded{SessionEnded: m}
	case *orielv1.Preview:
		out.Body = &orielv1.FromAgent_Preview{Preview: m}
	case *orielv1.Status:
		out.Body = &orielv1.FromAgent_Status{Status: m}
	}
	h.o.Send(out)
}
