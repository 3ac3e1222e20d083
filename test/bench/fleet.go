package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/join"
	"github.com/hanse-dev/hanse/test/lightmember"
)

const (
	// serveMembers is the argument with which the bench runs itself as the process of the light members.
	serveMembers = "serve-members"
	// joinsAtOnce is how many members are joined at a time.
	joinsAtOnce = 16
	// aggregatedDiscovery is what API servers are asked for by clients of today.
	aggregatedDiscovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
)

// lightFleet is a process with many light members.
type lightFleet struct {
	lightmember.Roll
	process *exec.Cmd
}

// runMembers is that process: it ends with ctx or with its input, whichever is first.
func runMembers(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("%s takes a directory and a number", serveMembers)
	}
	members, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("how many members is %q: %w", args[1], err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // ends when the bench does
		cancel()
	}()
	return lightmember.Run(ctx, args[0], members, stdout)
}

// startMembers starts the process. The members serve what the hub serves, but for its own kinds.
func (w *world) startMembers(ctx context.Context, members int) (*lightFleet, error) {
	if err := w.describeMembers(ctx); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the bench's own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, serveMembers, w.dir, strconv.Itoa(members))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // ends with the bench
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the light members: %w", err)
	}
	f := &lightFleet{process: cmd}
	if err := json.NewDecoder(out).Decode(&f.Roll); err != nil {
		return nil, errors.Join(fmt.Errorf("the light members do not start: %w", err), f.close())
	}
	return f, nil
}

func (f *lightFleet) pid() int { return f.process.Process.Pid }

func (f *lightFleet) close() error {
	if err := f.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the light members: %w", err)
	}
	_ = f.process.Wait() // it was killed
	return nil
}

// describeMembers writes down what the members are to say of themselves.
func (w *world) describeMembers(ctx context.Context) error {
	get := func(path string) (json.RawMessage, error) {
		data, err := w.hub.client.Get().AbsPath(path).SetHeader("Accept", aggregatedDiscovery+",application/json").DoRaw(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking the hub for %s: %w", path, err)
		}
		return data, nil
	}
	var about lightmember.About
	var errs [3]error
	about.Version, errs[0] = get("/version")
	about.API, errs[1] = get("/api")
	about.APIs, errs[2] = get("/apis")
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	var list struct {
		Kind       string                       `json:"kind"`
		APIVersion string                       `json:"apiVersion"`
		Items      []map[string]json.RawMessage `json:"items"`
	}
	if err := decode(about.APIs, &list); err != nil {
		return err
	}
	kept := list.Items[:0]
	for _, group := range list.Items {
		if !bytes.Contains(group["metadata"], []byte(`"hanse.dev"`)) {
			kept = append(kept, group)
		}
	}
	list.Items = kept
	var err error
	if about.APIs, err = json.Marshal(list); err != nil {
		return err
	}
	data, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, "about.json"), data, 0o600)
}

// joinAll joins every light member, as hanse join does it, and returns once all are ready.
func (w *world) joinAll(ctx context.Context, f *lightFleet) error {
	hub, err := clientcmd.BuildConfigFromFlags("", w.hubConfig())
	if err != nil {
		return err
	}
	next := make(chan lightmember.Member)
	errs := make([]error, joinsAtOnce)
	var wait sync.WaitGroup
	for i := range joinsAtOnce {
		wait.Go(func() {
			for m := range next {
				if errs[i] != nil {
					continue
				}
				_, err := join.Run(ctx, clock.RealClock{}, join.Options{Name: m.Name, Hub: hub, Role: v1alpha1.RoleFull, Provider: "light", Timeout: patience, Member: &rest.Config{
					Host: m.Endpoint, BearerToken: "admin", TLSClientConfig: rest.TLSClientConfig{CAData: f.CA},
				}})
				if err != nil {
					errs[i] = fmt.Errorf("joining %s: %w", m.Name, err)
				}
			}
		})
	}
	for _, m := range f.Members {
		next <- m
	}
	close(next)
	wait.Wait()
	return errors.Join(errs...)
}

// ask calls the light members' door.
func (f *lightFleet) ask(ctx context.Context, method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+f.Door+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("asking the light members: %w", err)
	}
	defer answer.Body.Close()
	data, err = io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the light members answer %s: %s (%w)", answer.Status, strings.TrimSpace(string(data)), err)
	}
	if into == nil {
		return nil
	}
	return decode(data, into)
}

func (f *lightFleet) hang(ctx context.Context, members int) error {
	return f.ask(ctx, http.MethodPost, fmt.Sprintf("/hang?n=%d", members), nil, nil)
}

func (f *lightFleet) writes(ctx context.Context) (n int64, err error) {
	err = f.ask(ctx, http.MethodGet, "/writes", nil, &n)
	return n, err
}

// databaseSize is what the hub has on disk for its objects, in MiB, without what etcd keeps of its log.
func (w *world) databaseSize() (float64, error) {
	var size int64
	err := filepath.WalkDir(w.dataDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) != "db" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return float64(size) / (1 << 20), err
}
