package daemon

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
)

func TestPipe(t *testing.T) {
	var pipe bytes.Buffer
	sent := []*orielv1.ToHelper{
		{Body: &orielv1.ToHelper_Start{Start: &orielv1.HelperStart{Display: ":1"}}},
		{},
		{Body: &orielv1.ToHelper_Signed{Signed: &orielv1.HelperSigned{Id: 7, Signature: make([]byte, 64)}}},
	}
	for _, m := range sent {
		if err := write(&pipe, m); err != nil {
			t.Fatal(err)
		}
	}
	whole := pipe.Bytes()
	r := bufio.NewReader(iotest.OneByteReader(bytes.NewReader(whole)))
	for _, want := range sent {
		got := &orielv1.ToHelper{Body: &orielv1.ToHelper_Settings{}}
		if err := read(r, got); err != nil || !proto.Equal(got, want) {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	}
	if err := read(r, &orielv1.ToHelper{}); !errors.Is(err, io.EOF) {
		t.Fatalf("at the end: %v", err)
	}
	for n := 1; n < 4+proto.Size(sent[0]); n++ {
		if err := read(bufio.NewReader(bytes.NewReader(whole[:n])), &orielv1.ToHelper{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestPipeBounds(t *testing.T) {
	huge := binary.BigEndian.AppendUint32(nil, orielv1.MaxMessage+1)
	if err := read(bufio.NewReader(bytes.NewReader(huge)), &orielv1.ToHelper{}); !errors.Is(err, orielv1.ErrBounds) {
		t.Errorf("a length that is too large: %v", err)
	}
	long := &orielv1.FromHelper{Body: &orielv1.FromHelper_Sign{Sign: &orielv1.HelperSign{Nonce: make([]byte, 33)}}}
	if err := write(io.Discard, long); !errors.Is(err, orielv1.ErrBounds) {
		t.Errorf("a field that is too long was written: %v", err)
	}
	b, _ := proto.Marshal(long)
	b = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	if err := read(bufio.NewReader(bytes.NewReader(b)), &orielv1.FromHelper{}); !errors.Is(err, orielv1.ErrBounds) {
		t.Errorf("a field that is too long was read: %v", err)
	}
}

func FuzzPipe(f *testing.F) {
	var b bytes.Buffer
	_ = write(&b, &orielv1.FromHelper{Body: &orielv1.FromHelper_Sign{Sign: &orielv1.HelperSign{Id: 1, SessionId: "s"}}})
	f.Add(b.Bytes())
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		for {
			m := &orielv1.FromHelper{}
			if read(r, m) != nil {
				return
			}
			var again bytes.Buffer
			if err := write(&again, m); err != nil {
				t.Fatalf("read, but cannot be written: %v", err)
			}
			twice := &orielv1.FromHelper{}
			if err := read(bufio.NewReader(&again), twice); err != nil || !proto.Equal(m, twice) {
				t.Fatalf("%v became %v, %v", m, twice, err)
			}
		}
	})
}
