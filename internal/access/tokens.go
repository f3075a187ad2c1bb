package access

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// Tokens are the tokens of one database. All methods may be called by any number of goroutines; those that change something
// are for the process that holds the database's lock.
type Tokens struct {
	path  string
	fresh bool // there was no file
	now   func() time.Time
	limit *limiter

	mu   sync.Mutex
	byID map[string]*token
}

// token is a token and the secrets by which it is known: the current one, and after a rotation perhaps the one before.
type token struct {
	Token
	secrets []*secret
}

// secret is what somebody has to know, and the identity that he gets for it.
type secret struct {
	hash [sha256.Size]byte
	// until is when it ends; the zero time means with its token.
	until    time.Time
	identity *Identity
	end      func() // closes the identity's done, once
	alarms   []*alarm
}

// Open reads the tokens in a file; where there is none, there are none yet.
func Open(path string) (*Tokens, error) { return openAt(path, time.Now) }

func openAt(path string, now func() time.Time) (*Tokens, error) {
	t := &Tokens{path: path, now: now, limit: newLimiter(now), byID: map[string]*token{}}
	stored, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.fresh = true
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("tokens in %s: %w", path, err)
	}
	for _, s := range stored {
		tok := &token{Token: s.Token}
		for _, sec := range s.Secrets {
			tok.add(sec.Hash, sec.Until)
		}
		t.byID[tok.ID] = tok
	}
	return t, nil
}

// Fresh reports whether nobody has made a token of this database yet.
func (t *Tokens) Fresh() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fresh
}

// Close lets go of the timers; nothing can be done with it afterwards. It ends no identity.
func (t *Tokens) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tok := range t.byID {
		for _, s := range tok.secrets {
			s.stop()
		}
	}
	t.byID = nil
}

// Authenticate implements [Authenticator].
func (t *Tokens) Authenticate(remoteAddr, text string) (*Identity, error) {
	if who := t.find(text); who != nil {
		return who, nil
	}
	if err := t.limit.failed(remoteAddr); err != nil {
		return nil, err
	}
	return nil, ErrDenied
}

// find is the identity of a token, nil where it is none.
func (t *Tokens) find(text string) *Identity {
	id, ok := split(text)
	if !ok {
		return nil
	}
	hash := hashOf(text)
	t.mu.Lock()
	defer t.mu.Unlock()
	tok := t.byID[id] // the id is no secret
	if tok == nil || tok.Expired(t.now()) {
		return nil
	}
	for _, s := range tok.secrets {
		if subtle.ConstantTimeCompare(s.hash[:], hash[:]) == 1 && (s.until.IsZero() || t.now().Before(s.until)) && s.identity.Ended() == nil {
			return s.identity
		}
	}
	return nil
}

