package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// DefaultOverlap is how long clients have to take in what they are to trust before each step of a rotation.
const DefaultOverlap = 30 * 24 * time.Hour

// Stage is how far the rotation of an authority has come.
type Stage string

// The stages, in their order. What comes after the last one is no rotation.
const (
	// Requested: somebody wants the authority replaced.
	Requested Stage = "Requested"
	// Published: the successor is trusted, and signs nothing yet.
	Published Stage = "Published"
	// Signing: the successor signs, its predecessor is still trusted.
	Signing Stage = "Signing"
)

// Rotation replaces an authority by a successor, with an overlap in which both are trusted.
type Rotation struct {
	Stage Stage `json:"stage"`
	// Since is when the stage began, by the clock of whoever took the step.
	Since time.Time `json:"since"`
	// Overlap is how long Published and Signing each last.
	Overlap time.Duration `json:"overlap"`
}

// Next is when the next step is due.
func (r Rotation) Next() time.Time {
	if r.Stage == Requested {
		return r.Since
	}
	return r.Since.Add(r.Overlap)
}

// Rotating are the files of an authority that may be replaced. All steps are taken by one process, which has the directory
// to itself; Request may be called beside it.
type Rotating struct{ Cert, Key string }

func (f Rotating) sibling(suffix string) string { return strings.TrimSuffix(f.Cert, ".crt") + suffix }
func (f Rotating) nextCert() string             { return f.sibling("-next.crt") }
func (f Rotating) nextKey() string              { return f.sibling("-next.key") }
func (f Rotating) state() string                { return f.sibling("-rotation.json") }

// State is the rotation under way, nil if there is none.
func (f Rotating) State() (*Rotation, error) {
	data, err := os.ReadFile(f.state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &Rotation{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w. Try: restore it from a backup", f.state(), err)
	}
	switch r.Stage {
	case Requested, Published, Signing:
		return r, nil
	}
	return nil, fmt.Errorf("%s has the unknown stage %q. Try: restore it from a backup", f.state(), r.Stage)
}

// Request has the authority replaced by whoever calls Advance next. It is an error while it is being replaced.
func (f Rotating) Request(overlap time.Duration, now time.Time) error {
	r, err := f.State()
	if err != nil {
		return err
	}
	if r != nil {
		return fmt.Errorf("the authority is being replaced already: stage %s since %s, next step at %s",
			r.Stage, r.Since.Format(time.RFC3339), r.Next().Format(time.RFC3339))
	}
	return f.save(Rotation{Stage: Requested, Since: now.UTC(), Overlap: overlap})
}

// Advance takes the step that is due, one at most, and says whether it took one. An authority with a third of its life left is
// replaced without a request. After a crash the next call completes the step.
func (f Rotating) Advance(a *Authority) (stepped bool, err error) {
	r, err := f.State()
	if err != nil {
		return false, err
	}
	now := a.now().UTC()
	switch {
	case r == nil && now.Before(RenewalTime(a.cert)):
		return false, nil
	case r == nil:
		return true, f.publish(a, Rotation{Stage: Published, Since: now, Overlap: DefaultOverlap})
	case now.Before(r.Next()):
		return false, nil
	case r.Stage == Requested:
		return true, f.publish(a, Rotation{Stage: Published, Since: now, Overlap: r.Overlap})
	case r.Stage == Published:
		return true, f.sign(Rotation{Stage: Signing, Since: now, Overlap: r.Overlap})
	default:
		return true, f.retire(a)
	}
}

// publish makes the successor and has it trusted.
func (f Rotating) publish(a *Authority, r Rotation) error {
	if err := createAuthority(f.nextCert(), f.nextKey(), a.cert.Subject.CommonName, a.now); err != nil {
		return err
	}
	next, err := ReadCertificates(f.nextCert())
	if err != nil {
		return err
	}
	if err := WriteFile(f.Cert, EncodeCertificates(a.cert, next[0])); err != nil {
		return err
	}
	return f.save(r)
}

// sign has the successor sign. That the key moves is the step; LoadAuthority finds the certificate that belongs to it.
func (f Rotating) sign(r Rotation) error {
	if err := os.Rename(f.nextKey(), f.Key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(f.save(r), remove(f.nextCert()))
}

// retire ends trust in the predecessor.
func (f Rotating) retire(a *Authority) error {
	return errors.Join(WriteFile(f.Cert, a.SignerPEM()), remove(f.state()))
}

func (f Rotating) save(r Rotation) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return WriteFile(f.state(), append(data, '\n'))
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Write brings the authority's certificate file in the order in which others read it, with the one that signs first.
func (f Rotating) Write(a *Authority) error {
	if old, err := os.ReadFile(f.Cert); err == nil && bytes.Equal(old, a.CertificatePEM()) {
		return nil
	}
	return WriteFile(f.Cert, a.CertificatePEM())
}

// Conform takes back what was done of a rotation that others do not know of, who trust the authorities with these hashes: what
// they do not trust is trusted no more, and a successor that was not heard of is asked for again.
func (f Rotating) Conform(trusted []string) error {
	unknown := func(c *x509.Certificate) bool { return !slices.Contains(trusted, Hash(c)) }
	if next, err := ReadCertificates(f.nextCert()); err == nil && unknown(next[0]) {
		r, err := f.State()
		if err == nil && r != nil {
			err = f.save(Rotation{Stage: Requested, Since: r.Since, Overlap: r.Overlap})
		}
		if err = errors.Join(err, remove(f.nextKey()), remove(f.nextCert())); err != nil {
			return err
		}
	}
	all, err := ReadCertificates(f.Cert)
	if err != nil {
		return err
	}
	known := slices.DeleteFunc(slices.Clone(all), unknown)
	if len(known) == 0 || len(known) == len(all) {
		return nil
	}
	return WriteFile(f.Cert, EncodeCertificates(known...))
}
