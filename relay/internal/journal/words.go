package journal

import (
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/store"
)

// count is a number of bytes or frames as an agent tells it.
func count(n uint64) int64 { return int64(min(n, math.MaxInt64/4)) }

// longest is more than any stage of a picture's way takes.
const longest = uint32(time.Minute / time.Microsecond)

// kept is an agent's Delays as they stand in the database: nil when there were
// no pictures.
func kept(d *orielv1.Delays) []byte {
	if d.GetFrames() == 0 {
		return nil
	}
	short := func(us uint32) uint32 { return min(us, longest) }
	b, err := proto.Marshal(&orielv1.Delays{
		Frames:    uint64(count(d.GetFrames())),
		CaptureUs: short(d.GetCaptureUs()), ConvertUs: short(d.GetConvertUs()), EncodeUs: short(d.GetEncodeUs()),
		QueueUs: short(d.GetQueueUs()), RoundTripUs: short(d.GetRoundTripUs()), LossPpm: min(d.GetLossPpm(), 1_000_000),
		WaitUs: short(d.GetWaitUs()), DecodeUs: short(d.GetDecodeUs()), ShownUs: short(d.GetShownUs()),
	})
	if err != nil {
		return nil // numbers alone cannot fail
	}
	return b
}

func delays(kept []byte) *orielv1.Delays {
	d := &orielv1.Delays{}
	if len(kept) == 0 || proto.Unmarshal(kept, d) != nil {
		return nil
	}
	return d
}

func entries(rows []store.Session) []*orielv1.JournalEntry {
	all := make([]*orielv1.JournalEntry, len(rows))
	for i, row := range rows {
		all[i] = entry(row)
	}
	return all
}

func entry(row store.Session) *orielv1.JournalEntry {
	e := &orielv1.JournalEntry{
		SessionId:       row.ID,
		ComputerId:      row.ComputerID,
		ComputerName:    row.ComputerName,
		OperatorId:      row.OperatorID,
		OperatorName:    row.OperatorName,
		OperatorAddress: row.OperatorAddress,
		Browser:         row.Browser,
		StartedAt:       row.StartedAt,
		ConnectedAt:     row.ConnectedAt,
		EndedAt:         row.EndedAt,
		EndReason:       orielv1.FromWord[orielv1.EndReason](row.EndReason),
		EndCode:         orielv1.FromWord[orielv1.Code](row.EndCode),
		EndDetail:       row.EndDetail,
		Path:            orielv1.FromWord[orielv1.Path](row.Path),
		Bytes:           uint64(row.BytesSent) + uint64(row.BytesReceived),
		Codec:           row.Codec,
		Delays:          delays(row.Delays),
	}
	e.SetScopes(scopes(row.Scopes))
	return e
}

func carried(row store.Session) Carried {
	return Carried{entry(row), row.Organization, row.SignInID, scopes(row.ScopesNow)}
}

func scopes(words string) []orielv1.Scope { return orielv1.FromWords[orielv1.Scope](words) }
