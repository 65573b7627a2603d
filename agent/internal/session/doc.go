// Package session is one viewer of one desktop: a WebRTC peer connection, its
// data channels, and the last door at which a grant's scopes are enforced. A
// Host serves one desktop to all its viewers.
//
// # The Host
//
// The Host opens the desktop and keeps it open. A machine without a display is
// fine: the Host says so (Status), goes on trying with a back-off of at most a
// few seconds, and sessions wait connected. A display that dies in mid-session
// is told to the viewers (DisplayState) and, when one comes back, the stream is
// built anew into the same video tracks.
//
// A Desktop has one caller of Next at a time. While somebody watches that is
// the stream, else an idle reader that wakes at most every few seconds, and
// only for damage; both come through the same display, which takes previews
// (preview.go) from whatever picture passes.
//
// # A session
//
//	Offer ──► peer connection, signed Answer, candidates both ways
//	          connected within 30 s           else SessionEnded TIMEOUT
//	          SessionReport: on connect, on a change of path, each 30 s, with
//	          what its pictures took so far (latency.go), which the end has too
//	          no packets for 5 s: everything this viewer holds is released
//	          20 s without a connection       SessionEnded NETWORK
//	Offer with the id of a running session ──► replaces the peer connection
//	Leave ──► SessionEnded OPERATOR;  End ──► SessionEnded with its reason
//
// Before the offer the relay may announce it (Host.Prepare): then the first picture is
// made at once and waits, 5 s at most, for whoever comes. It leaves the computer only
// to a viewer whose grant allows it.
//
// The caller has verified the grant. Here only its scopes count, for each
// message anew: without SCOPE_VIEW no video, no cursor, no size; without
// SCOPE_CONTROL no key, button, wheel, text or move has any effect and each is
// answered with Denied, at most one a second.
//
// The session's own channels are "control" (ordered: ToDesktop, FromDesktop; anything
// malformed ends the session), "pointer" (newest wins by seq) and "again" (redundant.go). Why
// they are no kinds of package channel stands in channels.go, with the registry of those
// that are. What is sent on control is state, not history: cursor, size and statistics
// wait while more than 64 KiB are under way and then go out as they are by then; a viewer
// with more than 1 MiB under way is dropped.
//
// What a viewer holds down is released on every way out (input.go).
package session
