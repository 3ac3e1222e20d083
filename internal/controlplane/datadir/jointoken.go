package datadir

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/internal/pki"
)

// PathKeys is where a hub tells its CA to everybody, and hands its keys over to another hub that has a token, or to
// system:masters, who have all that these give.
const PathKeys = "/hanse/keys"

// joinTokens are files whose names are hashes of tokens and which hold until when these are good: the token is nowhere.
const joinTokens = "join-tokens"

// Invitation is what another hub needs to get the keys of this one, once.
type Invitation struct {
	Server    string    `json:"server"`
	Token     string    `json:"token"`
	Authority string    `json:"caCertHash"`
	Expires   time.Time `json:"expires"`
}

// Invite makes a token for one more hub on the database of the hub whose data directory is in path. Whoever can read that
// directory has the keys anyway, so it gives nobody what they do not have. The hub need not run.
func Invite(path string, life time.Duration, now time.Time) (i Invitation, err error) {
	known, err := clientcmd.LoadFromFile(filepath.Join(path, controllersKubeconfig))
	if errors.Is(err, fs.ErrNotExist) {
		return i, noDirectory(path)
	}
	if err != nil {
		return i, Explain(path, err)
	}
	hashes, err := authorityHashes(path)
	if err != nil {
		return i, err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return i, fmt.Errorf("drawing a token: %w", err)
	}
	i = Invitation{
		Server: known.Clusters[known.CurrentContext].Server, Authority: hashes[0],
		Token: base64.RawURLEncoding.EncodeToString(secret), Expires: now.Add(life).UTC().Truncate(time.Second),
	}
	if err := forgetExpired(path, now); err != nil {
		return i, err
	}
	return i, pki.WriteFile(tokenFile(path, i.Token), []byte(i.Expires.Format(time.RFC3339)+"\n"))
}

func tokenFile(path, token string) string {
	sum := sha256.Sum256([]byte(token))
	return filepath.Join(path, joinTokens, hex.EncodeToString(sum[:]))
}

// Redeem says whether a token is good, which it is once: of those who come with it at the same time one gets true.
func (d *Dir) Redeem(token string, now time.Time) (bool, error) {
	file := tokenFile(d.path, token)
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.Remove(file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, Explain(d.path, err)
	}
	return now.Before(expiry(data)), nil
}

// expiry is when a token is no longer good; what cannot be read has long been so.
func expiry(data []byte) time.Time {
	text := string(data)
	if len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

func forgetExpired(path string, now time.Time) error {
	files, err := filepath.Glob(filepath.Join(path, joinTokens, "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && !now.Before(expiry(data)) {
			err = os.Remove(file)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Explain(path, err)
		}
	}
	return nil
}
