package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// longestLine bounds an event. One that is longer is left out.
const longestLine = 4 << 20

// event is what is read of one of audit.k8s.io.
type event struct {
	AuditID, Stage, RequestURI, Verb, UserAgent string
	User                                        identity
	ImpersonatedUser                            *identity
	SourceIPs                                   []string
	ObjectRef                                   *struct{ Resource, APIGroup, Namespace, Name, Subresource string }
	ResponseStatus                              struct{ Code int }
	RequestReceivedTimestamp                    time.Time
}

type identity struct {
	Username string
	Groups   []string
}

// entry is the event as it is told.
func (e *event) entry() Entry {
	out := Entry{
		At: e.RequestReceivedTimestamp, User: e.User.Username, Groups: e.User.Groups, Verb: e.Verb, Object: e.RequestURI,
		Code: e.ResponseStatus.Code, AuditID: e.AuditID, SourceIPs: e.SourceIPs, UserAgent: e.UserAgent,
	}
	if as := e.ImpersonatedUser; as != nil {
		out.User, out.Groups, out.By = as.Username, as.Groups, e.User.Username
	}
	if e.ObjectRef != nil {
		out.Object = e.resource() + "/" + e.namespace() + "/" + e.ObjectRef.Name
		if e.ObjectRef.Subresource != "" {
			out.Object += "/" + e.ObjectRef.Subresource
		}
	}
	return out
}

func (e *event) resource() string {
	if e.ObjectRef.APIGroup == "" {
		return e.ObjectRef.Resource
	}
	return e.ObjectRef.Resource + "." + e.ObjectRef.APIGroup
}

// namespace is the object's. The path to a Namespace has its name twice.
func (e *event) namespace() string {
	if e.ObjectRef.APIGroup == "" && e.ObjectRef.Resource == "namespaces" {
		return ""
	}
	return e.ObjectRef.Namespace
}

// about says whether the event is about an object as the flight recorder names it, or may be: a request that deletes several, or
// has the server choose a name, names none.
func (e *event) about(object string) bool {
	if e.ObjectRef == nil {
		return false
	}
	prefix := e.resource() + "/" + e.namespace() + "/"
	return object == prefix+e.ObjectRef.Name || e.ObjectRef.Name == "" && strings.HasPrefix(object, prefix)
}

// logs are the files of an audit log, the oldest first: those that were rotated have the time of that in their names.
func logs(current string) ([]string, error) {
	extension := filepath.Ext(current)
	rotated, err := filepath.Glob(strings.TrimSuffix(current, extension) + "-*" + extension + "*")
	if err != nil {
		return nil, err
	}
	slices.Sort(rotated)
	return append(rotated, current), nil
}

// readLog calls do with each event of a file since a time that is complete, and whose ID only says yes to if that is not nil. What is
// no event is passed over: a line is being written, or somebody else's.
func readLog(ctx context.Context, path string, since time.Time, only func(id []byte) bool, do func(*event)) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was rotated away, or nothing has happened yet
	}
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.ModTime().Before(since) {
		return nil
	}
	from := io.Reader(file)
	if strings.HasSuffix(path, ".gz") {
		if from, err = gzip.NewReader(file); err != nil {
			return fmt.Errorf("read the audit log %s: %w", path, err)
		}
	} else if err := skip(file, since); err != nil {
		return fmt.Errorf("read the audit log %s: %w", path, err)
	}
	return lines(from, func(line []byte) error {
		var e event
		if only != nil && !only(idOf(line)) {
			return ctx.Err()
		}
		if json.Unmarshal(line, &e) == nil && (e.Stage == "ResponseComplete" || e.Stage == "Panic") && !e.RequestReceivedTimestamp.Before(since) {
			do(&e)
		}
		return ctx.Err()
	})
}

// idOf is the ID of an event, without decoding the rest; empty if it is not found.
func idOf(line []byte) []byte {
	_, after, _ := bytes.Cut(line, []byte(`"auditID":"`))
	id, _, _ := bytes.Cut(after, []byte(`"`))
	return id
}

// lines calls do with each line that is complete and not longer than longestLine.
func lines(from io.Reader, do func([]byte) error) error {
	in := bufio.NewReaderSize(from, 64<<10)
	var line []byte
	tooLong := false
	for {
		part, err := in.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > longestLine; !tooLong {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case !tooLong:
			if err := do(line); err != nil {
				return err
			}
		}
		line, tooLong = line[:0], false
	}
}

const (
	// firstStep is how far before the end of a log reading begins that wants the newest events.
	firstStep = 1 << 20
	// longRequest is how long after it was received a request may be logged: when it is answered. Watches last longer, and are
	// found if nothing older is asked for.
	longRequest = 10 * time.Minute
)

// skip moves a file to a line before which there is nothing since a time.
func skip(file *os.File, since time.Time) error {
	if since.IsZero() {
		return nil
	}
	size, err := file.Seek(0, io.SeekEnd)
	for step := int64(firstStep); err == nil; step *= 4 {
		if step >= size {
			_, err = file.Seek(0, io.SeekStart)
			return err
		}
		if _, err = file.Seek(size-step, io.SeekStart); err != nil {
			return err
		}
		at, ok := firstTime(file)
		if ok && at.Before(since.Add(-longRequest)) {
			_, err = file.Seek(size-step, io.SeekStart) // the line that is cut there is passed over
			return err
		}
	}
	return err
}

// firstTime is when the first request was received of those whose events are complete from where a file is.
func firstTime(from io.Reader) (at time.Time, ok bool) {
	found := errors.New("found")
	_ = lines(io.LimitReader(from, firstStep), func(line []byte) error {
		var e event
		if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &e) != nil {
			return nil
		}
		at, ok = e.RequestReceivedTimestamp, true
		return found
	})
	return at, ok
}
