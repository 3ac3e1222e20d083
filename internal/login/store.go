package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hanse-dev/hanse/internal/pki"
	"k8s.io/utils/clock"
)

// lockPoll is how often a lock that another command holds is tried again.
const lockPoll = 20 * time.Millisecond

// Session is what a login left.
type Session struct {
	Client       Client `json:"client"`
	IDToken      string `json:"idToken"`
	RefreshToken string `json:"refreshToken,omitempty"`
	// Expires and Renews are by the clock of this machine: when the ID token ends, and when it is to be replaced.
	Expires time.Time `json:"expires"`
	Renews  time.Time `json:"renews"`
}

// Store keeps sessions in a directory, a file for each provider and client.
type Store struct {
	Dir   string
	Clock clock.PassiveClock
}

func (s Store) file(c Client) string { return filepath.Join(s.Dir, c.key()+".json") }

// Get reads the session at a provider. The error says so if there is none.
func (s Store) Get(c Client) (Session, error) {
	data, err := os.ReadFile(s.file(c))
	if errors.Is(err, fs.ErrNotExist) {
		return Session{}, fmt.Errorf("not logged in at %s. Try: hanse login", c.Issuer)
	}
	if err != nil {
		return Session{}, fmt.Errorf("reading the tokens: %w. Try: hanse login", err)
	}
	var session Session
	if err := json.Unmarshal(data, &session); err != nil {
		return Session{}, fmt.Errorf("the tokens in %s cannot be read: %w. Try: hanse login", s.file(c), err)
	}
	return session, nil
}

// put keeps a session. The caller holds the lock, or nobody can know of the session.
func (s Store) put(session Session) error {
	data, err := json.Marshal(session)
	if err != nil {
		return err
	}
	if err := pki.WriteFile(s.file(session.Client), data); err != nil {
		return fmt.Errorf("keeping the tokens: %w", err)
	}
	return nil
}

// lock keeps other commands from refreshing a session. It is the kernel's, and goes with the process. It blocks until ctx ends.
func (s Store) lock(ctx context.Context, c Client) (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("keeping the tokens: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, c.key()+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the tokens: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("locking the tokens: %w", err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another command has been refreshing the tokens of %s all the time. Try: again", c.Issuer), f.Close())
		case <-time.After(lockPoll):
		}
	}
}

// Token returns a session whose ID token is good for a while, refreshed if need be. Of several commands that find it out of
// date one refreshes it, since many providers take a refresh token only once.
func (s Store) Token(ctx context.Context, c Client) (Session, error) {
	session, err := s.Get(c)
	if err != nil || s.Clock.Now().Before(session.Renews) {
		return session, err
	}
	unlock, err := s.lock(ctx, c)
	if err != nil {
		return Session{}, err
	}
	defer unlock()
	if session, err = s.Get(c); err != nil || s.Clock.Now().Before(session.Renews) {
		return session, err
	}
	refreshed, err := session.refresh(ctx, s.Clock.Now())
	var ended *endedError
	switch {
	case err == nil:
		return refreshed, s.put(refreshed)
	case errors.As(err, &ended):
		return Session{}, errors.Join(err, os.Remove(s.file(c)))
	case s.Clock.Now().Before(session.Expires):
		return session, nil // good for a moment; the next command tries again
	}
	return Session{}, err
}
