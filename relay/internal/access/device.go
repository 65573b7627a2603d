package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"oriel/relay/internal/store"
)

// A device cookie is 16 random bytes that name the browser, the second it was
// made in (8 bytes, big endian), and a MAC over both, the person and the hash
// of their password; in base64. It opens nothing: it only says that a person
// signed in here, so that others' wrong passwords are none of its business. A
// new password makes those of other browsers worthless.
const (
	deviceID       = 16
	deviceBytes    = deviceID + 8 + sha256.Size
	deviceLifetime = 365 * 24 * time.Hour
)

// DeviceCookie is for the browser in which who has just signed in.
func (a *Access) DeviceCookie(ctx context.Context, who Identity) (*http.Cookie, error) {
	_, p, err := a.store.SignIns().ByID(ctx, who.SignInID)
	if err != nil {
		return nil, fmt.Errorf("look up a sign-in: %w", err)
	}
	raw := binary.BigEndian.AppendUint64(random(deviceID), uint64(a.o.Now().Unix()))
	raw = a.sealDevice(raw, p)
	return a.cookie(deviceCookie, base64.RawURLEncoding.EncodeToString(raw), deviceLifetime), nil
}

// device is the browser that a cookie names, where p signed in before.
func (a *Access) device(cookie string, p store.Person) (id string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil || len(raw) != deviceBytes || p.ID == "" {
		return "", false
	}
	said := raw[:deviceID+8]
	made := time.Unix(int64(binary.BigEndian.Uint64(said[deviceID:])), 0)
	if !hmac.Equal(a.sealDevice(said[:len(said):len(said)], p), raw) || a.o.Now().Sub(made) > deviceLifetime {
		return "", false
	}
	return hex.EncodeToString(raw[:deviceID]), true
}

// sealDevice appends the MAC.
func (a *Access) sealDevice(said []byte, p store.Person) []byte {
	mac := hmac.New(sha256.New, a.devices)
	for _, part := range [][]byte{[]byte("oriel device v1"), said, []byte(p.ID), []byte(p.PasswordHash)} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write(part)
	}
	return mac.Sum(said)
}
