package access_test

import (
	"errors"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

const another = "another long password"

// Rule: a person sees where they are signed in, and ends what is not theirs;
// others' sign-ins are not theirs to end.
func TestSignInsAreListedAndEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newClock()
		a := open(t, s, access.Options{Now: c.now})
		first, cookie := own(t, a)
		c.pass(2 * time.Minute)
		second, other, err := a.SignIn(t.Context(), email, password, access.Client{Address: "192.0.2.9", Browser: "elsewhere"})
		if err != nil {
			t.Fatal(err)
		}
		all, err := a.SignIns(t.Context(), first)
		if err != nil || len(all) != 2 || all[0].ID != second.SignInID || all[0].Address != "192.0.2.9" || all[0].Browser != "elsewhere" || all[1].ID != first.SignInID {
			t.Fatalf("%+v, %v", all, err)
		}
		stranger := access.Identity{PersonID: "stranger"}
		if err := a.EndSignIn(t.Context(), stranger, second.SignInID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a stranger ends it: %v", err)
		}
		if err := a.EndSignIn(t.Context(), first, second.SignInID); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Identify(request(other)); !errors.Is(err, access.ErrSignedOut) {
			t.Errorf("the one that was ended: %v", err)
		}
		if err := a.EndSignIn(t.Context(), first, second.SignInID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ended twice: %v", err)
		}
		if _, err := a.Identify(request(cookie)); err != nil {
			t.Errorf("the one that ended it: %v", err)
		}
		c.pass(8 * 24 * time.Hour)
		if all, err := a.SignIns(t.Context(), first); err != nil || len(all) != 0 {
			t.Errorf("after a week unused: %+v, %v", all, err)
		}
	})
}

// Rule: a new password needs the current one, ends all other sign-ins and
// makes other browsers unknown again.
func TestANewPasswordEndsTheOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s, access.Options{Limits: quick})
		who, cookie := own(t, a)
		other, gone, err := a.SignIn(t.Context(), email, password, home)
		if err != nil {
			t.Fatal(err)
		}
		device, err := a.DeviceCookie(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		var field *fault.Fault
		if err := a.ChangePassword(t.Context(), who, "wrong", another); !errors.As(err, &field) || field.Field() != "current" {
			t.Errorf("with a wrong password: %v", err)
		}
		if err := a.ChangePassword(t.Context(), who, password, "short"); !errors.As(err, &field) || field.Field() != "password" {
			t.Errorf("to a short one: %v", err)
		}
		if err := a.ChangePassword(t.Context(), who, password, another); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Identify(request(cookie)); err != nil {
			t.Errorf("this browser: %v", err)
		}
		if _, err := a.Identify(request(gone)); !errors.Is(err, access.ErrSignedOut) {
			t.Errorf("the other browser: %v", err)
		}
		if _, _, err := a.SignIn(t.Context(), email, password, home); !errors.Is(err, access.ErrCredentials) {
			t.Errorf("the old password: %v", err)
		}
		if err := a.ChangePassword(t.Context(), who, another, password); err != nil {
			t.Errorf("changed with nobody else there: %v", err)
		}
		for range 11 {
			err = a.ChangePassword(t.Context(), who, "wrong", another)
		}
		if !limited(err) {
			t.Errorf("a thief of the sign-in guesses for ever: %v", err)
		}
		from := home
		from.Device = device.Value
		if _, _, err := a.SignIn(t.Context(), email, password, from); !limited(err) {
			t.Errorf("another browser is known by what it got with an old password: %v", err)
		}
	})
}

// Rule: the link from the command line is good once, for an hour, and only the
// newest; it sets the owner's password, ends all sign-ins, and signs in.
func TestTheOwnerIsRecovered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, c := t.Context(), newClock()
		a := open(t, s, access.Options{Now: c.now, Limits: quick})
		if _, err := a.NewRecoveryToken(ctx); !errors.Is(err, access.ErrNoOwner) {
			t.Fatalf("without an owner: %v", err)
		}
		who, cookie := own(t, a)
		token := func() string {
			t.Helper()
			text, err := a.NewRecoveryToken(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		late := token()
		c.pass(time.Hour + time.Minute)
		replaced := token()
		current := token()
		for name, text := range map[string]string{"late": late, "replaced": replaced, "invented": "x", "empty": ""} {
			if _, _, err := a.Recover(ctx, text, another, home); !errors.Is(err, access.ErrRecovery) {
				t.Errorf("a link that is %s: %v", name, err)
			}
		}
		var field *fault.Fault
		if _, _, err := a.Recover(ctx, current, "short", home); !errors.As(err, &field) || field.Field() != "password" {
			t.Errorf("to a short password: %v", err)
		}
		if _, err := a.Identify(request(cookie)); err != nil {
			t.Errorf("the owner before the link is used: %v", err)
		}
		again, fresh, err := a.Recover(ctx, current, another, home)
		if err != nil || again.PersonID != who.PersonID {
			t.Fatalf("%+v, %v", again, err)
		}
		if _, err := a.Identify(request(cookie)); !errors.Is(err, access.ErrSignedOut) {
			t.Errorf("the sign-in of before: %v", err)
		}
		if _, err := a.Identify(request(fresh)); err != nil {
			t.Errorf("the new one: %v", err)
		}
		if _, _, err := a.Recover(ctx, current, another, home); !errors.Is(err, access.ErrRecovery) {
			t.Errorf("used twice: %v", err)
		}
		if _, _, err := a.SignIn(ctx, email, another, home); err != nil {
			t.Errorf("the new password: %v", err)
		}
	})
}