// List is every token, expired ones included, by name.
func (t *Tokens) List() []Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Token
	for _, tok := range t.byID {
		all = append(all, tok.Token)
	}
	slices.SortFunc(all, func(a, b Token) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Get is a token by its name or id.
func (t *Tokens) Get(name string) (Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tok, err := t.named(name)
	if err != nil {
		return Token{}, err
	}
	return tok.Token, nil
}

// named needs mu.
func (t *Tokens) named(name string) (*token, error) {
	for _, tok := range t.byID {
		if tok.Name == name || tok.ID == name {
			return tok, nil
		}
	}
	return nil, fmt.Errorf("%w: %.80q", ErrNotFound, name)
}

// check needs mu.
func (t *Tokens) check(spec Spec) error {
	if err := spec.check(t.now()); err != nil {
		return err
	}
	if _, err := t.named(spec.Name); err == nil {
		return fmt.Errorf("%w: %s; revoke it first, or rotate it to get a new secret", ErrExists, spec.Name)
	}
	if len(t.byID) >= MaxTokens {
		return fmt.Errorf("%w: there are %d tokens, and cannot be more; revoke some", ErrInvalid, len(t.byID))
	}
	return nil
}

// Draft is a token that is none yet.
type Draft struct {
	token Token
	text  string
}

// Token is what the token will be.
func (d Draft) Token() Token { return d.token }

// Text is the only copy of what somebody will have to know.
func (d Draft) Text() string { return d.text }

// Draft makes a token that [Tokens.Add] can make one.
func (t *Tokens) Draft(spec Spec) (Draft, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.check(spec); err != nil {
		return Draft{}, err
	}
	spec.Entities = slices.Clone(spec.Entities)
	spec.ExpiresAt = stamp(spec.ExpiresAt)
	d := Draft{token: Token{ID: newID(), Spec: spec, CreatedAt: stamp(t.now())}}
	for t.byID[d.token.ID] != nil {
		d.token.ID = newID()
	}
	d.text = newSecret(d.token.ID)
	return d, nil
}

// Add makes a draft a token. It is stored durably when Add returns.
func (t *Tokens) Add(d Draft) (Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.check(d.token.Spec); err != nil { // there may be others by now
		return Token{}, err
	}
	tok := &token{Token: d.token}
	tok.add(hashOf(d.text), time.Time{})
	t.byID[tok.ID] = tok
	err := t.store()
	if undone(err) {
		tok.end()
		delete(t.byID, tok.ID)
		return Token{}, err
	}
	return tok.Token, err
}

// Rotate gives a token another secret; the one that it had ends after the grace, at once for 0. One that an earlier rotation
// left ends at once.
func (t *Tokens) Rotate(name string, grace time.Duration) (rotated Token, text string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tok, err := t.named(name)
	if err != nil {
		return Token{}, "", err
	}
	if grace < 0 {
		return Token{}, "", fmt.Errorf("%w: a grace of %s is less than nothing", ErrInvalid, grace)
	}
	now := t.now()
	before, was := tok.secrets, *tok
	old, until := before[0], before[0].until
	text = newSecret(tok.ID)
	tok.RotatedAt, tok.secrets = stamp(now), nil
	tok.add(hashOf(text), time.Time{})
	if grace > 0 {
		old.until = stamp(now.Add(grace))
		tok.secrets = append(tok.secrets, old)
	}
	err = t.store()
	if undone(err) {
		tok.secrets[0].close()
		old.until, *tok = until, was
		return Token{}, "", err
	}
	for _, s := range before {
		if s == old && grace > 0 {
			s.endAt(old.until)
		} else {
			s.close()
		}
	}
	return tok.Token, text, err
}

// Revoke makes a token none. Whoever uses it is told before it returns, and it stays so after a crash.
func (t *Tokens) Revoke(name string) (Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tok, err := t.named(name)
	if err != nil {
		return Token{}, err
	}
	delete(t.byID, tok.ID)
	err = t.store()
	if undone(err) {
		t.byID[tok.ID] = tok
		return Token{}, err
	}
	tok.end()
	return tok.Token, err
}

// add gives a token a secret that ends at a time, the zero time for that of the token.
func (k *token) add(hash [sha256.Size]byte, until time.Time) {
	done := make(chan struct{})
	s := &secret{hash: hash, until: until, end: sync.OnceFunc(func() { close(done) })}
	s.identity = NewIdentity(k.Name, k.Scopes, k.Entities, done)
	for _, at := range []time.Time{until, k.ExpiresAt} {
		if !at.IsZero() {
			s.endAt(at)
		}
	}
	k.secrets = append(k.secrets, s)
}

// end ends everything that the token is known by.
func (k *token) end() {
	for _, s := range k.secrets {
		s.close()
	}
}

// lookAgain is how often it is looked whether a time has come: timers do not count the time that a machine sleeps, and know
// nothing of a clock that is set.
const lookAgain = 10 * time.Second

// endAt ends the identity at a time.
func (s *secret) endAt(at time.Time) {
	a := &alarm{at: at.Round(0), ring: s.end}
	a.arm()
	s.alarms = append(s.alarms, a)
}

// alarm rings at a time.
type alarm struct {
	at   time.Time
	ring func()

	mu      sync.Mutex // guards the rest
	timer   *time.Timer
	stopped bool
}

// arm waits until it is time, or looks again.
func (a *alarm) arm() {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := time.Until(a.at)
	switch {
	case a.stopped:
	case left <= 0:
		a.ring()
	default:
		a.timer = time.AfterFunc(min(left, lookAgain), a.arm)
	}
}

func (a *alarm) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// close ends the identity.
func (s *secret) close() {
	s.stop()
	s.end()
}

func (s *secret) stop() {
	for _, a := range s.alarms {
		a.stop()
	}
}

// stamp is a time as the file has it.
func stamp(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.UTC().Round(0)
}
