package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *Tokens {
	t.Helper()
	tokens, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	return tokens
}

func create(t testing.TB, tokens *Tokens, spec Spec) (Token, string) {
	t.Helper()
	d, err := tokens.Draft(spec)
	if err != nil {
		t.Fatal(err)
	}
	made, err := tokens.Add(d)
	if err != nil {
		t.Fatal(err)
	}
	return made, d.Text()
}

func ended(who *Identity) bool {
	select {
	case <-who.Done():
		return true
	default:
		return false
	}
}

// TestNobody: what nobody has thought of is denied.
func TestNobody(t *testing.T) {
	for name, who := range map[string]*Identity{
		"nil": nil, "the zero value": {}, "of no context": From(t.Context()), "without a name": NewIdentity("", Admin, nil, nil),
	} {
		for _, s := range []Scope{0, Read, Write, Command, Admin} {
			if who.Has(s) || who.Everywhere(s) || who.May(s, "light.a") || who.May(s, "") {
				t.Errorf("%s may %s", name, s)
			}
		}
	}
	if Owner().Has(0) || Owner().May(0, "light.a") {
		t.Error("a route of no scope is the owner's")
	}
}

func TestScopes(t *testing.T) {
	everything := []Scope{Read, Write, Command, Admin}
	for _, have := range everything {
		who := NewIdentity("x", have, nil, nil)
		for _, want := range everything {
			if got := who.Has(want); got != (have == want || have == Admin) {
				t.Errorf("%s is enough for %s: %v", have, want, got)
			}
		}
	}
	both := NewIdentity("x", Read|Write, []string{"light.*"}, nil)
	if !both.May(Read|Write, "light.a") || both.May(Read|Command, "light.a") || both.May(Read, "switch.a") || both.May(Read, "") ||
		both.Everywhere(Read) || !both.Has(Read) {
		t.Error("two scopes of lights are not two scopes of lights")
	}
	if From(With(t.Context(), both)) != both {
		t.Error("the context forgets who asks")
	}
	if got, err := ParseScopes("write", "read", "read"); err != nil || got != Read|Write || got.String() != "read,write" {
		t.Error(got, err)
	}
	if _, err := ParseScopes("read", "Admin"); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// TestMatch compares patterns with what a regular expression makes of them.
func TestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab.*")), 0, 8, -1).Draw(t, "pattern")
		id := rapid.StringOfN(rapid.SampledFrom([]rune("ab.")), 0, 10, -1).Draw(t, "id")
		re := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if got, want := Match(pattern, id), re.MatchString(id); got != want {
			t.Fatalf("%q of %q: %v, want %v", pattern, id, got, want)
		}
	})
}

