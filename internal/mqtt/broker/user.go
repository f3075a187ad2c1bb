package broker

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// User is somebody who may connect, and what about.
type User struct {
	Name string
	// PasswordHash is what [HashPassword] made of the password. Password is the password itself, for where it comes from a
	// file that only the daemon can read. One of the two is given.
	PasswordHash, Password string
	// Publish and Subscribe are the topic filters that the user may publish to and subscribe to. What no rule names is
	// refused; "#" is everything but topics that begin with $.
	Publish, Subscribe []string
}

// Parameters of the password hash: what PBKDF2 with SHA-512 needs to be slow enough, and what a hash that somebody else
// made may cost.
const (
	hashPrefix     = "pbkdf2-sha512"
	hashIterations = 210_000
	hashMaxIter    = 5_000_000
	hashBytes      = 32
)

// errHash is why a stored hash cannot be used.
var errHash = errors.New("not a hash that \"statehouse config hash-password\" made")

// HashPassword makes of a password what [User.PasswordHash] takes.
func HashPassword(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("mqtt broker: hash password: %w", err)
	}
	key, err := pbkdf2.Key(sha512.New, password, salt, hashIterations, hashBytes)
	if err != nil {
		return "", fmt.Errorf("mqtt broker: hash password: %w", err)
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$%s$%d$%s$%s", hashPrefix, hashIterations, b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// passwordHash is a parsed hash.
type passwordHash struct {
	iterations int
	salt, key  []byte
}

// parseHash reads what HashPassword wrote.
func parseHash(s string) (passwordHash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 5 || parts[0] != "" || parts[1] != hashPrefix {
		return passwordHash{}, errHash
	}
	n, err := strconv.Atoi(parts[2])
	salt, err2 := base64.RawStdEncoding.DecodeString(parts[3])
	key, err3 := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil || err2 != nil || err3 != nil || n < 1000 || n > hashMaxIter || len(salt) < 8 || len(key) != hashBytes {
		return passwordHash{}, errHash
	}
	return passwordHash{iterations: n, salt: salt, key: key}, nil
}

// matches computes the hash of a password and compares, in a time that depends on neither.
func (h passwordHash) matches(password []byte) bool {
	key, err := pbkdf2.Key(sha512.New, string(password), h.salt, h.iterations, len(h.key))
	return err == nil && subtle.ConstantTimeCompare(key, h.key) == 1
}

// account is a user as the broker keeps it.
type account struct {
	User
	hash *passwordHash
}

// accounts are the users by name. Nil means that anybody may do anything.
type accounts map[string]*account

// newAccounts makes accounts of the users, and notes what is wrong with them: names are given once, one password each, and
// rules that are filters.
func newAccounts(users []User, wrong *mqtt.OptionErrors) accounts {
	if len(users) == 0 {
		return nil
	}
	all := make(accounts, len(users))
	for i, u := range users {
		key := fmt.Sprintf("users[%d]", i)
		a := &account{User: u}
		switch {
		case u.Name == "":
			wrong.Add(key+".name", "it is missing")
		case all[u.Name] != nil:
			wrong.Add(key+".name", "%q is given twice; remove one", u.Name)
		}
		if (u.Password == "") == (u.PasswordHash == "") {
			wrong.Add(key, "give one of password, password_file and password_hash for user %q", u.Name)
		} else if u.PasswordHash != "" {
			h, err := parseHash(u.PasswordHash)
			if err != nil {
				wrong.Add(key+".password_hash", "%w", err)
			}
			a.hash = &h
		}
		if len(u.Publish)+len(u.Subscribe) == 0 {
			wrong.Add(key, "user %q could do nothing; give topic filters to publish or subscribe to (\"#\" for all)", u.Name)
		}
		checkRules(key+".publish", u.Publish, wrong)
		checkRules(key+".subscribe", u.Subscribe, wrong)
		all[u.Name] = a
	}
	return all
}

func checkRules(key string, rules []string, wrong *mqtt.OptionErrors) {
	for _, rule := range rules {
		if err := mqtt.ValidFilter(rule); err != nil {
			wrong.Add(key, "%w", err)
		}
	}
}

// nobody is hashed against when the name is unknown, so that an answer's time does not tell names.
var nobody = passwordHash{iterations: hashIterations, salt: make([]byte, 16), key: make([]byte, hashBytes)}

// login returns the account that a name and a password belong to.
func (a accounts) login(name string, password []byte) (*account, bool) {
	u, ok := a[name]
	if !ok {
		nobody.matches(password)
		return nil, false
	}
	if u.hash != nil {
		return u, u.hash.matches(password)
	}
	got, want := sha512.Sum512(password), sha512.Sum512([]byte(u.Password))
	return u, subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// mayPublish and maySubscribe ask the rules. Nobody's rules (no users) allow everything.
func (a accounts) mayPublish(name, topic string) bool {
	if a == nil {
		return true
	}
	u := a[name]
	return u != nil && covered(u.Publish, topic)
}

func (a accounts) maySubscribe(name, filter string) bool {
	if a == nil {
		return true
	}
	u := a[name]
	return u != nil && covered(u.Subscribe, mqtt.SharedFilter(filter))
}

// covered reports whether one of the rules covers all of what is asked.
func covered(rules []string, asked string) bool {
	for _, r := range rules {
		if mqtt.Covers(r, asked) {
			return true
		}
	}
	return false
}
