// Package identifier reads what people name themselves by when they sign in: an
// e-mail address, a user name, or a number that their organization gave them (a tax
// or employee number), alone or as login:organization.
//
// Each has a key, which is what is stored as unique and compared:
//
//   - An e-mail address: lower case, NFC. It is unique in the relay.
//   - A user name: PRECIS UsernameCaseMapped (RFC 8265), without '@' and ':'. It
//     is unique in its organization, and has a letter.
//   - A number: what is left without spaces, dots, hyphens and slashes, upper case. So
//     123.456.789-09 and 12345678909 are one (CPF), and 12.ABC.345/01DE-35 is
//     12ABC34501DE35 (CNPJ, which has letters since 2026). It is unique in
//     its organization, and has a digit. Check digits are not looked at: the
//     organization says what its people's numbers are.
//
// A text may be a user name and a number at once. Who signs in is looked for by all
// that their text may be (Login.Keys).
package identifier

import (
	"crypto/rand"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/fault"
)

// Kind of an identifier.
type Kind string

// The kinds. Email is the one that belongs to no organization.
const (
	Email    Kind = "email"
	UserName Kind = "user_name"
	Number   Kind = "number"
)

// Bounds.
const (
	MaxEmail   = 254 // bytes, RFC 5321
	MaxText    = 128 // bytes of the others
	MaxCode    = 32  // bytes of an organization's code
	minCode    = 2
	maxDomain  = 253 // bytes, RFC 1035
	randomPart = 6   // letters of a new code, of 32 each
	maxLabel   = 63  // bytes, RFC 1035
)

// MaxLogin is the longest text that can be somebody's, in bytes.
const MaxLogin = MaxEmail + 1 + MaxCode

// Key is what identifiers of a kind are compared by; empty: it is nobody's.
func Key(kind Kind, text string) string {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) {
		return ""
	}
	switch kind {
	case Email:
		return emailKey(text)
	case UserName:
		return userNameKey(text)
	case Number:
		return numberKey(text)
	}
	return ""
}

func emailKey(text string) string {
	if len(text) > MaxEmail {
		return ""
	}
	text = norm.NFC.String(strings.ToLower(text))
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at == len(text)-1 || strings.ContainsFunc(text, unicode.IsSpace) {
		return ""
	}
	return text
}

func userNameKey(text string) string {
	if len(text) > MaxText || strings.ContainsAny(text, "@:") || !strings.ContainsFunc(text, unicode.IsLetter) {
		return ""
	}
	key, err := precis.UsernameCaseMapped.CompareKey(text)
	if err != nil || len(key) > MaxText {
		return ""
	}
	return key
}

// separators are what stands between the parts of a number.
const separators = " .-/\u00a0\u2010\u2011"

func numberKey(text string) string {
	if len(text) > MaxText {
		return ""
	}
	key := strings.Map(func(r rune) rune {
		if strings.ContainsRune(separators, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, norm.NFKC.String(text))
	for _, r := range key {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') {
			return ""
		}
	}
	if !strings.ContainsAny(key, "0123456789") {
		return ""
	}
	return key
}

// Domain of the key of an e-mail address.
func Domain(emailKey string) string { return emailKey[strings.LastIndexByte(emailKey, '@')+1:] }

// CheckDomain is a domain of e-mail addresses as it is kept: in ASCII and lower case.
// Errors: fault.Field.
func CheckDomain(field, text string) (string, error) {
	domain := plainDomain(strings.TrimSpace(text))
	if !strings.Contains(domain, ".") || len(domain) > maxDomain {
		return "", fault.Field(field, "write the domain of e-mail addresses, such as example.com")
	}
	return domain, nil
}

// IsOf reports whether the key of an e-mail address is of one of these domains, itself and
// none below it, however its letters are written.
func IsOf(emailKey string, domains []string) bool {
	return slices.Contains(domains, plainDomain(Domain(emailKey)))
}

// plainDomain is a domain in ASCII and lower case; empty: it is none.
func plainDomain(text string) string {
	domain, err := idna.Lookup.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil {
		return ""
	}
	return strings.ToLower(domain)
}

// Check is the key of what somebody is to be named by. Errors: fault.Field, which
// names the field.
func Check(kind Kind, field, text string) (string, error) {
	key := Key(kind, text)
	switch {
	case kind == Email && (key == "" || !address(strings.TrimSpace(text))):
		return "", fault.Field(field, "write an e-mail address, such as name@example.com")
	case kind == UserName && key == "":
		return "", fault.Field(field, "a user name has a letter, no spaces, no @ and no colon, and at most 128 bytes")
	case kind == Number && key == "":
		return "", fault.Field(field, "a number has digits, perhaps with letters A to Z; spaces, dots, hyphens and slashes do not count")
	case key == "":
		return "", fault.Field(field, "this kind of name does not exist")
	}
	return key, nil
}

// address reports whether text is an e-mail address and nothing else.
func address(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Name == "" && a.Address == text && len(text) <= MaxEmail && sanitize.Printable(text)
}

// CheckCode is the code of an organization as it is kept: 2 to 32 letters a to z, digits
// and hyphens, neither first nor last a hyphen. Errors: fault.Field.
func CheckCode(field, text string) (string, error) {
	code := strings.ToLower(strings.TrimSpace(text))
	if !isCode(code) {
		return "", fault.Field(field, "a code has 2 to 32 letters a to z, digits and hyphens, and begins and ends with none of the hyphens")
	}
	return code, nil
}

// NewCode is a code that nobody has, and that reminds of a name: it ends in random letters, so
// that it tells nothing of which codes there are.
func NewCode(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(norm.NFKD.String(name)) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.IsMark(r): // of the letter before
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	begin := strings.Trim(b.String()[:min(b.Len(), MaxCode-randomPart-1)], "-")
	end := strings.ToLower(rand.Text()[:randomPart])
	if begin == "" {
		return end
	}
	return begin + "-" + end
}

func isCode(code string) bool {
	if len(code) < minCode || len(code) > MaxCode || code[0] == '-' || code[len(code)-1] == '-' {
		return false
	}
	for _, r := range code {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '-' {
			return false
		}
	}
	return true
}

// Login is what somebody typed to sign in.
type Login struct {
	Text string
	// Code of the organization that stood behind it; empty: none.
	Code string
}

// ParseLogin reads text, or login:organization. What follows the last colon and
// cannot be a code belongs to the text.
func ParseLogin(text string) Login {
	text = strings.TrimSpace(text)
	if len(text) > MaxLogin {
		return Login{}
	}
	if at := strings.LastIndexByte(text, ':'); at > 0 {
		if code := strings.ToLower(strings.TrimSpace(text[at+1:])); isCode(code) {
			return Login{strings.TrimSpace(text[:at]), code}
		}
	}
	return Login{Text: text}
}

// Keys are all that l may be, by kind; none: it is nobody's.
func (l Login) Keys() map[Kind]string {
	keys := map[Kind]string{}
	for _, kind := range []Kind{Email, UserName, Number} {
		if key := Key(kind, l.Text); key != "" {
			keys[kind] = key
		}
	}
	return keys
}

// Subject is what tries of l are counted by: the same however it was typed.
func (l Login) Subject() string {
	keys := l.Keys()
	for _, kind := range []Kind{Email, Number, UserName} {
		if key := keys[kind]; key != "" {
			// A number and a user name may be one text: the number is the coarser.
			return key + ":" + l.Code
		}
	}
	return ""
}

// In is the text of a login in the organization with that code; empty: as it is.
func In(login, code string) string {
	if code == "" {
		return login
	}
	return ParseLogin(login).Text + ":" + code
}