func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db.tokens")
	tokens := open(t, path)
	if !tokens.Fresh() || len(tokens.List()) != 0 {
		t.Error("there are tokens already")
	}
	spec := Spec{Name: "grafana", Scopes: Read, Entities: []string{"sensor.*", "light.hall"}, ExpiresAt: time.Now().Add(time.Hour)}
	made, text := create(t, tokens, spec)
	if tokens.Fresh() {
		t.Error("a token was made, and they are fresh")
	}
	_, other := create(t, tokens, Spec{Name: "other", Scopes: Admin})
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{text, other} {
		if bytes.Contains(stored, []byte(s[len(prefix)+idLen+1:])) {
			t.Error("the file has the secret")
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	for name, tokens := range map[string]*Tokens{"as it was made": tokens, "after a restart": open(t, path)} {
		who, err := tokens.Authenticate("127.0.0.1:1", text)
		if err != nil || who.Name() != "grafana" || who.Source() != "api:grafana" || !who.May(Read, "sensor.a") || who.May(Read, "light.a") || who.Has(Write) {
			t.Errorf("%s: %+v %v", name, who, err)
		}
		if again, _ := tokens.Authenticate("127.0.0.1:1", text); again != who {
			t.Errorf("%s: who asks twice is two", name)
		}
		if got, err := tokens.Get(made.ID); err != nil || got.Name != "grafana" || !got.ExpiresAt.Equal(spec.ExpiresAt) || !slices.Equal(got.Entities, spec.Entities) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		if all := tokens.List(); len(all) != 2 || all[0].Name != "grafana" || all[1].Name != "other" {
			t.Errorf("%s: %v", name, all)
		}
	}
	for _, wrong := range []string{
		"", "x", prefix, text[:len(text)-1], text + "a", strings.ToUpper(text), "Bearer " + text,
		text[:len(text)-1] + flip(text[len(text)-1]), other[:len(prefix)+idLen] + text[len(prefix)+idLen:], newSecret(newID()),
	} {
		if who, err := tokens.Authenticate("", wrong); err == nil {
			t.Errorf("%q is taken for %s", wrong, who.Name())
		}
	}
}

func flip(b byte) string {
	if b == 'a' {
		return "b"
	}
	return "a"
}

func TestSpecs(t *testing.T) {
	tokens := open(t, filepath.Join(t.TempDir(), "tokens"))
	create(t, tokens, Spec{Name: "taken", Scopes: Read})
	for what, spec := range map[string]Spec{
		"a name": {Scopes: Read}, `"A"`: {Name: "A", Scopes: Read}, "local": {Name: "local", Scopes: Read},
		"control": {Name: "a\nb", Scopes: Read}, "long": {Name: strings.Repeat("a", 65), Scopes: Read}, "needs a scope": {Name: "a"},
		"cannot be restricted": {Name: "a", Scopes: Admin, Entities: []string{"light.*"}}, "already": {Name: "a", Scopes: Read, ExpiresAt: time.Unix(1, 0)},
		"entities": {Name: "a", Scopes: Read, Entities: []string{"Light.*"}}, "empty": {Name: "a", Scopes: Read, Entities: []string{""}},
		"patterns": {Name: "a", Scopes: Read, Entities: make([]string, MaxPatterns+1)},
	} {
		if _, err := tokens.Draft(spec); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := tokens.Draft(Spec{Name: "taken", Scopes: Read}); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	twice, _ := tokens.Draft(Spec{Name: "twice", Scopes: Read})
	if _, err := tokens.Add(twice); err != nil {
		t.Error(err)
	}
	if _, err := tokens.Add(twice); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if _, err := tokens.Revoke("twice"); err != nil {
		t.Error(err)
	}
	if n := len(tokens.List()); n != 1 {
		t.Errorf("%d tokens", n)
	}
	for _, err := range []error{func() error { _, err := tokens.Revoke("none"); return err }(), func() error { _, _, err := tokens.Rotate("none", 0); return err }(), func() error { _, err := tokens.Get("none"); return err }()} {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
}

func TestRevoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	tokens := open(t, path)
	_, text := create(t, tokens, Spec{Name: "a", Scopes: Read})
	who, err := tokens.Authenticate("", text)
	if err != nil || ended(who) {
		t.Fatal(err)
	}
	if _, err := tokens.Revoke("a"); err != nil {
		t.Fatal(err)
	}
	if !ended(who) {
		t.Error("who uses a revoked token is not told")
	}
	for _, tokens := range []*Tokens{tokens, open(t, path)} {
		if _, err := tokens.Authenticate("", text); !errors.Is(err, ErrDenied) {
			t.Error(err)
		}
		if tokens.Fresh() {
			t.Error("the last token was revoked: that is no fresh start")
		}
	}
}

// TestTimes: tokens and what a rotation leaves of them end when they are to.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens")
		tokens := open(t, path)
		defer tokens.Close()
		_, short := create(t, tokens, Spec{Name: "short", Scopes: Read, ExpiresAt: time.Now().Add(time.Minute)})
		_, first := create(t, tokens, Spec{Name: "long", Scopes: Read})
		login := func(text string) *Identity {
			t.Helper()
			who, err := tokens.Authenticate("", text)
			if err != nil {
				t.Fatal(err)
			}
			return who
		}
		expires, old := login(short), login(first)
		_, second, err := tokens.Rotate("long", 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if login(first) != old || ended(old) || login(second) == old {
			t.Error("the grace does not begin")
		}
		_, third, err := tokens.Rotate("long", 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if !ended(old) {
			t.Error("of three secrets the first still goes")
		}
		between := login(second)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if _, err := tokens.Authenticate("", second); err == nil || !ended(between) {
			t.Error("the grace does not end")
		}
		last := login(third)
		if _, fourth, err := tokens.Rotate("long", 0); err != nil || !ended(last) || ended(login(fourth)) {
			t.Error("a rotation at once is not one", err)
		}
		if ended(expires) {
			t.Error("it ends too early")
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if _, err := tokens.Authenticate("", short); err == nil || !ended(expires) {
			t.Error("a token does not expire")
		}
		if all := tokens.List(); len(all) != 2 || !all[1].Expired(time.Now()) || all[0].Expired(time.Now()) || all[0].RotatedAt.IsZero() {
			t.Errorf("%+v", all)
		}
		later := open(t, path)
		defer later.Close()
		if _, err := later.Authenticate("", short); err == nil {
			t.Error("a restart makes an expired token one again")
		}
	})
}

// TestStoreFails: what is not stored has not happened.
func TestStoreFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tokens := open(t, filepath.Join(dir, "tokens"))
	_, text := create(t, tokens, Spec{Name: "a", Scopes: Read})
	who, _ := tokens.Authenticate("", text)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	other, _ := tokens.Draft(Spec{Name: "b", Scopes: Read})
	if _, err := tokens.Add(other); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := tokens.Revoke("a"); err == nil {
		t.Error("revoked, and not stored")
	}
	for _, grace := range []time.Duration{0, time.Hour} {
		if _, _, err := tokens.Rotate("a", grace); err == nil {
			t.Error("rotated, and not stored")
		}
	}
	if again, err := tokens.Authenticate("", text); err != nil || again != who || ended(who) || len(tokens.List()) != 1 {
		t.Error("a failure has changed something", err)
	}
}

// TestRot: whatever bit of the file changes, it is damaged, or says what it said.
func TestRot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	tokens := open(t, path)
	create(t, tokens, Spec{Name: "a", Scopes: Read, Entities: []string{"light.j*"}, ExpiresAt: time.Now().Add(time.Hour)})
	create(t, tokens, Spec{Name: "b", Scopes: Admin})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseFile(text)
	if err != nil || len(want) != 2 {
		t.Fatal(want, err)
	}
	for i := range text {
		for bit := range 8 {
			rotten := bytes.Clone(text)
			rotten[i] ^= 1 << bit
			if got, err := parseFile(rotten); err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("bit %d of byte %d, %q: %v", bit, i, rotten, got)
			}
		}
	}
	if err := os.WriteFile(path, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func FuzzFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "tokens")
	tokens := open(f, path)
	create(f, tokens, Spec{Name: "a", Scopes: Read, Entities: []string{"light.*"}})
	text, err := os.ReadFile(path)
	var stored file
	if err = errors.Join(err, json.Unmarshal(text, &stored)); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(stored.Tokens))
	f.Add(regexp.MustCompile(`"secrets":\s*\[[^]]*\]`).ReplaceAll(stored.Tokens, []byte(`"secrets":[]`)))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		// Behind the checksum, which no change of the file would survive.
		var compact bytes.Buffer
		if json.Compact(&compact, stored) != nil {
			return
		}
		text := fmt.Appendf(nil, `{"version":%d,"sha256":"%x","tokens":%s}`, fileVersion, sha256.Sum256(compact.Bytes()), stored)
		got, err := parseFile(text)
		if err != nil {
			return
		}
		for _, tok := range got {
			if tok.check(time.Time{}) != nil || len(tok.Secrets) == 0 {
				t.Errorf("%+v", tok)
			}
		}
	})
}

// TestLimiter: an address that fails again and again has to wait longer and longer; others do not, a good token never.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := open(t, filepath.Join(t.TempDir(), "tokens"))
		defer tokens.Close()
		_, text := create(t, tokens, Spec{Name: "a", Scopes: Read})
		fail := func(addr string) error {
			_, err := tokens.Authenticate(addr, "x")
			return err
		}
		wait := func(addr string) time.Duration {
			var tooMany *TooManyError
			if !errors.As(fail(addr), &tooMany) {
				return 0
			}
			return tooMany.RetryAfter
		}
		for range freeFailures {
			if err := fail("192.0.2.1:1"); !errors.Is(err, ErrDenied) {
				t.Fatal(err)
			}
		}
		for _, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			if got := wait("192.0.2.1:2"); got != time.Duration(want)*time.Second {
				t.Errorf("it waits %s, want %d s", got, want)
			}
			time.Sleep(500 * time.Millisecond)
			if got := wait("[::ffff:192.0.2.1]:3"); got != time.Duration(want)*time.Second-500*time.Millisecond {
				t.Errorf("in the midst of it: %s", got)
			}
			if _, err := tokens.Authenticate("192.0.2.1:1", text); err != nil {
				t.Error("a good token is refused", err)
			}
			time.Sleep(time.Duration(want) * time.Second)
		}
		if got := wait("192.0.2.2:1"); got != 0 {
			t.Error("another address has to wait")
		}
		for i := range freeFailures {
			_ = fail(fmt.Sprintf("[2001:db8::%x]:1", i))
		}
		if wait("[2001:db8::ffff]:1") == 0 {
			t.Error("a network of its own has as many tries as it has addresses")
		}
		time.Sleep(forgetAfter + time.Second)
		if got := wait("192.0.2.1:1"); got != 0 {
			t.Error("nothing is forgotten")
		}
		for i := range 3 * maxAddresses {
			_ = fail(fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255))
		}
		if n := len(tokens.limit.addresses); n > maxAddresses {
			t.Errorf("%d addresses are remembered", n)
		}
	})
}

func TestRedact(t *testing.T) {
	text := newSecret("abcdefghij")
	for in, want := range map[string]string{
		"": "", "/v1/states": "/v1/states", "sth_": "sth_",
		"/v1/" + text + "/x":        "/v1/sth_abcdefghij_(redacted)/x",
		text[:30] + " " + text:      "sth_abcdefghij_(redacted) sth_abcdefghij_(redacted)",
		"?access_token=" + text:     "?access_token=sth_abcdefghij_(redacted)",
		strings.ToUpper("sth_none"): "STH_NONE",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
